//! Ruby.
//!
//! Sources: `error.c` and `eval_error.c` of CRuby 2.5 to 3.4 (both quote styles, the reversed order, causes),
//! `error_highlight`, `did_you_mean`, `syntax_suggest`, Rails' `DebugExceptions`, Puma, Sidekiq, Rake, Bundler, Fluentd.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, cause, known, maybe, sure, text};

/// After the exception's first line.
const MESSAGE: State = State::own(0);
/// Among frames.
const FRAMES: State = State::own(1);
/// After `RuntimeError (boom):` and other heads that frames follow.
const NAMED: State = State::own(2);
/// After a blank line there.
const NAMED_BLANK: State = State::own(3);
/// After what announces a thread's exception.
const ANNOUNCED: State = State::own(4);
/// Within a trace in reversed order.
const REVERSED: State = State::own(5);
/// After the head of a syntax error.
const SYNTAX: State = State::own(6);
/// Within what may be a cause.
const CAUSE: State = State::own(11);
/// Within its message, below the first line.
const TEXT: State = State::own(12);
/// After the marker below a snippet.
const MARKED: State = State::own(14);
/// Within the drawing of a syntax error by prism.
const PRISM: State = State::own(13);
/// Within a message that Rails puts in parentheses.
const PARENTHESES: State = State::own(15);
/// Among frames as Fluentd logs them, each dated and indented.
const DATED: State = State::own(16);
/// After `Causes:`.
const CAUSES: State = State::own(10);
/// After the drawing below it.
const DRAWN: State = State::own(9);
/// After `rake aborted!`.
const RAKE: State = State::own(7);
/// After a blank line below frames.
const FRAMES_BLANK: State = State::own(8);

/// `app/models/cart.rb:12:in 'Cart#add'`.
macro_rules! place {
    () => {
        r"(?:<internal:[^>]*>)?(?:\(eval at )?[^\s:]*:\d+\)?(?::\d+)?:in [`']"
    };
}

/// The tags that Rails writes before each line.
macro_rules! tags {
    () => {
        r"(?:\[[^\]]*\] )*"
    };
}

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START, ANNOUNCED, REVERSED], place!(), MESSAGE),
        sure(&[ANNOUNCED], r"[^\s:]+:\d+:in [`']", MESSAGE),
        sure(
            &[MESSAGE, TEXT, MARKED, FRAMES],
            r"[ \t]+(?:\d+: )?from [^\s:]+:\d+|[ \t]+ ?\.\.\. \d+ levels\.\.\.",
            FRAMES,
        ),
        // A cause has no mark: it shares its frames, or at least the last of them.
        cause(&[FRAMES, CAUSE], place!(), CAUSE),
        known(&[CAUSE], r"[ \t]+from [^\s:]+:\d+", CAUSE),
        text(&[CAUSE], CAUSE),
        // What stands between message and frames.
        text(&[MESSAGE, TEXT], TEXT),
        sure(&[TEXT], r"[ \t]*\^+$", MARKED),
        sure(&[MESSAGE, TEXT, MARKED], r"Did you mean\?", TEXT),
        // The frames of a logged exception stand by themselves.
        sure(&[HEAD, NAMED, NAMED_BLANK, RAKE], concat!(tags!(), r"[ \t]*", place!(), r"[^'`]*'$"), NAMED),
        // Sinatra: 2026-11-22 10:00:00 - RuntimeError - boom:
        maybe(&[START], r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - [A-Z][\w:]* - ", NAMED),
        // The lines of a template, numbered.
        maybe(&[NAMED], concat!(tags!(), r"[ \t]+\d+: "), NAMED),
        sure(&[NAMED, NAMED_BLANK], concat!(tags!(), r"(?:app|lib|config|bin)/\S+:\d+(?::in |$)"), NAMED),
        maybe(&[NAMED], concat!(tags!(), r"[ \t]*$"), NAMED_BLANK),
        maybe(&[HEAD, START], concat!(tags!(), r"[A-Z][\w:]* \(.*\):$"), NAMED),
        maybe(&[HEAD, START], concat!(tags!(), r"[A-Z]\w*(?:::\w+)* \([^)]*$"), PARENTHESES),
        text(&[PARENTHESES], PARENTHESES),
        maybe(&[PARENTHESES], r".*\):$", NAMED),
        sure(
            &[HEAD, DATED],
            r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \[\w+\]: (?:#\d+ )?\S+:\d+:in [`']",
            DATED,
        ),
        maybe(&[START], r"bundler: failed to load command: ", ANNOUNCED),
        sure(&[NAMED, NAMED_BLANK], concat!(tags!(), r"Causes:$"), CAUSES),
        maybe(&[CAUSES], concat!(tags!(), r"[A-Z][\w:]* \(.*\):?$"), NAMED),
        maybe(&[START], r"Puma caught this error: |[A-Z]\w*(?:::\w+)+: .|#<[A-Z][\w:]*: ", NAMED),
        // Threads, the reversed order.
        sure(&[START], r"#<Thread:0x[0-9a-f]+.*> terminated with exception", ANNOUNCED),
        maybe(&[START, ANNOUNCED], r"Traceback \(most recent call last\):", REVERSED),
        sure(&[REVERSED, MESSAGE, TEXT, FRAMES], r"[ \t]+\d+: from ", REVERSED),
        sure(&[REVERSED], r"[ \t]+ ?\.\.\. \d+ levels\.\.\.", REVERSED),
        // Syntax errors, of the old parser and of prism.
        sure(&[START], r"[^\s:]+\.rb:\d+: syntax error, ", SYNTAX),
        text(&[SYNTAX], SYNTAX),
        sure(&[SYNTAX], r"[ \t]*[\^~]+$", DRAWN),
        sure(&[START], r"[^\s:]+\.rb:(?:\d+:)?.* syntax errors? found", PRISM),
        sure(&[PRISM], r">? *\d+ \||[ \t]+\| ", PRISM),
        sure(&[SYNTAX, DRAWN, PRISM], r"[ \t]+from ", FRAMES),
        // Rake.
        sure(&[START], r"(?:rake|rails|cap) aborted!$|\(Backtrace restricted to imported tasks\)$", RAKE),
        sure(&[RAKE], r"[A-Z]\w*(?:::\w+)*: ", RAKE),
        text(&[RAKE], RAKE),
        maybe(&[NAMED, FRAMES], BLANK, FRAMES_BLANK),
        sure(&[RAKE, NAMED, NAMED_BLANK, FRAMES_BLANK], r"Caused by:$", RAKE),
        sure(&[NAMED, NAMED_BLANK, RAKE], r"Tasks: TOP|\(See full (?:trace|list)", NAMED),
    ],
    mentions: &[(Mention::Exception, NAMED)],
};
