//! The JVM: Java, Kotlin, Scala, Groovy, Clojure.
//!
//! Sources: `Throwable.printStackTrace` (OpenJDK), `ThreadGroup.uncaughtException`, logback's and log4j2's
//! `ThrowableProxy` renderers (`common frames omitted`, packaging data, `Wrapped by`), `javac` and the launcher's
//! `Error: …` heads, java.util.logging's `SimpleFormatter`, HotSpot's error report and thread dump.

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
/// After `Caught: …`, by which Groovy's launcher says what it prints again.
const CAUGHT: State = State::own(11);
/// After what Play puts between head line and exception.
const REQUEST: State = State::own(12);
/// Among lines that sbt marks.
const MARKED_BY_SBT: State = State::own(13);
/// Within the history that Camel draws of a message.
const HISTORY: State = State::own(14);
/// After the `#` that may head the JVM's last words.
const HASH: State = State::own(15);
/// Within them.
const LAST_WORDS: State = State::own(16);
/// After a bare `#` within them; two in a row do not come.
const LAST_HASH: State = State::own(21);
/// Within what Clojure's main says of an error.
const REPORT: State = State::own(22);
/// After the line below which the report's file is named.
const REPORTED: State = State::own(23);
/// After the date of a thread dump.
const DUMP_DATE: State = State::own(17);
/// Within a thread dump.
const DUMP: State = State::own(18);
/// Within its list of threads.
const ELEMENTS: State = State::own(24);
/// After a blank line within it.
const DUMP_BLANK: State = State::own(19);
/// After `java.lang.OutOfMemoryError: …` where the heap is dumped.
const HEAP: State = State::own(20);

/// `com.acme.OrderException: no stock`, with the thread's name or `Caused by:` before.
const EXCEPTION: &str = r"(?:[A-Za-z_$][\w$]*[./])*[A-Z][\w$]*(?:Exception|Error|Throwable|Failure|Fault|Death|Interrupt)(?:\$[\w$]*)?(?:\([\w.$]+\))?(?::[ \t]|:?[ \t]*$)";
/// A frame, or what stands among frames.
const FRAME: &str = r"[ \t]+at [A-Za-z_$<][^(]*\(|[ \t]*\.\.\. \d+ (?:more|common frames omitted|filtered|truncated)$|[ \t]*\[CIRCULAR REFERENCE|[ \t]*\(Coroutine boundary\)|[ \t]+- locked <";
/// What heads the next exception of a chain.
const CAUSE: &str =
    r"[ \t]*(?:Caused by|Wrapped by|Suppressed): (?:\[CIRCULAR REFERENCE|(?:[\w$-]+[./])*[A-Z][\w$]*(?::|$))";

/// The lines of the JVM's last words.
macro_rules! last_words {
    () => {
        r"#(?:  | (?:JRE version|Java VM|Problematic frame|Core dump|No core dump|Failed to write core|CreateCoredump|An error report|If you would|The crash happened|See problematic|Native memory|Possible reasons|Possible solutions|Out of Memory|This output file|Internal Error|Error: |/|[CVJAjv]  |http))"
    };
}

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
        maybe(&[START], r"(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:: |:?$)|[A-Z]\w*\$[\w$]+(?:: |:?$)", NAMED),
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
        // Groovy's launcher.
        maybe(&[START], r"Caught: (?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error)\b", CAUGHT),
        sure(&[CAUGHT], EXCEPTION, MESSAGE),
        // clojure.main, for a script.
        maybe(
            &[START],
            r"(?:Execution|Syntax|Unexpected) error (?:\(\w+\) )?(?:at|compiling|reading|macroexpanding|in) .*\(.*:\d+(?::\d+)?\)\.$",
            REPORT,
        ),
        text(&[REPORT], REPORT),
        sure(&[REPORT], r"Full report at:$", REPORTED),
        sure(&[REPORTED], r"/\S+\.edn$", FRAMES),
        // Play's DefaultHttpErrorHandler; its head line has no message.
        maybe(&[HEAD], r"! @\w+ - ", REQUEST),
        maybe(&[REQUEST], BLANK, REQUEST),
        sure(&[REQUEST], EXCEPTION, MESSAGE),
        // sbt's `[error] ` before each line.
        maybe(&[START], r"\[error\] (?:[\w$]+\.)+[A-Z][\w$]*(?:: |$)", MARKED_BY_SBT),
        sure(&[MARKED_BY_SBT], r"\[error\] (?:[ \t]+at |[ \t]*\.\.\. \d+ more|Caused by: )", MARKED_BY_SBT),
        // Camel's message history, below a head line.
        maybe(&[HEAD], r"Message History", HISTORY),
        text(&[HISTORY], HISTORY),
        sure(&[HISTORY], EXCEPTION, MESSAGE),
        // HotSpot's `VMError::report` as it stands on standard output, `HeapDumper`, and its thread dump.
        maybe(&[START], r"#$", HASH),
        sure(
            &[HASH],
            r"# (?:A fatal error has been detected by|There is insufficient memory for)",
            LAST_WORDS,
        ),
        sure(
            &[LAST_WORDS],
            concat!(
                last_words!(),
                r"|\[thread \d+ also had an error\]|\[error occurred during error reporting"
            ),
            LAST_WORDS,
        ),
        sure(&[LAST_WORDS], r"#$", LAST_HASH),
        sure(&[LAST_HASH], last_words!(), LAST_WORDS),
        sure(&[MESSAGE], r"Dumping heap to \S+ \.\.\.$", HEAP),
        sure(&[HEAP], r"Heap dump file created|Unable to create ", FRAMES),
        maybe(&[START], r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", DUMP_DATE),
        sure(&[START, DUMP_DATE], r"Full thread dump [A-Z]", DUMP),
        sure(
            &[DUMP, DUMP_BLANK],
            r#""[^"]+" (?:#\d+ )?(?:\[\d+\] )?(?:daemon )?(?:os_)?prio=|   java\.lang\.Thread\.State: |   Locked ownable synchronizers:|JNI global ref|Threads class SMR info:|Found (?:one|\d+) (?:Java-level )?deadlock|Java stack information for the threads|Heap$| +(?:garbage-first|region size|PSYoungGen|ParOldGen|Metaspace|class space|def new|tenured|ZHeap|(?:eden|from|to|object|the) +space)"#,
            DUMP,
        ),
        sure(
            &[DUMP],
            r#"[ \t]+at [\w$./@<>-]+\(|[ \t]+- (?:locked|waiting|parking|eliminated|None|<)|"[^"]+":$|  (?:waiting to lock|which is held by|in JNI)|   (?:No compile task|Compiling: )"#,
            DUMP,
        ),
        sure(&[DUMP], r"_java_thread_list=", ELEMENTS),
        sure(&[ELEMENTS], r"0x[0-9a-f]{8,}(?:, |,?$)", ELEMENTS),
        sure(&[ELEMENTS], r"\}$", DUMP),
        maybe(&[DUMP, DUMP_BLANK], BLANK, DUMP_BLANK),
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
        text(&[LOGGED], LOGGED),
        sure(&[LOGGED], EXCEPTION, MESSAGE),
    ],
    mentions: &[(Mention::Exception, MESSAGE)],
};
