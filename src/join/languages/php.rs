//! PHP.
//!
//! Sources: `Zend/zend_exceptions.c`, `main/main.c` (with and without its own date, `html_errors=0`), php-fpm's
//! `PHP message`, Xdebug's text stack, Monolog's `LineFormatter` as Laravel sets it up, Symfony's console dump.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text};

/// After `Uncaught …`, or what may be an exception: its message may run over lines.
const MESSAGE: State = State::own(0);
/// Among frames.
const FRAMES: State = State::own(1);
/// After `Stack trace:`, the first frame follows.
const STACK: State = State::own(9);
/// After the first line of a query that a logger's head line goes on with.
const QUERY: State = State::own(10);
/// After `[stacktrace]`, the first frame follows.
const OPEN: State = State::own(11);
/// After a blank line among them.
const BLANKED: State = State::own(2);
/// After `thrown in … on line …`.
const CLOSED: State = State::own(3);
/// After an error without an exception, which Xdebug and `display_errors` may add a stack to.
const ERROR: State = State::own(4);
/// Among Monolog's frames.
const STACKTRACE: State = State::own(5);
/// After the `[` below a head line that may begin a dump.
const OPENED: State = State::own(6);
/// Within the dump.
const DUMP: State = State::own(7);
/// Among the numbered lines of a stack.
const NUMBERED: State = State::own(8);

/// `#1 /app/cart.php(12): total()`, `#2 [internal function]: f()`, `#3 {main}`, but not the first.
const FRAME: &str = r"#[1-9]\d* (?:\{main\}|\[internal function\]|[^\s#].*\(\d+\): )";
/// The first of them.
const FIRST: &str = r"#0 (?:\{main\}|\[internal function\]|[^\s#].*\(\d+\): )";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(
            &[START],
            r"(?:\[[^\]]*\] )?(?:[A-Z]+: )?(?:PHP message: )?(?:PHP )?(?:Fatal error|Recoverable fatal error|Catchable fatal error): +Uncaught ",
            MESSAGE,
        ),
        sure(&[START], r"(?:PHP )?Fatal error: +Uncaught |Uncaught (?:[A-Z]\w*\\)*[A-Z]\w*: ", MESSAGE),
        text(&[MESSAGE], MESSAGE),
        sure(&[MESSAGE, BLANKED, FRAMES, ERROR], r"(?:PHP )?Stack trace:$", STACK),
        sure(&[STACK], FIRST, FRAMES),
        sure(&[FRAMES], FRAME, FRAMES),
        sure(&[FRAMES], r"[ \t]+thrown in ", CLOSED),
        maybe(&[FRAMES], BLANK, BLANKED),
        sure(&[FRAMES, BLANKED], r"Next [A-Za-z_\\]", MESSAGE),
        // Frames by themselves, as getTraceAsString gives them.
        sure(
            &[START, HEAD, MESSAGE],
            r"#0 (?:\{main\}|\[internal function\]|[^\s:]+\.\w+\(\d+\)): ?|#0 \{main\}",
            FRAMES,
        ),
        // Other errors, with the stack that an extension adds.
        maybe(
            &[START],
            r"(?:\[[^\]]*\] )?(?:PHP )?(?:Fatal error|Parse error|Warning|Notice|Deprecated|Strict Standards): ",
            ERROR,
        ),
        sure(&[ERROR], r"(?:\[[^\]]*\] )?PHP Stack trace:|Call Stack:$", NUMBERED),
        maybe(&[ERROR], BLANK, ERROR),
        sure(&[NUMBERED], r"(?:\[[^\]]*\] )?PHP +\d+\. |[ \t]+[\d.]+ +\d+ +\d+\. ", NUMBERED),
        // Monolog with line breaks.
        sure(&[HEAD, MESSAGE, QUERY], r"\[stacktrace\]", OPEN),
        sure(&[OPEN], FIRST, STACKTRACE),
        // The head line may hold a query that runs over lines.
        maybe(&[HEAD], r"[ \t]*[^\s\[#]", QUERY),
        text(&[QUERY], QUERY),
        sure(&[STACKTRACE], FRAME, STACKTRACE),
        maybe(&[STACKTRACE], BLANK, STACKTRACE),
        sure(&[STACKTRACE], r"\[previous exception\]", STACKTRACE),
        sure(&[STACKTRACE], r"\[stacktrace\]", OPEN),
        sure(&[STACKTRACE], r#""\}"#, CLOSED),
        // Symfony's dump of a context.
        maybe(&[HEAD], r"\[$", OPENED),
        sure(&[OPENED], r#"  "(?:exception|error)" => "#, DUMP),
        sure(&[DUMP], r"[ \t]+\S", DUMP),
        sure(&[DUMP], r"\]", CLOSED),
    ],
    mentions: &[(Mention::Exception, MESSAGE)],
};
