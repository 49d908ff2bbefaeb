//! JavaScript and TypeScript: Node, Deno, Bun, browsers.
//!
//! Sources: V8's stack trace API, Node's `src/node_errors.cc` (the arrow message, the foot with the version) and
//! `lib/internal/util/inspect.js` (causes, object tails), `lib/internal/process/promises.js`, Deno's
//! `fmt_errors.rs`, Bun's crash output, SpiderMonkey's and JavaScriptCore's `Error.prototype.stack`.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text};

/// After an error's first line: its message may run over lines.
const MESSAGE: State = State::own(0);
/// After the name of some class, which may be an error's: frames must follow at once.
const NAMED: State = State::own(1);
/// Among frames.
const FRAMES: State = State::own(2);
/// Within the braces that close over an error's own properties.
const OBJECT: State = State::own(3);
/// After all of it: only the foot may come.
const END: State = State::own(4);
/// After the place of an uncaught error, its code follows.
const PLACE: State = State::own(5);
/// After the code, its marker follows.
const CODE: State = State::own(6);
/// After the marker, the error follows.
const MARKER: State = State::own(7);
/// Within V8's last words.
const MEMORY: State = State::own(8);
/// After the foot.
const CLOSED: State = State::own(9);

/// A frame beyond doubt: with its place.
const FRAME: &str =
    r"[ \t]+at [^\s\d].*(?::\d+:\d+|\((?:<anonymous>|native|index \d+|eval at )|<anonymous>$)";
/// `f@https://…/app.js:1:2`, as Firefox and Safari write it.
const AT_SIGN: &str =
    r"[\w.$<>/ *\[\]]*@(?:https?|file|moz-extension|webpack|app|resource|capacitor|blob):\S*:\d+(?::\d+)?$";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(
            &[START],
            r"(?:Uncaught |error: |Uncaught \(in promise\) ?|Unhandled )*[A-Z][\w$.]*(?:Error|Exception)(?: \[[^\]]*\])?(?:: |:?$)",
            MESSAGE,
        ),
        maybe(
            &[START],
            r"(?:Uncaught |error: |Uncaught \(in promise\) ?)*Error(?: \[[^\]]*\])?(?:: |:?$)",
            MESSAGE,
        ),
        maybe(
            &[START],
            r"(?:Trace|Warning)(?:: |$)|error: |Unhandled [Rr]ejection|UnhandledPromiseRejection",
            MESSAGE,
        ),
        sure(&[START], r"\(node:\d+\) ", MESSAGE),
        maybe(&[START], r"[A-Z][a-z0-9]+[A-Z][\w$]*(?: \[[^\]]*\])?(?:: |$)", NAMED),
        sure(&[HEAD, MESSAGE, NAMED, FRAMES], FRAME, FRAMES),
        sure(&[MESSAGE, FRAMES], AT_SIGN, FRAMES),
        sure(
            &[FRAMES],
            r"[ \t]+at [\w$.<>#/\[\]@ -]+(?:\(.*\))?,?$|[ \t]+(?:\[?\.\.\. \d* ?(?:lines matching|more)|-{3,} ?(?:async|Promise))",
            FRAMES,
        ),
        sure(
            &[FRAMES],
            r"Emitted '|Thrown at:|From previous event:|[Cc]aused by: [A-Z][\w$]*(?:Error|Exception)|\(Use `(?:node|deno) ",
            FRAMES,
        ),
        maybe(&[FRAMES], r"    \^", FRAMES),
        text(&[MESSAGE], MESSAGE),
        // Properties: `    at … {`, indented lines, `}`.
        sure(&[HEAD, MESSAGE, FRAMES], r"[ \t]+at [^\s\d].* \{$", OBJECT),
        sure(&[START], r"\[[A-Z][\w$]*(?:: .*)?\] \{$", OBJECT),
        sure(&[OBJECT], r"[ \t]+\S", OBJECT),
        sure(&[OBJECT], r"[}\]]", END),
        // Uncaught: place, code, marker, a blank line, the error; Bun numbers the code instead.
        maybe(&[START], r"(?:/|file://|node:|[A-Za-z]:\\|\[eval|evalmachine\.|internal/)[^\s:]+:\d+$", PLACE),
        maybe(&[START, CODE], r"\d+ \| ", CODE),
        text(&[PLACE], CODE),
        sure(&[CODE], r"[ \t]*\^+$", MARKER),
        maybe(&[MARKER], BLANK, MARKER),
        sure(&[MARKER], r"[^ \t]", MESSAGE),
        // The foot.
        sure(&[MESSAGE, FRAMES], r"\(Use `(?:node|deno) --trace-(?:uncaught|warnings)", END),
        sure(&[MESSAGE], r"Thrown at:$", FRAMES),
        maybe(&[FRAMES, END], BLANK, END),
        sure(&[MESSAGE, FRAMES, END], r"Node\.js v[\d.]+(?:-\S+)?$|Bun v[\d.]+\S* \(", CLOSED),
        // Out of memory.
        sure(&[START], r"<--- Last few GCs --->$", MEMORY),
        sure(
            &[START, MEMORY],
            r"FATAL ERROR: .* - (?:JavaScript heap out of memory|process out of memory)|FATAL ERROR: ",
            MEMORY,
        ),
        sure(
            &[MEMORY],
            r"\[\d+:0x[0-9a-f]+\]|<--- JS stacktrace --->|-{5} (?:Native|JavaScript) stack trace -{5}|==== JS stack trace|[ \t]*\d+: 0x[0-9a-f]+ |Security context",
            MEMORY,
        ),
        maybe(&[MEMORY], BLANK, MEMORY),
    ],
    mentions: &[(Mention::Exception, MESSAGE)],
};
