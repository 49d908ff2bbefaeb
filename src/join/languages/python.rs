//! Python.
//!
//! Sources: the `traceback` module and `Python/traceback.c` of CPython 3.6 to 3.14 (markers `^` and `~`, exception
//! groups, chains, `[Previous line repeated …]`, `SyntaxError` heads), `threading.excepthook`, `multiprocessing`,
//! `asyncio`'s default exception handler, `logging.Handler.handleError`, `faulthandler`.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text};

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
/// After a traceback in quotes, of another process.
const QUOTED: State = State::own(11);

const TRACEBACK: &str = r"Traceback \((?:most recent call last|innermost last)\):";
/// The exception itself: a dotted name, alone or before a colon.
const EXCEPTION: &str = r"[A-Za-z_][\w.]*(?:\.<locals>\.[\w.<>]+)?(?:$|:(?: |$))";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START, CHAIN, ANNOUNCED, QUOTED], TRACEBACK, FRAMES),
        sure(&[HEAD], r#"  File ""#, FRAMES),
        // Frames and the code below them, with its markers.
        sure(
            &[FRAMES],
            r#"[> ] File "|    \s*\S|  \[Previous line repeated \d+ more times?\]|    $"#,
            FRAMES,
        ),
        sure(&[FRAMES], EXCEPTION, LAST),
        maybe(&[FRAMES], BLANK, FRAMES),
        // Chains.
        maybe(&[LAST], BLANK, LAST_BLANK),
        sure(
            &[LAST, LAST_BLANK],
            r"(?:During handling of the above exception, another exception occurred|The above exception was the direct cause of the following exception):$",
            CHAIN,
        ),
        maybe(&[CHAIN], BLANK, CHAIN),
        // The message of an exception that is not the last of its chain may run over lines.
        text(&[LAST], LAST),
        // A syntax error found while compiling has no traceback, or ends one.
        maybe(&[START], r#"  File "[^"]+", line \d+$"#, SYNTAX),
        sure(&[HEAD], r#"  File "[^"]+", line \d+$"#, SYNTAX),
        sure(&[SYNTAX], r"    ", SYNTAX),
        sure(&[SYNTAX], r"(?:SyntaxError|IndentationError|TabError): ", LAST),
        // Exception groups.
        sure(&[START, CHAIN, ANNOUNCED], r"  \+ Exception Group Traceback \(most recent call last\):", GROUP),
        sure(&[GROUP], r"\s+\||\s+\+-(?:\+-| ?\.{3}|-* \d+ -|-* \.\.\. -)|\s{6,}\+-", GROUP),
        sure(&[GROUP], r"    \+-+$", LAST),
        maybe(&[GROUP], BLANK, LAST_BLANK),
        // What announces a traceback: threads, callbacks, tasks, other processes.
        sure(&[START], r"Exception in thread \S.*:$", ANNOUNCED),
        maybe(
            &[START],
            r"Exception ignored in[: ]|Exception in callback |Unhandled exception in event loop|Error in (?:sys\.excepthook|atexit)|Error in atexit\._run_exitfuncs:|Original exception was:|Process \S+:$|Unhandled exception in thread|Exception in Tkinter callback",
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
        sure(&[ANNOUNCED], r"Object created at \(most recent call last\):|Handle created at", FRAMES),
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
        maybe(&[FAULT], BLANK, FAULT),
        sure(
            &[FAULT],
            r#"(?:Current thread|Thread) 0x[0-9a-f]+|  File "|  <no Python frame>|Python runtime state: |Extension modules: |  \.\.\.|  Garbage-collecting|Stack \(most recent call first\)"#,
            FAULT,
        ),
        // pydantic: the fields that are wrong, in lines of their own.
        sure(&[FRAMES], r"[\w.]*ValidationError: \d+ validation errors? for ", FIELDS),
        maybe(&[FIELDS], r"[\w.\[\]-]+(?: -> [\w.\[\]-]+)*$", FIELDS),
        sure(&[FIELDS], r"  \S.*(?:\[type=|\(type=)|    For further information visit ", FIELDS),
        maybe(&[FIELDS], BLANK, LAST_BLANK),
        // SQLAlchemy: the database's details, the statement, a link.
        sure(&[FRAMES], r"sqlalchemy\.exc\.\w+: ", STATEMENT),
        sure(&[FRAMES], r"(?:psycopg2?|asyncpg|django\.db|psycopg2\.errors)\.[\w.]+: ", STATEMENT),
        sure(&[STATEMENT], r"(?:DETAIL|HINT|CONTEXT|LINE \d+):?\s", STATEMENT),
        sure(&[STATEMENT], r"LINE \d+:\s", POINTED),
        sure(&[POINTED], r"\s+\^\s*$", STATEMENT),
        maybe(&[STATEMENT], BLANK, STATEMENT),
        sure(&[STATEMENT], r"\[(?:SQL|parameters): |\(Background on this error at: ", STATEMENT),
        sure(
            &[STATEMENT],
            r"(?:During handling of the above exception, another exception occurred|The above exception was the direct cause of the following exception):$",
            CHAIN,
        ),
        text(&[STATEMENT], STATEMENT),
    ],
    mentions: &[(Mention::Traceback, FRAMES)],
};
