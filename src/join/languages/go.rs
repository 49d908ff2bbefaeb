//! Go.
//!
//! Sources: `runtime/panic.go`, `runtime/traceback.go`, `runtime/signal_unix.go` and `runtime/race` of Go 1.18 to
//! 1.26, `net/http`'s server, zap's stack field, `pkg/errors`' `%+v`, gin's and chi's recovery, `apimachinery`'s `HandleCrash`.

use super::super::table::{BLANK, HEAD, START, State, Table, maybe, sure, text};

/// After `panic: x` or `fatal error: x`.
const PANIC: State = State::own(0);
/// After `goroutine 1 [running]:` and after a frame's file: a function follows.
const GOROUTINE: State = State::own(1);
/// After a frame's function: its file follows.
const FUNCTION: State = State::own(2);
/// After a blank line below the frames.
const BLANKED: State = State::own(3);
/// Within a report of the race detector.
const RACE: State = State::own(4);
/// After the line of `=` that may head such a report.
const RULE: State = State::own(5);
/// After `http: panic serving` and the like: a goroutine follows, or a message that runs over lines.
const SERVING: State = State::own(6);
/// After what looks like a function where no goroutine was named: only a file makes it one.
const STACK: State = State::own(7);
/// Among the registers.
const REGISTERS: State = State::own(8);
/// After the head that gin's recovery writes.
const RECOVERY: State = State::own(9);
/// Within lines that klog indents as one value.
const QUOTED: State = State::own(11);
/// Within what a logged error says before its frames.
const WRAPPED: State = State::own(13);
/// After what may head chi's drawing of a panic.
const DRAWN: State = State::own(14);
/// Within it.
const DRAWING: State = State::own(15);
/// After what comes before `fatal error:`.
const BEFORE: State = State::own(12);
/// After the line that closes a report.
const CLOSED: State = State::own(10);

/// `main.(*Server).handle(0xc0000140a0, …)`, `created by main.f in goroutine 7`.
const CALL: &str = r"[\w./~%@$-]+\.[^\s:]*\(.*\)$|created by \S|panic\(|main\(|goexit";
const PLACE: &str =
    r"[ \t]+[^\s].*:\d+(?: \+0x[0-9a-f]+)?(?: pc=| fp=|$)|[ \t]+\?\?:0|[ \t]+\S+\.(?:go|s|c|cgo1\.go):\d+";
const GOROUTINE_HEAD: &str = r"goroutine \d+ (?:gp=\S+ )?(?:m=\S+ )?(?:mp=\S+ )?\[[A-Za-z]";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START], r"panic: |fatal error: |SIG(?:QUIT|SEGV|ABRT|BUS|ILL|FPE|TRAP|SYS): ", PANIC),
        sure(
            &[START],
            r"runtime: (?:goroutine stack exceeds|out of memory)|unexpected fault address",
            BEFORE,
        ),
        sure(&[BEFORE], r"runtime: |sp=0x|stack: frame=", BEFORE),
        sure(&[BEFORE], r"fatal error: ", PANIC),
        sure(&[START, HEAD, PANIC, BLANKED, SERVING], GOROUTINE_HEAD, GOROUTINE),
        // What stands between a panic and its goroutine.
        sure(
            &[PANIC],
            r"[ \t]+panic: |\[signal |\[recovered|runtime stack:|runtime: |sp=0x|rax |PC=0x|signal arrived|goroutine running on other thread|\t(?:panic|fatal error): |stack: frame=",
            PANIC,
        ),
        sure(&[PANIC, BLANKED], r"runtime stack:|goroutine 0 ", GOROUTINE),
        maybe(&[PANIC], BLANK, PANIC),
        text(&[PANIC], PANIC),
        // Frames, two lines each; then perhaps another goroutine after a blank line.
        sure(&[GOROUTINE], CALL, FUNCTION),
        sure(&[FUNCTION], PLACE, GOROUTINE),
        sure(&[GOROUTINE], r"\.\.\.(?:additional|\d+) frames elided|\[originating from goroutine", GOROUTINE),
        sure(&[GOROUTINE], r"\tgoroutine running on other thread; stack unavailable", GOROUTINE),
        maybe(&[GOROUTINE, FUNCTION, REGISTERS], BLANK, BLANKED),
        sure(
            &[GOROUTINE, BLANKED, REGISTERS],
            r"(?:rax|rbx|r\d+|x\d+|lr|sp|pc|fault|rip|rflags|cs|fs|gs|r[a-z]{1,2})\s+0x[0-9a-f]+$",
            REGISTERS,
        ),
        sure(&[REGISTERS], r"\w+\s+0x[0-9a-f]+$", REGISTERS),
        sure(&[GOROUTINE, BLANKED, REGISTERS], r"exit status 2$", CLOSED),
        // A web server that goes on: the line is dated, but has no level.
        sure(
            &[START],
            r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:\S+:\d+: )?http2?: panic serving ",
            SERVING,
        ),
        // So is one that a program wrote by itself, with what it recovered from.
        maybe(
            &[START],
            r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:\S+:\d+: )?(?:\[?(?:panic|PANIC|Panic)\]?(?: recovered)?|(?:[Pp]anic )?[Rr]ecovered(?: from)?(?: a)?(?: panic)?(?: in \S+)?): ",
            SERVING,
        ),
        text(&[SERVING], SERVING),
        // chi.
        maybe(&[START], r"[ \t]+panic: ", DRAWN),
        maybe(&[DRAWN], BLANK, DRAWN),
        sure(&[DRAWN, DRAWING], r" -> ", DRAWING),
        maybe(&[DRAWING], BLANK, DRAWING),
        sure(&[DRAWING], r"    [a-z]\S*\.[\w(]\S*$|      /\S+:\d+$", DRAWING),
        // A stack without its goroutine, after a head line: zap, pkg/errors.
        maybe(&[HEAD], r"[A-Za-z][\w./~%@-]*\.[^\s:]+(?:\(.*\))?$", STACK),
        sure(&[STACK], r"\t\S.*\.(?:go|s):\d+", GOROUTINE),
        maybe(&[GOROUTINE], r"[A-Za-z][\w./~%@-]*\.[^\s:]+$", STACK),
        // pkg/errors: what each wrapper says, then its frames.
        maybe(&[HEAD], r"[^\s{\[#]", WRAPPED),
        text(&[GOROUTINE, WRAPPED], WRAPPED),
        maybe(&[WRAPPED], r"[A-Za-z][\w./~%@-]*\.[^\s:]+$", STACK),
        // klog: `key=<`, the value's lines behind a tab, ` >`.
        maybe(&[HEAD, QUOTED], r"\t", QUOTED),
        sure(&[QUOTED], r" >$| > ", CLOSED),
        // gin: the request, the panic, then `file:line (0x…)` and the source below it.
        maybe(&[START], r"(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[Recovery\] .* panic recovered:", RECOVERY),
        text(&[RECOVERY], RECOVERY),
        sure(&[RECOVERY], r"/\S+\.(?:go|s):\d+ \(0x[0-9a-f]+\)$", RECOVERY),
        sure(&[RECOVERY], r"\t[^:]+: \S", RECOVERY),
        // The race detector.
        maybe(&[START], r"={18}$", RULE),
        sure(&[START, RULE], r"WARNING: DATA RACE$", RACE),
        sure(
            &[RACE],
            r"(?:Previous )?(?:atomic )?(?:[Rr]ead|[Ww]rite) at 0x|Goroutine \d+ \(|\s+\S|\[failed to restore|Found \d+ data race",
            RACE,
        ),
        sure(&[RACE], r"={18}$", CLOSED),
        sure(&[CLOSED], r"Found \d+ data race\(s\)$", CLOSED),
        maybe(&[RACE], BLANK, RACE),
    ],
    mentions: &[],
};
