//! The JVM: Java, Kotlin, Scala, Groovy, Clojure.
//!
//! Sources: `Throwable.printStackTrace` (OpenJDK), `ThreadGroup.uncaughtException`, logback's and log4j2's
//! `ThrowableProxy` renderers (`common frames omitted`, packaging data, `Wrapped by`), `javac` and the launcher's
//! `Error: …` heads, java.util.logging's `SimpleFormatter`.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text};

/// After an exception's first line: its message may run over lines.
const MESSAGE: State = State::own(0);
/// After the name of some class, which may be an exception or not.
const NAMED: State = State::own(1);
/// Among frames.
const FRAMES: State = State::own(2);
/// After a blank line among frames.
const BLANKED: State = State::own(3);
/// After java.util.logging's first line: the date and who logs.
const LOGGING: State = State::own(4);
/// Among the lines that Dropwizard marks.
const MARKED: State = State::own(6);
/// After what the launcher says before an exception.
const LAUNCHER: State = State::own(7);
/// Within a Python traceback that Spark has as its message.
const PYTHON: State = State::own(8);
/// Within the access records of a leak that Netty found.
const LEAK: State = State::own(9);
/// Within what Reactor says of where a sequence was assembled.
const ASSEMBLY: State = State::own(10);
/// After its second: level and message.
const LOGGED: State = State::own(5);

/// `com.acme.OrderException: no stock`, with the thread's name or `Caused by:` before.
const EXCEPTION: &str = r"(?:[A-Za-z_$][\w$]*[./])*[A-Z][\w$]*(?:Exception|Error|Throwable|Failure|Fault|Death|Interrupt)(?:\$[\w$]*)?(?::[ \t]|:?[ \t]*$)";
/// A frame, or what stands among frames.
const FRAME: &str = r"[ \t]+at [A-Za-z_$<][^(]*\(|[ \t]*\.\.\. \d+ (?:more|common frames omitted|filtered|truncated)$|[ \t]*\[CIRCULAR REFERENCE|[ \t]*\(Coroutine boundary\)|[ \t]+- locked <";
/// What heads the next exception of a chain.
const CAUSE: &str =
    r"[ \t]*(?:Caused by|Wrapped by|Suppressed): (?:\[CIRCULAR REFERENCE|(?:[\w$-]+[./])*[A-Z][\w$]*(?::|$))";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START], EXCEPTION, MESSAGE),
        sure(&[START], r#"Exception in thread ""#, MESSAGE),
        maybe(
            &[START],
            r"Error occurred during initialization of (?:VM|boot layer)$|Error: A JNI error has occurred",
            LAUNCHER,
        ),
        sure(&[LAUNCHER], r#"Exception in thread "|(?:[a-z_][\w$]*\.){2,}[A-Z][\w$]*(?:: |$)"#, MESSAGE),
        sure(&[START], r"Exception: [\w.$]+ thrown from the UncaughtExceptionHandler", FRAMES),
        // Any class with its package, such as `scala.concurrent.Foo: x`, as long as a frame follows at once.
        maybe(&[START], r"(?:[a-z_][\w$]*\.){2,}[A-Z][\w$]*(?:: |:?$)", NAMED),
        maybe(&[START], r"(?:Caused by|Suppressed|Wrapped by): (?:[a-z_][\w$]*\.)+[A-Z][\w$]*", MESSAGE),
        sure(
            &[HEAD, MESSAGE, NAMED, FRAMES, BLANKED, LOGGED],
            r"[ \t]+at (?:[\w$.@/~-]+/)?(?:[\w$<>-]+\.)+[^(]*\(",
            FRAMES,
        ),
        sure(&[MESSAGE, FRAMES], FRAME, FRAMES),
        sure(
            &[BLANKED],
            r"[ \t]+at [A-Za-z_$<][^(]*\(|[ \t]*\.\.\. \d+ (?:more|common frames omitted)$",
            FRAMES,
        ),
        sure(&[HEAD, FRAMES, BLANKED], CAUSE, MESSAGE),
        // A cause right after a message, where frames are off (`%ex{short}`) or left out by the JVM.
        sure(
            &[MESSAGE],
            r"[ \t]*(?:Caused by|Wrapped by|Suppressed): (?:[a-z_][\w$]*\.)+[A-Z][\w$]*",
            MESSAGE,
        ),
        // `nested exception is:`, then the nested one on a line of its own, as java.rmi and javax.xml.rpc write it.
        maybe(&[MESSAGE, FRAMES, BLANKED], r"[; \t]*nested exception is:", MESSAGE),
        maybe(&[MESSAGE, FRAMES], r"[ \t]+(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:: |$)", MESSAGE),
        maybe(&[FRAMES], BLANK, BLANKED),
        // Spark: a worker's Python traceback as the message, then the JVM's frames; the driver's below a blank line.
        sure(&[START], r"org\.apache\.spark\.api\.python\.PythonException: Traceback \(", PYTHON),
        sure(&[PYTHON], r#"  File "|    \s*\S|[A-Za-z_][\w.]*(?::|$)"#, PYTHON),
        text(&[PYTHON], PYTHON),
        sure(&[PYTHON], r"[ \t]+at (?:[\w$.@/~-]+/)?(?:[\w$<>-]+\.)+[^(]*\(", FRAMES),
        sure(&[FRAMES, BLANKED], r"Driver stacktrace:$", FRAMES),
        // Reactor.
        sure(
            &[MESSAGE, FRAMES, ASSEMBLY],
            r"Assembly trace from producer \[|Error has been observed at the following site\(s\):$",
            ASSEMBLY,
        ),
        sure(&[ASSEMBLY], r"[ \t]+[*|]_|[ \t]+(?:[\w$]+\.)+[\w$<>]+\(", ASSEMBLY),
        sure(&[ASSEMBLY], r"Original Stack Trace:$", FRAMES),
        // Netty.
        maybe(&[HEAD], r"Recent access records:", LEAK),
        sure(&[LEAK], r"#\d+:$|Created at:$|\t(?:Hint: |[\w.$/]+\()", LEAK),
        text(&[MESSAGE], MESSAGE),
        // Dropwizard: `! ` before each line.
        sure(&[HEAD], r"! (?:[a-z_][\w$]*\.)+[A-Z]|! [A-Z]\w*(?:Exception|Error)", MARKED),
        sure(&[MARKED], r"! ", MARKED),
        // Nov 22, 2026 10:00:00 AM com.acme.Api handle / SEVERE: failed / java.lang.…
        maybe(&[START], r"[A-Z][a-z]{2} \d{1,2}, \d{4},? \d{1,2}:\d\d:\d\d.[AP]M \S+(?: \S+)?$", LOGGING),
        maybe(&[LOGGING], r"(?:SEVERE|WARNING): ", LOGGED),
        sure(&[LOGGED], EXCEPTION, MESSAGE),
    ],
    mentions: &[(Mention::Exception, MESSAGE)],
};
