//! PHP.
//!
//! Sources: `Zend/zend_exceptions.c`, `main/main.c` (with and without its own date, `html_errors=0`), php-fpm's
//! `PHP message`, Xdebug's text stack, Monolog's `LineFormatter` as Laravel sets it up, Symfony's console and dumps, Collision,
//! CakePHP, CodeIgniter, Yii.

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
/// Among frames as CakePHP lists them.
const LISTED: State = State::own(12);
/// Among frames as CodeIgniter numbers them.
const COUNTED: State = State::own(13);
/// Within what a database says, as Yii prints it.
const INFORMATION: State = State::own(14);
/// Within the array that it is.
const ARRAY: State = State::own(23);
/// After what may be the class that Collision begins with.
const CLASS: State = State::own(15);
/// Within the code and the frames that it shows.
const SHOWN: State = State::own(16);
/// After a blank line there.
const SHOWN_BLANK: State = State::own(17);
/// After the place that Symfony's console names; a block follows, padded with blanks.
const PADDED: State = State::own(20);
/// After its first line, all blanks.
const PADDING: State = State::own(22);
/// Within that block.
const BLOCK: State = State::own(18);
/// After its last line.
const BLOCK_END: State = State::own(19);
/// Among the frames that it writes when it is to say more.
const TRACED: State = State::own(21);

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
        // CakePHP, CodeIgniter, Yii.
        maybe(&[HEAD], r"Stack Trace:$", LISTED),
        sure(
            &[LISTED],
            r"- (?:/\S+:\d+|\[(?:main|internal)\])|Request URL: |Referer URL: |Client IP: ",
            LISTED,
        ),
        maybe(&[HEAD], r"\[Method: [A-Z]+, Route: ", COUNTED),
        sure(&[HEAD, COUNTED], r"in [A-Z]+PATH\S+ on line \d+\.$", COUNTED),
        sure(
            &[COUNTED],
            r" {0,2}\d+ (?:[A-Z]+PATH/|/|\[internal function\])(?:\S+\(\d+\))?: |\[Caused by\] ",
            COUNTED,
        ),
        maybe(&[FRAMES], r"Additional Information:$", INFORMATION),
        sure(&[INFORMATION], r"Array$", ARRAY),
        sure(&[ARRAY], r"\($|    \[\d+\] => ", ARRAY),
        sure(&[ARRAY], r"\)$", CLOSED),
        // Collision: class, message, place, code, frames.
        maybe(&[START], r"   [A-Z]\w*(?:\\\w+)* +$", CLASS),
        maybe(&[CLASS], r"  \S|[ \t]*$", CLASS),
        sure(&[CLASS], r"  at \S+\.php:\d+$", SHOWN),
        sure(&[SHOWN], r"    +\d+▕|  ➜ +\d+▕", SHOWN),
        maybe(&[SHOWN, SHOWN_BLANK], BLANK, SHOWN_BLANK),
        sure(&[SHOWN, SHOWN_BLANK], r"      \+\d+ vendor frames|  \d+ +\S+:\d+$", SHOWN),
        sure(&[SHOWN], r"      [\w\\{}]+(?:::|->)\S+\(.*\)$", SHOWN),
        // Symfony's console.
        maybe(&[START], r"In \S+\.php line \d+:$", PADDED),
        maybe(&[PADDED], r" {4,}$", PADDING),
        sure(&[PADDING], r"  \S", BLOCK),
        sure(&[BLOCK], r"  \S", BLOCK),
        sure(&[BLOCK], r" {4,}$", BLOCK_END),
        maybe(&[BLOCK_END], BLANK, BLOCK_END),
        sure(&[BLOCK_END], r"Exception trace:$", TRACED),
        sure(&[TRACED], r"  at \S+:\d+$| [A-Z]\S* at \S+:\d+$", TRACED),
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
