//! Python.
//!
//! Sources: the `traceback` module and `Python/traceback.c` of CPython 3.6 to 3.14 (markers `^` and `~`, exception
//! groups, chains, `[Previous line repeated …]`, `SyntaxError` heads), `threading.excepthook`, `multiprocessing`,
//! `asyncio`'s default exception handler, `logging.Handler.handleError`, `faulthandler`, `socketserver`, IPython.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text, unheaded};

/// After `Traceback (most recent call last):` and among frames.
const FRAMES: State = State::own(0);
/// After `ValueError: x`.
const LAST: State = State::own(1);
/// After a blank line after it.
const LAST_BLANK: State = State::own(2);
/// After `During handling of the above exception, another exception occurred:`.
const CHAIN: State = State::own(3);
/// After a line that announces a traceback.
const ANNOUNCED: State = State::own(4);
/// Within the traceback of an exception group.
const GROUP: State = State::own(5);
/// After the head of a syntax error, which has no traceback.
const SYNTAX: State = State::own(6);
/// Within the lines that pydantic writes for each field.
const FIELDS: State = State::own(7);
/// Within what SQLAlchemy adds to a driver's error.
const STATEMENT: State = State::own(8);
/// After the line of the statement that a database points into.
const POINTED: State = State::own(13);
/// Among the frames that faulthandler writes.
const FAULT: State = State::own(9);
/// Among the frames of `Call stack:` that logging writes of its own errors.
const CALL_STACK: State = State::own(10);
/// After what the record said.
const ARGUMENTS: State = State::own(12);
/// Within details that a library's exception is known to have below its first line.
const DETAIL: State = State::own(14);
/// After a blank line within them.
const DETAIL_BLANK: State = State::own(15);
/// Within the JVM's trace that Py4J adds.
const JVM: State = State::own(16);
/// Within the frame that rich draws around a traceback.
const DRAWN: State = State::own(17);
/// After that frame, the exception follows.
const DRAWN_END: State = State::own(18);
/// Within a traceback that Twisted's log indents by a tab.
const TABBED: State = State::own(19);
/// Among frames without a head, as `print_stack` writes them.
const BARE: State = State::own(20);
/// After the code below one of them.
const BARE_CODE: State = State::own(23);
/// After the end of an exception group.
const GROUP_END: State = State::own(24);
/// After a blank line there: one of a group may be chained to the next.
const GROUP_CHAIN: State = State::own(35);
/// After what announces a value that jsonschema shows.
const VALUE: State = State::own(25);
/// Within the response that the Kubernetes client shows.
const RESPONSE: State = State::own(26);
/// Within the status of a call that gRPC shows.
const RPC: State = State::own(27);
/// After the line of it that is shown.
const SHOWN: State = State::own(28);
/// Within such a value.
const VALUES: State = State::own(29);
/// After an exception that Ray brings from a worker.
const RAY: State = State::own(22);
/// Below a place in YAML, the text is shown.
const SNIPPET: State = State::own(21);
/// After a traceback in quotes, of another process.
const QUOTED: State = State::own(11);
/// After a rule that may be socketserver's or IPython's.
const RULE: State = State::own(30);
/// Between socketserver's two rules, whatever else is held.
const BETWEEN_RULES: State = State::own(31);
/// After the second of them.
const CLOSED: State = State::own(32);
/// Within a traceback as IPython shows it.
const CELLS: State = State::own(33);
/// After a blank line within it.
const CELLS_BLANK: State = State::own(34);

const TRACEBACK: &str = r"Traceback \((?:most recent call last|innermost last)\):";
/// The exception itself: a dotted name, alone or before a colon.
const EXCEPTION: &str =
    r"[A-Za-z_][\w.]*(?:\.<locals>\.[\w.<>]+)?(?:\(\w+\))?(?:\x1b\[[0-9;]*m)*(?:$|:(?:[ \x1b]|$))";
/// What begins the details of: PyYAML, Playwright, Selenium, PyTorch, httpx.
const DETAILED: &str = concat!(
    r#"  in "[^"]*", line \d+, column \d+$|"#,
    r"Call log:$|  - (?:waiting|navigating|locator|attempting)|  \(Session info: |Stacktrace:$|#\d+ 0x[0-9a-f]+ |",
    r"CUDA kernel errors might |For debugging consider passing CUDA_LAUNCH_BLOCKING|Compile with `TORCH_USE_CUDA_DSA`|",
    r"For more information check: https://(?:developer\.mozilla\.org|httpstatuses\.com)/|",
    r"\t(?:Missing key|Unexpected key|size mismatch|While copying)"
);
/// A line that a traceback is chained to the next by.
const CHAINED: &str = r"(?:During handling of the above exception, another exception occurred|The above exception was the direct cause of the following exception):$";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START, CHAIN, ANNOUNCED, QUOTED], TRACEBACK, FRAMES),
        sure(&[HEAD], r#"  File ""#, FRAMES),
        // Frames and the code below them, with its markers.
        sure(
            &[FRAMES],
            r#"[> ] File (?:\x1b\[[0-9;]*m)*"|    \s*\S|\tFile "|\t\t\S|  \[Previous line repeated \d+ more times?\]|    $"#,
            FRAMES,
        ),
        sure(&[FRAMES], EXCEPTION, LAST),
        maybe(&[FRAMES], BLANK, FRAMES),
        // Chains.
        maybe(&[LAST], BLANK, LAST_BLANK),
        sure(&[LAST, LAST_BLANK, DETAIL, DETAIL_BLANK, STATEMENT], CHAINED, CHAIN),
        maybe(&[CHAIN], BLANK, CHAIN),
        // The message of an exception that is not the last of its chain may run over lines.
        text(&[LAST], LAST),
        sure(&[LAST, DETAIL], DETAILED, DETAIL),
        sure(&[DETAIL], r"expected <?[a-z ]+>?, but found ", DETAIL),
        // gRPC.
        sure(&[LAST, RPC], r"\t(?:status|details|debug_error_string) = ", RPC),
        sure(&[RPC], r">$", LAST),
        // The Kubernetes client.
        sure(&[FRAMES], r"[\w.]*ApiException: \(\d+\)$", RESPONSE),
        sure(&[RESPONSE], r"Reason: |HTTP response headers: ", RESPONSE),
        sure(&[RESPONSE], r"HTTP response body: ", LAST),
        sure(&[LAST, DETAIL], r#"  in "[^"]*", line \d+, column \d+:$"#, SNIPPET),
        sure(&[SNIPPET], r"    \s*\S", SHOWN),
        sure(&[SHOWN], r"    \s*\^$", DETAIL),
        sure(&[LAST_BLANK, DETAIL_BLANK], r"(?:Failed validating '.* in schema|On instance).*:$", VALUE),
        sure(&[VALUE], r"    \s*\S", VALUES),
        maybe(&[VALUES], r"    \s*\S", VALUES),
        maybe(&[VALUES, DETAIL], BLANK, DETAIL_BLANK),
        text(&[DETAIL], DETAIL),
        sure(&[LAST], r": (?:[a-z]\w*\.)+[A-Z][\w$]*(?::|$)", JVM),
        sure(
            &[JVM],
            r"[ \t]+at [\w$.@/<>-]+\(|[ \t]*\.\.\. \d+ more$|Caused by: (?:[a-z]\w*\.)+[A-Z]|Driver stacktrace:$",
            JVM,
        ),
        maybe(&[JVM], BLANK, JVM),
        text(&[JVM], JVM),
        // Ray: a worker's frames below the exception.
        maybe(&[START], r"ray\.exceptions\.\w+", RAY),
        sure(&[FRAMES], r"ray\.exceptions\.\w+", RAY),
        sure(&[RAY], r#"  File ""#, FRAMES),
        // rich.
        sure(&[START, HEAD, CHAIN], r"[ \t]*(?:╭─+|\+-+) Traceback \(most recent call last\) ", DRAWN),
        sure(&[DRAWN], r"[ \t]*(?:│|\|) ", DRAWN),
        sure(&[DRAWN], r"[ \t]*(?:╰─+╯|\+-+\+)[ \t]*$", DRAWN_END),
        sure(&[DRAWN_END], EXCEPTION, LAST),
        // socketserver: between two rules, whatever the exception says.
        maybe(&[START], r"-{40}$", RULE),
        sure(
            &[START, RULE],
            r"Exception (?:occurred|happened) during processing of request from ",
            ANNOUNCED,
        ),
        maybe(&[RULE], r"Exception (?:occurred|happened) during processing of request from ", BETWEEN_RULES),
        maybe(&[BETWEEN_RULES], r"[^\d\[{-]|$", BETWEEN_RULES),
        sure(&[BETWEEN_RULES], r"-{40}$", CLOSED),
        // IPython.
        maybe(&[START], r"-{75}$", RULE),
        sure(&[START, RULE], r"[A-Z]\w* +Traceback \(most recent call last\)$", CELLS),
        sure(
            &[CELLS, CELLS_BLANK],
            r"(?:Cell )?In ?\[|(?:File |Input |<ipython|/)\S|-+> ?\d+ | {3,}\d+(?: |$)| +\(\.\.\.\)$",
            CELLS,
        ),
        maybe(&[CELLS, CELLS_BLANK], BLANK, CELLS_BLANK),
        sure(&[CELLS, CELLS_BLANK], EXCEPTION, LAST),
        // Twisted.
        sure(&[START, HEAD], r"\tTraceback \(most recent call last\):", TABBED),
        sure(&[TABBED], r"\t(?:  |[A-Za-z_][\w.]*(?::|$)|$)", TABBED),
        // A stack without a head.
        maybe(&[START], r#"  File "[^"]+", line \d+, in \S"#, BARE),
        sure(&[BARE], r"    \s*\S", BARE_CODE),
        maybe(&[BARE_CODE], r"    \s*\S", BARE_CODE),
        unheaded(&[BARE, BARE_CODE], r#"  File ""#, BARE),
        // Below an exception too, where a record has both.
        sure(&[START, HEAD, LAST], r"Stack \(most recent call last\):$", BARE),
        // A syntax error found while compiling has no traceback, or ends one.
        maybe(&[START], r#"  File "[^"]+", line \d+$"#, SYNTAX),
        sure(&[HEAD], r#"  File "[^"]+", line \d+$"#, SYNTAX),
        sure(&[SYNTAX], r"    ", SYNTAX),
        sure(&[SYNTAX], r"(?:SyntaxError|IndentationError|TabError): ", LAST),
        // Exception groups.
        sure(&[START, CHAIN, ANNOUNCED], r"  \+ Exception Group Traceback \(most recent call last\):", GROUP),
        sure(&[GROUP], r"\s+\||\s+\+-(?:\+-| ?\.{3}|-* \d+ -|-* \.\.\. -)", GROUP),
        sure(&[GROUP_END], r"\s+\+-+ (?:\d+|\.\.\.) -", GROUP),
        maybe(&[GROUP_END], r"\s+\| ?$", GROUP_CHAIN),
        sure(&[GROUP_CHAIN], r"\s+\| (?:During handling of|The above exception was)", GROUP),
        sure(&[GROUP], r"\s{4,}\+-+$", GROUP_END),
        sure(&[GROUP], r"\s{4,}\+-+$", LAST),
        maybe(&[GROUP], BLANK, LAST_BLANK),
        // A message that runs over lines was not indented before 3.13.
        text(&[GROUP], GROUP),
        // What announces a traceback: threads, callbacks, tasks, other processes.
        sure(&[START], r"Exception in thread \S.*:$", ANNOUNCED),
        maybe(
            &[START],
            r"Exception ignored in[: ]|Exception ignored (?:while|on) |Exception in callback |Unhandled exception in event loop|Error in (?:sys\.excepthook|atexit)|Error in atexit\._run_exitfuncs:|Original exception was:$|Process \S+:$|Unhandled exception in thread|Exception in Tkinter callback",
            ANNOUNCED,
        ),
        maybe(
            &[START],
            r"(?:Task|Future|_GatheringFuture) exception was never retrieved|Task was destroyed but it is pending!|unhandled exception during asyncio\.run\(\) shutdown",
            ANNOUNCED,
        ),
        maybe(
            &[ANNOUNCED, HEAD],
            r"(?:future|task|handle|protocol|transport|source_traceback|message|exception): ",
            ANNOUNCED,
        ),
        sure(
            &[ANNOUNCED],
            r"(?:source_traceback: )?Object created at \(most recent call last\):|Handle created at",
            FRAMES,
        ),
        sure(&[ANNOUNCED], r"BrokenPipeError: ", LAST),
        sure(&[LAST, LAST_BLANK], r"Original exception was:$", ANNOUNCED),
        maybe(&[ANNOUNCED], BLANK, ANNOUNCED),
        // asyncio's debug mode writes where the task was made, then the traceback.
        sure(&[FRAMES], TRACEBACK, FRAMES),
        // logging's report of an error of its own.
        maybe(&[START], r"--- Logging error ---$", ANNOUNCED),
        sure(&[LAST], r"Call stack:$", CALL_STACK),
        sure(&[CALL_STACK], r#"  File "|    \s*\S"#, CALL_STACK),
        sure(&[CALL_STACK, ARGUMENTS], r"(?:Message: |Arguments: |Unable to print the message)", ARGUMENTS),
        // A traceback of another process, in quotes.
        sure(
            &[START],
            r#"(?:concurrent\.futures\.process\._RemoteTraceback|multiprocessing\.pool\.RemoteTraceback):\s*$"#,
            QUOTED,
        ),
        sure(&[QUOTED, LAST], r#"""""#, QUOTED),
        maybe(&[QUOTED], BLANK, LAST_BLANK),
        // The interpreter's own end.
        sure(&[START], r"Fatal Python error: ", FAULT),
        maybe(&[START], r"Timeout \(\d+:\d\d:\d\d", FAULT),
        sure(&[START], r"(?:Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\):$", FAULT),
        maybe(&[FAULT], BLANK, FAULT),
        sure(
            &[FAULT],
            r#"  File "|  <no Python frame>|Python runtime state: |Extension modules: |  \.\.\.|  Garbage-collecting|Stack \(most recent call first\)"#,
            FAULT,
        ),
        unheaded(&[FAULT], r"(?:Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\)", FAULT),
        // pydantic: the fields that are wrong, in lines of their own.
        sure(&[FRAMES], r"[\w.]*ValidationError: \d+ validation errors? for ", FIELDS),
        maybe(&[FIELDS], r"[\w.\[\]-]+(?: -> [\w.\[\]-]+)*$", FIELDS),
        sure(&[FIELDS], r"  \S.*(?:\[type=|\(type=)|    For further information visit ", FIELDS),
        maybe(&[FIELDS], BLANK, LAST_BLANK),
        // SQLAlchemy: the database's details, the statement, a link.
        sure(&[FRAMES], r"sqlalchemy\.exc\.\w+: ", STATEMENT),
        sure(&[FRAMES], r"(?:psycopg2?|asyncpg|django\.db|psycopg2\.errors)\.[\w.]+: ", STATEMENT),
        sure(&[STATEMENT], r"(?:DETAIL|HINT|CONTEXT|LINE \d+):?\s|\tIs the server running ", STATEMENT),
        sure(&[STATEMENT], r"LINE \d+:\s", POINTED),
        sure(&[POINTED], r"\s+\^\s*$", STATEMENT),
        maybe(&[STATEMENT], BLANK, STATEMENT),
        sure(&[STATEMENT], r"\[(?:SQL|parameters): |\(Background on this error at: ", STATEMENT),
        text(&[STATEMENT], STATEMENT),
    ],
    mentions: &[(Mention::Traceback, FRAMES)],
};
