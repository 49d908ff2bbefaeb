//! JavaScript and TypeScript: Node, Deno, Bun, browsers.
//!
//! Sources: V8's stack trace API, Node's `src/node_errors.cc` (the arrow message, the foot with the version) and
//! `lib/internal/util/inspect.js` (causes, object tails), `lib/internal/process/promises.js`, Deno's
//! `fmt_errors.rs`, Bun's crash output, Nitro, zone.js, winston, SpiderMonkey's and JavaScriptCore's `Error.prototype.stack`.

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
/// After a blank line where the code should be.
const CODE_BLANK: State = State::own(10);
/// Within an object or a list that is printed as it is: an error may be in it.
const LITERAL: State = State::own(11);
/// Within what Bun draws of several errors: its foot must follow.
const SEVERAL: State = State::own(12);
/// Within the fields that pino-pretty writes below a head line.
const FIELDS: State = State::own(13);
/// Below the frames among them.
const FIELDS_END: State = State::own(14);
/// Below the line of it that is marked.
const SHOWN: State = State::own(16);
/// Within the errors that Deno lists of an aggregate.
const AGGREGATE: State = State::own(17);
/// Within the code that Next.js shows below frames.
const SNIPPET: State = State::own(15);
/// After a line that says what the next one says again.
const ANNOUNCED: State = State::own(18);
/// After a system error of Bun, its properties follow.
const SYSTEM: State = State::own(19);
/// After an error by which Node aborts.
const ABORTED: State = State::own(20);
/// Below frames of Deno, after a blank line.
const ADVICE: State = State::own(22);
/// Among the frames that it then writes.
const FROM: State = State::own(21);

/// A frame beyond doubt: with its place.
const FRAME: &str = r"[ \t]+at [^\s\d].*(?::\d+:\d+|:wasm-function\[\d+\]|\((?:<anonymous>|native|index \d+|eval at )|<anonymous>$)";
/// `f@https://…/app.js:1:2`, as Firefox and Safari write it.
const AT_SIGN: &str = r"[\w.$<>/ *\[\]]*@(?:https?|file|moz-extension|webpack|app|resource|capacitor|blob):\S*:\d+(?::\d+)?$|[\w.$<>/ *]*@?\[native code\]$";
/// Where an uncaught error was thrown.
const THROWN: &str = r"(?:(?:/|file://|node:|[A-Za-z]:\\|\[eval|evalmachine\.|internal/)[^\s:]+|<anonymous_script>|\[worker eval\]|[\w./-]+\.(?:vm|[cm]?[jt]sx?)):\d+$";

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
            r#"Emitted '|Thrown at:|From previous event:|\(Use `(?:node|deno) |digest: ["']|[Cc]aused by: [{\["']"#,
            FRAMES,
        ),
        sure(&[FRAMES], r"[Cc]aused by:? (?:Uncaught )?(?:[A-Z][\w$]*)?(?:Error|Exception)\b", MESSAGE),
        // zone.js and winston say the error twice; Next.js says its place before.
        maybe(
            &[START],
            r"(?:ERROR )?Error: Uncaught \(in promise\): |error: (?:uncaughtException|unhandledRejection): | ?⨯ \S+ \(\d+:\d+\) @ ",
            ANNOUNCED,
        ),
        sure(&[ANNOUNCED], r"(?: ?⨯ )?(?:[A-Z][\w$.]*)?(?:Error|Exception)(?: \[[^\]]*\])?(?:: |$)", MESSAGE),
        // Nitro and Vite name themselves first.
        maybe(
            &[START],
            r"\[(?:nuxt|nitro|h3)\] \[(?:request error|uncaughtException|unhandledRejection|worker error)\]|(?:\d{1,2}:\d\d:\d\d [AP]M )?\[vite\] (?:\(\w+\) )?(?:Internal server error|Pre-transform error|Error when evaluating SSR module)",
            MESSAGE,
        ),
        // Bun writes the properties of a system error before its frames.
        maybe(
            &[START],
            r"(?:ENOENT|EACCES|EADDRINUSE|ECONNREFUSED|ECONNRESET|EPERM|EEXIST|EISDIR|ENOTDIR|ENOTEMPTY|EPIPE|ETIMEDOUT|EINVAL|EMFILE|EBADF): ",
            SYSTEM,
        ),
        maybe(&[SYSTEM], r#" +"?\w+"?: |[ \t]*$"#, SYSTEM),
        sure(&[SYSTEM], FRAME, FRAMES),
        // V8, told to abort.
        maybe(&[START], r"Uncaught ", ABORTED),
        maybe(&[ABORTED], BLANK, ABORTED),
        sure(&[ABORTED], r"FROM$", FROM),
        sure(&[FROM], r"[^\s(].* \(\S+:\d+:\d+\)$|\S+:\d+:\d+$", FROM),
        // Deno's advice.
        maybe(&[FRAMES], BLANK, ADVICE),
        sure(&[ADVICE], r"    (?:info|hint|docs): ", ADVICE),
        maybe(&[FRAMES], r"[ \t]+\.\.\.$", FRAMES),
        maybe(&[FRAMES, SNIPPET], r"  *\d+ \| ", SNIPPET),
        sure(&[SNIPPET], r"> *\d+ \| | +\| +\^", SHOWN),
        sure(&[SHOWN], r"  *\d+ \| | +\| +\^", SHOWN),
        maybe(&[FRAMES], r"    \^", FRAMES),
        text(&[MESSAGE], MESSAGE),
        // Properties: `    at … {`, indented lines, `}`.
        sure(&[HEAD, MESSAGE, FRAMES], r"[ \t]+at [^\s\d].* \{$", OBJECT),
        sure(&[START, HEAD, MARKER], r"\[[A-Z][\w$]*(?:: .*)?\] \{$", OBJECT),
        text(&[OBJECT], OBJECT),
        // Deno indents the errors of an aggregate by four blanks, their frames by eight.
        sure(&[START], r"error: (?:Uncaught )?(?:\(in promise\) )?AggregateError: ", AGGREGATE),
        sure(&[AGGREGATE], FRAME, AGGREGATE),
        text(&[AGGREGATE], AGGREGATE),
        maybe(&[START], r"[{\[]$|(?:[\w$.-]+|Unhandled [Rr]ejection at): Promise \{$", LITERAL),
        maybe(&[LITERAL], r"[ \t]+\S", LITERAL),
        sure(&[LITERAL], FRAME, OBJECT),
        // pino-pretty: all below the head line is indented.
        maybe(&[HEAD, FIELDS], r"    \s*\S", FIELDS),
        sure(&[FIELDS, FIELDS_END], FRAME, FIELDS_END),
        sure(&[FIELDS_END], r#"    \}|      \}|      ""#, FIELDS_END),
        maybe(&[FIELDS_END], r" {10,}\S", FIELDS_END),
        sure(&[OBJECT], r"[ \t]+\S", OBJECT),
        sure(&[OBJECT], r"[}\]]", END),
        sure(&[OBJECT], r"\} reason: ", MESSAGE),
        // Uncaught: place, code, marker, a blank line, the error; Bun numbers the code instead.
        maybe(&[START], THROWN, PLACE),
        sure(&[MARKER], r"\[worker eval\]:\d+$", PLACE),
        maybe(&[START, CODE], r"\d+ \| ", CODE),
        text(&[PLACE], CODE),
        // Neither code nor marker, where the text ended too early.
        maybe(&[PLACE, CODE, CODE_BLANK], BLANK, CODE_BLANK),
        sure(&[CODE_BLANK], r"(?:SyntaxError|Error)(?: \[[^\]]*\])?: ", MESSAGE),
        sure(&[CODE], r"[ \t]*\^+$", MARKER),
        maybe(&[MARKER], BLANK, MARKER),
        sure(&[MARKER], r"[^ \t]", MESSAGE),
        // The foot.
        sure(&[MESSAGE, FRAMES], r"\(Use `(?:node|deno) --trace-", END),
        sure(&[MESSAGE], r"Thrown at:$", FRAMES),
        maybe(&[FRAMES, END], BLANK, END),
        sure(&[MESSAGE, FRAMES, END], r"Node\.js v[\d.]+(?:-\S+)?$|Bun v[\d.]+\S* \(", CLOSED),
        // Several errors in Bun, a blank line or none between.
        maybe(&[START], r"\d+ \| ", SEVERAL),
        maybe(&[SEVERAL], r"\d+ \| |[ \t]|,|[\]}]|[\w$]*[eE]rror: |$", SEVERAL),
        sure(&[SEVERAL], r"Bun v[\d.]+\S* \(", CLOSED),
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
