//! .NET: C#, F#, Visual Basic.
//!
//! Sources: `Exception.ToString` and `StackTrace` of dotnet/runtime, `AggregateException`, the unhandled-exception
//! message of CoreCLR and Mono, `SimpleConsoleFormatter` of Microsoft.Extensions.Logging, Npgsql, SqlClient.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text};

/// After an exception's first line.
const MESSAGE: State = State::own(0);
/// Among frames.
const FRAMES: State = State::own(1);
/// After a blank line among them.
const BLANKED: State = State::own(2);
/// Within a record of the console logger: all of it is indented below its first line.
const RECORD: State = State::own(3);
/// Within the data that a driver adds below the frames.
const DATA: State = State::own(4);
/// After `Unhandled Exception:` on a line of its own.
const UNHANDLED: State = State::own(5);
/// After what may be an exception's name: frames must follow at once.
const NAMED: State = State::own(6);
/// After what the runtime says as it dies: frames without a message.
const DYING: State = State::own(7);

const EXCEPTION: &str = r"(?:Unhandled [Ee]xception[.:] ?|\[ERROR\] FATAL UNHANDLED EXCEPTION: |Exception: )?(?:[A-Za-z_]\w*\.)+[\w`+]*(?:Exception|Error|Fault)(?:`\d+(?:\[.*\])?)?(?: \(0x[0-9A-Fa-f]+\))?(?:: |:?$)";
const FRAME: &str = r"[ \t]+at [A-Za-z_<][^(]*\(";
/// What heads an inner exception.
const INNER: &str = r"[ \t]*---> (?:\(Inner Exception #\d+\)|[A-Z][\w.`+]*(?::| \(0x| \(\d|$))";
/// What stands among frames.
const MARK: &str = r"[ \t]*--- End of (?:inner exception stack trace|stack trace from previous location|managed .*stack trace)|<---$";

/// `fail: Microsoft.AspNetCore.Server.Kestrel[13]`, with a date before it where one is asked for, and colours.
const RECORD_HEAD: &str = concat!(
    r"(?:[\[(]?\d[\d:. TZ/+-]{6,40}[\])]?[ \t]*)?(?:\x1b\[[0-9;]*m)*",
    r"(?:trce|dbug|info|warn|fail|crit)(?:\x1b\[[0-9;]*m)*: \S.*\[-?\d+\]$"
);

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START], EXCEPTION, MESSAGE),
        sure(
            &[START],
            r"Unhandled [Ee]xception[.:] |\[ERROR\] FATAL UNHANDLED EXCEPTION: |Process terminated\.",
            MESSAGE,
        ),
        sure(&[START], r"Unhandled [Ee]xception[.:]$", UNHANDLED),
        sure(&[UNHANDLED], r"[A-Za-z_][\w.`+]*(?:[: (]|$)", MESSAGE),
        maybe(&[START], r"(?:[A-Z]\w*\.)+[A-Z]\w*: ", NAMED),
        maybe(&[START], r"(?:Stack overflow|Out of memory)\.$|Fatal error\. ", DYING),
        // Mono says the one error twice.
        sure(&[FRAMES], r"\[ERROR\] FATAL UNHANDLED EXCEPTION: ", MESSAGE),
        sure(&[DYING], r"Repeat \d+ times:$|-{32}$|   at [A-Za-z_<][^(]*\(", DYING),
        text(&[MESSAGE], MESSAGE),
        sure(&[HEAD, NAMED, MESSAGE, FRAMES, BLANKED, DATA], FRAME, FRAMES),
        sure(&[NAMED, MESSAGE, FRAMES, BLANKED, DATA], INNER, MESSAGE),
        sure(&[MESSAGE, FRAMES, BLANKED, DATA], MARK, FRAMES),
        maybe(&[FRAMES], BLANK, BLANKED),
        // Data below the frames.
        sure(&[FRAMES], r"  Exception data:$", DATA),
        sure(&[DATA], r"    [A-Z]\w+: \S", DATA),
        sure(&[FRAMES, DATA], r"ClientConnectionId:|Error Number:\d+,", FRAMES),
        sure(&[FRAMES], r"Aborted(?: \(core dumped\))?$", DATA),
        // The console logger: six blanks before all that follows.
        sure(&[START], RECORD_HEAD, RECORD),
        sure(&[RECORD], r"      ", RECORD),
    ],
    mentions: &[(Mention::Exception, MESSAGE)],
};
