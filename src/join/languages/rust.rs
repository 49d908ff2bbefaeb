//! Rust.
//!
//! Sources: `library/std/src/panicking.rs` and `sys/backtrace.rs` (before and after 1.73, thread ids of 1.91),
//! `anyhow`, `eyre`, `color-eyre`, `miette`, `error-stack`.

use super::super::table::{BLANK, HEAD, START, State, Table, maybe, sure, text};

/// After `thread 'main' panicked at src/main.rs:2:5:`, the message follows.
const PANIC: State = State::own(0);
/// After the message's first line.
const MESSAGE: State = State::own(1);
/// Among frames.
const FRAMES: State = State::own(2);
/// After a note.
const NOTED: State = State::own(3);
/// After `Error: …`, as `main` prints what it returns.
const ERROR: State = State::own(4);
/// After a blank line below it.
const ERROR_BLANK: State = State::own(5);
/// After `Caused by:`.
const CAUSED: State = State::own(10);
/// After `Location:`.
const LOCATION: State = State::own(11);
/// Within the chain of causes.
const CAUSES: State = State::own(6);
/// After a blank line within it.
const CAUSES_BLANK: State = State::own(7);
/// After `thread … has overflowed its stack`.
const OVERFLOW: State = State::own(8);
/// After the head that color-eyre gives a panic.
const CRASHED: State = State::own(12);
/// After a blank line below frames.
const FRAMES_BLANK: State = State::own(13);
/// Among what may be frames below a logger's head line.
const LOGGED: State = State::own(14);
/// After the rule above the backtraces of error-stack.
const STACKED: State = State::own(15);
/// Within miette's drawing.
const DRAWING: State = State::own(9);

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START], r"thread '.*' (?:\(\d+\) )?panicked at [^'].*:\d+:\d+:$", PANIC),
        // The message is one line at least, whatever it says.
        sure(&[PANIC], r"", MESSAGE),
        text(&[MESSAGE], MESSAGE),
        // Before 1.73 the message stood within the first line.
        sure(&[START], r"thread '.*' panicked at '", MESSAGE),
        sure(&[START], r"thread '.*' panicked at .*, \S+:\d+:\d+$", MESSAGE),
        sure(&[MESSAGE], r" *(?:left|right): ", MESSAGE),
        sure(&[MESSAGE], r"note: (?:run with|Some details|we would|in this|the following)", NOTED),
        sure(&[MESSAGE, NOTED], r"stack backtrace:$", FRAMES),
        sure(&[HEAD], r"stack backtrace:$", FRAMES),
        sure(
            &[FRAMES],
            r" {3,4}\d: | {2,3}\d\d: | {1,2}\d{3}: | +at (?:\S.*:\d|<unknown>|/)| +\[\.\.\. omitted",
            FRAMES,
        ),
        sure(&[FRAMES], r"note: (?:run with|Some details|we would|in this|the following)", NOTED),
        sure(
            &[MESSAGE, FRAMES, NOTED],
            r"thread (?:caused non-unwinding panic|panicked while processing panic)",
            NOTED,
        ),
        sure(&[START], r"thread '.*' (?:\(\d+\) )?has overflowed its stack$", OVERFLOW),
        sure(&[OVERFLOW, NOTED], r"fatal runtime error: ", NOTED),
        sure(&[NOTED], r"Aborted(?: \(core dumped\))?$", NOTED),
        // anyhow and eyre.
        maybe(&[START], r"[Ee]rror:(?: |$)", ERROR),
        text(&[ERROR], ERROR),
        maybe(&[ERROR], BLANK, ERROR_BLANK),
        sure(&[ERROR, ERROR_BLANK, HEAD], r"Caused by:$", CAUSED),
        sure(&[CAUSED], r"    \S", CAUSES),
        // A cause may run over lines.
        maybe(&[CAUSES], r" {4,}\S", CAUSES),
        sure(&[ERROR, CAUSED, CAUSES], r" {3,4}\d: | {2,3}\d\d: ", CAUSES),
        maybe(&[CAUSES], BLANK, CAUSES_BLANK),
        sure(&[ERROR, ERROR_BLANK, CAUSES_BLANK], r"Location:$", LOCATION),
        sure(&[LOCATION], r"[ \t]+\S+:(?:\x1b\[[0-9;]*m)*\d+", CAUSES),
        sure(&[ERROR_BLANK, CAUSES_BLANK], r"(?:Stack b|B)acktrace:$", FRAMES),
        // error-stack.
        sure(&[ERROR_BLANK, CAUSES_BLANK, CAUSES], r"━{40,}$", STACKED),
        maybe(&[STACKED], BLANK, STACKED),
        sure(&[STACKED], r"backtrace no\. \d+$", FRAMES),
        sure(
            &[CAUSES, CAUSES_BLANK],
            r"(?:Backtrace|Spantrace|Trace) omitted|Run with (?:RUST_|COLORBT)|(?:Suggestion|Note|Warning|Help): ",
            CAUSES,
        ),
        sure(&[CAUSES, CAUSES_BLANK], r"[ \t]+(?:━|─|⋮)", FRAMES),
        sure(&[FRAMES, FRAMES_BLANK], r"[ \t]+(?:━|─|⋮)", FRAMES),
        sure(&[START], r"The application panicked \(crashed\)\.$", CRASHED),
        sure(&[CRASHED], r"Message: |Location: ", CRASHED),
        text(&[CRASHED], CRASHED),
        maybe(&[CRASHED], BLANK, CRASHED),
        sure(&[CRASHED], r"[ \t]+━", FRAMES),
        maybe(&[FRAMES], BLANK, FRAMES_BLANK),
        sure(&[FRAMES_BLANK], r" {3,4}\d: ", FRAMES),
        sure(&[CRASHED, FRAMES_BLANK], r"Backtrace omitted|Run with (?:RUST_BACKTRACE|COLORBT)", CAUSES),
        // A logger that writes a panic and its frames.
        maybe(&[HEAD], r" {3,7}0: \S", LOGGED),
        sure(&[LOGGED], r" {3,7}1: \S|[ \t]+at \S+:\d+", FRAMES),
        // miette.
        sure(&[START], r"Error:[ \t]+(?:\S+ *)?(?:×|x )", DRAWING),
        sure(&[ERROR], r"[ \t]+× ", DRAWING),
        sure(&[DRAWING], r"[ \t]+(?:×|╰|├|│|─|▶|╭|·|help: |\d+ │)", DRAWING),
    ],
    mentions: &[],
};
