//! Dart and Flutter.
//!
//! Sources: the VM's `StackTrace`, `package:stack_trace` (terse frames, asynchronous gaps), Flutter's
//! `FlutterErrorDetails` as `debugPrint` writes it, with the prefixes of `flutter run` and of Android's log.

use super::super::table::{BLANK, HEAD, Mention, START, State, Table, maybe, sure, text};

/// After `Unhandled exception:`, the exception follows.
const UNHANDLED: State = State::own(4);
/// After the exception, whose message may run over lines.
const MESSAGE: State = State::own(0);
/// Among frames.
const FRAMES: State = State::own(1);
/// Within Flutter's frame of double lines.
const FLUTTER: State = State::own(2);
/// Within the addresses of a program without symbols.
const OBFUSCATED: State = State::own(5);
/// After its closing line.
const CLOSED: State = State::own(3);

/// `flutter: `, `I/flutter ( 1234): `.
macro_rules! prefix {
    () => {
        r"(?:flutter: |[EI]/flutter ?\( *\d+\): )?"
    };
}

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[START], concat!(prefix!(), r"Unhandled exception:$"), UNHANDLED),
        sure(&[UNHANDLED], r"[ \t]*\S", MESSAGE),
        maybe(
            &[START, HEAD],
            r"(?:Bad state|Unsupported operation|Invalid argument\(s\)|Concurrent modification|RangeError|Null check operator|type '.*' is not a subtype of |Assertion failed)",
            MESSAGE,
        ),
        sure(&[START], concat!(prefix!(), r"(?:\[ERROR:flutter/[^\]]*\] )?Unhandled Exception: "), MESSAGE),
        sure(&[START], r"Unhandled exception in |Uncaught (?:Error|exception): ", MESSAGE),
        text(&[MESSAGE], MESSAGE),
        sure(&[START, HEAD, MESSAGE, FRAMES], concat!(prefix!(), r"#\d+ {4,}\S.*\(.*\)"), FRAMES),
        sure(
            &[FRAMES],
            concat!(
                prefix!(),
                r"(?:#\d+ {2,}\S|<asynchronous suspension>|\(elided \d+ frames?|\.\.\. +Normal element mounting)"
            ),
            FRAMES,
        ),
        sure(&[FRAMES, MESSAGE], concat!(prefix!(), r"={3,} asynchronous gap ={3,}"), FRAMES),
        sure(&[FRAMES], r"[EI]/flutter ?\( *\d+\): ?$", CLOSED),
        sure(&[FRAMES, MESSAGE], r"Warning: This VM has been configured to ", OBFUSCATED),
        sure(
            &[OBFUSCATED],
            r" See dartbug\.com|\*\*\* {3,}\*\*\*|pid: \d|os: |build_id: |isolate_|    #\d+ abs [0-9a-f]",
            OBFUSCATED,
        ),
        sure(
            &[HEAD, MESSAGE, FRAMES],
            r"(?:package:|dart:|file:///|org-dartlang-sdk:)\S+(?: \d+:\d+)? {2,}\S",
            FRAMES,
        ),
        sure(&[START], concat!(prefix!(), r"(?:══+|==+)(?:╡|\|) EXCEPTION CAUGHT BY "), FLUTTER),
        text(&[FLUTTER], FLUTTER),
        sure(
            &[FLUTTER],
            concat!(
                prefix!(),
                r"(?:The following |When the exception was thrown, this was the stack:|#\d+ |The relevant error-causing widget was|Handler: |Either the assertion|User-created ancestor|This was caught by|\(elided |See also: )"
            ),
            FLUTTER,
        ),
        maybe(&[FLUTTER], BLANK, FLUTTER),
        sure(&[FLUTTER], concat!(prefix!(), r"(?:═|=)(?:═|=)+$"), CLOSED),
    ],
    mentions: &[(Mention::Exception, MESSAGE)],
};
