//! C and C++.
//!
//! Sources: libstdc++'s `__verbose_terminate_handler`, the sanitizers' reports (compiler-rt), glibc's malloc checks
//! and `backtrace_symbols`, Boost.Stacktrace, abseil's and glog's failure handlers, gdb's frames, valgrind,
//! cpptrace, Chromium, MySQL.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text, unheaded};

/// After `terminate called after throwing …`.
const TERMINATE: State = State::own(0);
/// After `pure virtual method called`.
const PURE: State = State::own(18);
/// After `what():`.
const WHAT: State = State::own(1);
/// Within its message, below the first line.
const WHAT_TEXT: State = State::own(20);
/// After `terminate called …` without an exception.
const ABORTING: State = State::own(21);
/// After the summary of MemorySanitizer.
const EXITING: State = State::own(22);
/// After what may head a sanitizer's report.
const RULED: State = State::own(2);
/// Within such a report.
const REPORT: State = State::own(3);
/// After its summary.
const SUMMED: State = State::own(4);
/// After the summary of a data race.
const RACED: State = State::own(14);
/// After the rule below it.
const RACES: State = State::own(19);
/// After its last line.
const CLOSED: State = State::own(5);
/// After `x.cpp:3:5: runtime error: …`.
const UNDEFINED: State = State::own(6);
/// After the bytes that such an error points at: a caret follows.
const BYTES: State = State::own(15);
/// Within what glibc prints of a broken heap.
const GLIBC: State = State::own(7);
/// Among frames as `backtrace_symbols` writes them.
const SYMBOLS: State = State::own(8);
/// Among frames as Boost writes them.
const BOOST: State = State::own(9);
/// Among frames as abseil, glog and folly write them.
const SIGNAL: State = State::own(10);
/// Among frames as gdb writes them.
const GDB: State = State::own(11);
/// Within a report of valgrind.
const VALGRIND: State = State::own(12);
/// After what may head Chromium's frames.
const CHROMIUM: State = State::own(23);
/// Among them.
const CHROMIUM_FRAMES: State = State::own(24);
/// Within the last words of MySQL and MariaDB.
const MYSQL: State = State::own(25);
/// After the last line but one of them.
const MYSQL_END: State = State::own(26);
/// After a line that mentions an error: frames follow at once or never.
const MENTIONED: State = State::own(13);
/// Among frames as backward-cpp writes them.
const BACKWARD: State = State::own(16);
/// Among frames as ClickHouse writes them.
const NUMBERED: State = State::own(17);

const SYMBOL: &str = r"(?:\[\d+\] )?\.{0,2}/[^\s()]+\([^\s()]*\+0x[0-9a-f]+\) ?\[0x";
const ABORTED: &str = r"(?:.*: line \d+: +\d+ )?(?:Aborted|Segmentation fault)(?: +\(core dumped\).*)?$";

/// The lines of a report: frames, what they are of, memory.
const BODY: &str = concat!(
    r" +#\d+ |  (?:This frame has|Read of size|Write of size|Previous |Atomic |Location is|Thread T|Mutex |As if |Cycle|Uninitialized value|\[failed to)|",
    r"    (?:\[\d+, \d+\)|Mutex |Hint: )|      \(|  0x[0-9a-f]+: ?[ \[]|=>0x[0-9a-f]+:|  [A-Z][A-Za-z ]+: +[0-9a-f]{2}|",
    r"(?:READ|WRITE|UNKNOWN|ACCESS)\b|0x[0-9a-f]+ is located|(?:freed|previously allocated|allocated|Memory was|Uninitialized)\b|",
    r"(?:Address|Thread|Direct leak|Indirect leak|HINT|NOTE|Objects|Suppressions|Cause|[A-Z]\w+Sanitizer can not|Command was)\b|",
    r"Shadow byte legend|==\d+== ?[A-Z][a-z]|r[a-z0-9]{1,2} += 0x"
);

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(
            &[START],
            r"terminate called (?:without an active|recursively)|libc\+\+abi: terminating ",
            ABORTING,
        ),
        sure(&[START], r"terminate called after throwing", TERMINATE),
        maybe(&[START], r"pure virtual method called$", PURE),
        sure(&[PURE], r"terminate called without an active", ABORTING),
        sure(&[TERMINATE, WHAT], r"terminate called recursively", ABORTING),
        sure(&[TERMINATE], r"  what\(\):", WHAT),
        text(&[WHAT, WHAT_TEXT], WHAT_TEXT),
        sure(&[TERMINATE, ABORTING, WHAT, WHAT_TEXT, GLIBC, SIGNAL, SYMBOLS, CLOSED], ABORTED, CLOSED),
        // Sanitizers.
        maybe(&[START], r"={18}$|={65}$|[A-Z]\w+Sanitizer:DEADLYSIGNAL$", RULED),
        maybe(&[RULED], r"={65}$", RULED),
        sure(&[START, RULED], r"==\d+== ?(?:ERROR|WARNING): [A-Z]\w*Sanitizer", REPORT),
        sure(&[START, RULED], r"WARNING: ThreadSanitizer: |[A-Z]\w+Sanitizer: CHECK failed", REPORT),
        sure(&[REPORT], BODY, REPORT),
        maybe(&[REPORT, SUMMED], BLANK, REPORT),
        sure(&[REPORT], r"SUMMARY: [A-SU-Z]\w+Sanitizer", SUMMED),
        sure(&[REPORT], r"SUMMARY: ThreadSanitizer", RACED),
        sure(&[RACED], r"={18}$", RACES),
        sure(&[RACES], r"ThreadSanitizer: reported \d+ warnings$", CLOSED),
        sure(&[SUMMED], r"Shadow bytes around |Memory tags around ", REPORT),
        sure(&[SUMMED], r"==\d+==\s?HINT: ", SUMMED),
        sure(&[REPORT], r"==\d+==\s?HINT: ", REPORT),
        sure(&[REPORT, SUMMED], r"==\d+==\s?ABORTING", CLOSED),
        sure(&[REPORT], r"SUMMARY: MemorySanitizer", EXITING),
        sure(&[EXITING], r"Exiting$", CLOSED),
        maybe(&[START], r"[^\s:]+:\d+:\d+: runtime error: ", UNDEFINED),
        sure(&[UNDEFINED], r"    #\d+ |0x[0-9a-f]+: note: |SUMMARY: UndefinedBehaviorSanitizer", UNDEFINED),
        sure(&[UNDEFINED], r"(?: {1,2}[0-9a-f]{2})+ *$", BYTES),
        sure(&[BYTES], r"[ \t]+\^ *$", UNDEFINED),
        maybe(&[UNDEFINED], BLANK, UNDEFINED),
        // glibc.
        sure(
            &[START],
            r"\*\*\* (?:Error in|glibc detected|stack smashing detected|buffer overflow detected|%n in writable|longjmp causes)",
            GLIBC,
        ),
        maybe(
            &[START],
            r"(?:double free or corruption|free\(\): |malloc\(\): |malloc_consolidate|realloc\(\): |munmap_chunk\(\): |corrupted (?:size|double)|pthread_mutex_lock\.c|Segmentation fault|Assertion failed: )",
            GLIBC,
        ),
        sure(
            &[GLIBC],
            r"={7} (?:Backtrace|Memory map): ={8,}|\S*(?:\(\S*\))?\[0x[0-9a-f]+\]$|[0-9a-f]{6,16}-[0-9a-f]{6,16} [r-][w-][x-]",
            GLIBC,
        ),
        sure(&[START, HEAD, MENTIONED, GLIBC], SYMBOL, SYMBOLS),
        unheaded(&[SYMBOLS], r"(?:\[\d+\] )?\S+ ?\[0x[0-9a-f]+\]$", SYMBOLS),
        // Boost, abseil, glog, folly, gdb.
        sure(&[START, HEAD, MENTIONED, WHAT], r" *0# \S", BOOST),
        sure(&[BOOST], r" *[1-9]\d*# ", BOOST),
        sure(
            &[START, HEAD],
            r"\*\*\* (?:SIG[A-Z]+ received|Check failure stack trace: |Aborted at \d+|Signal \d+ )",
            SIGNAL,
        ),
        sure(
            &[SIGNAL],
            r"\*\*\* (?:SIG[A-Z]+ \(@|Signal \d)|PC: @|[ \t]+@ |[ \t]*0x[0-9a-f]+ +\(unknown\)|\[\w+ : \d+\] RAW: |[ \t]{10,}/\S+:\d+$|\(safe mode, symbolizer not available\)",
            SIGNAL,
        ),
        maybe(&[START], r"Thread \d+ (?:\(|\x22)", GDB),
        sure(&[START, HEAD, GDB, MENTIONED], r"#0 {2,}(?:0x[0-9a-f]+ in |[\w:~<>]+ ?\()", GDB),
        sure(&[GDB], r"0x[0-9a-f]+ in .* at \S+:\d+$|\d+\t", GDB),
        sure(&[GDB], r"#[1-9]\d* {1,2}(?:0x[0-9a-f]+ in |<signal handler called>|[\w:~<>]+ ?\()", GDB),
        maybe(&[START], r"Stack trace \(most recent call last\):$", BACKWARD),
        sure(&[BACKWARD], r#"#\d+ +(?:Object|Source) ""#, BACKWARD),
        sure(&[BACKWARD], r" {5,}(?:> *)?\d+: |Segmentation fault \(", BACKWARD),
        // cpptrace.
        maybe(&[START], r"Stack trace \(most recent call first\):$", BACKWARD),
        sure(&[BACKWARD], r"#\d+ +(?:0x[0-9a-f]+ )?(?:in .* )?at \S+(?::\d+)*$", BACKWARD),
        // Chromium.
        maybe(&[START], r"Received signal \d+ |\[(?:\d+:)*\d{4}/\d{6}\.\d+:(?:FATAL|ERROR):", CHROMIUM),
        sure(&[CHROMIUM, CHROMIUM_FRAMES], r"#\d+ 0x[0-9a-f]+ ", CHROMIUM_FRAMES),
        sure(&[CHROMIUM_FRAMES], r" +\w+: [0-9a-f]{8,}|\[end of stack trace\]", CHROMIUM_FRAMES),
        // MySQL and MariaDB.
        sure(
            &[START],
            r"(?:\d{4}-\d\d-\d\dT?|\d{6})? ?\d\d:\d\d:\d\dZ? (?:UTC - mysqld got |\[ERROR\] (?:mysqld|mariadbd) got )",
            MYSQL,
        ),
        text(&[MYSQL], MYSQL),
        sure(
            &[MYSQL],
            r"Most likely, you have hit|Thread pointer: 0x|Attempting backtrace|where (?:mysqld|mariadbd) died|terribly wrong|stack_bottom = |\S+\(.*\) ?\[0x[0-9a-f]+\]$|\?\?:0\(|Query \(|Connection ID |Status: |Optimizer switch: |Core pattern: ",
            MYSQL,
        ),
        sure(&[MYSQL], r"The manual page at \S+ contains$", MYSQL_END),
        sure(&[MYSQL_END], r"information that should help you find out ", CLOSED),
        sure(&[HEAD], r"0\. .* @ 0x[0-9a-f]+", NUMBERED),
        sure(&[NUMBERED], r"[1-9]\d*\. .* @ 0x[0-9a-f]+", NUMBERED),
        // valgrind.
        sure(
            &[START],
            r"==\d+== (?:Invalid |Conditional jump|Use of uninit|Mismatched |[\d,]+ (?:\([^)]*\) )?bytes in [\d,]+ blocks are |Process terminating|Source and dest|Syscall param|Jump to the)",
            VALGRIND,
        ),
        sure(&[VALGRIND], r"==\d+== (?: +\S|$)", VALGRIND),
    ],
    mentions: &[(Mention::Exception, MENTIONED)],
};
