//! Perl.
//!
//! Sources: `perldoc -f die` (place, `...propagated`), Carp's `longmess`, `perldiag`'s compile errors,
//! Devel::StackTrace, Mojo::Exception, DBIx::Class.

use super::super::table::{HEAD, Mention, START, State, Table, maybe, sure, text};

/// After a line that ends with its place: `… at app.pl line 3.`.
const DIED: State = State::own(0);
/// Among frames.
const FRAMES: State = State::own(1);
/// Among compile errors.
const COMPILE: State = State::own(2);
/// After what ends them.
const CLOSED: State = State::own(3);
/// Among the frames of Devel::StackTrace.
const BARE: State = State::own(4);
/// Within an evaluated text that a frame shows.
const EVALUATED: State = State::own(5);
/// After the head of a database's error.
const DATABASE: State = State::own(6);
/// Within the lines that Mojolicious shows around the place.
const CONTEXT: State = State::own(7);
/// Among frames as it writes them.
const CALLERS: State = State::own(8);

const CALLED: &str = r"[ \t]+\S.* called at .* line \d+";
const ABORTED: &str = r"BEGIN failed--compilation aborted|Compilation failed in require|Execution of .* aborted|.* had compilation errors|INIT failed--|.* had too many errors\.$";

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(&[HEAD, DIED, FRAMES], CALLED, FRAMES),
        sure(
            &[DIED, FRAMES],
            r"[ \t]+\.\.\.(?:propagated|caught) at |[ \t]+eval \{\.\.\.\} |[ \t]+require \S+ called at | at \S+ line \d+\.$|[ \t]+\(in cleanup\)",
            FRAMES,
        ),
        sure(&[FRAMES], r"[ \t]+[\w:]+ at \S+ line \d+\.?$", FRAMES),
        // The text may run over lines.
        maybe(&[DIED, FRAMES], r"[ \t]+eval '", EVALUATED),
        text(&[EVALUATED], EVALUATED),
        sure(&[EVALUATED], r".*'(?:\.\.\.)? called at \S+ line \d+", FRAMES),
        maybe(&[START], r"DBD::\w+::\w+ \w+ failed: |DBIx::Class::\S+\(\): ", DATABASE),
        text(&[DATABASE], DATABASE),
        sure(&[DATABASE], r".* at \S+ line \d+\.?$", FRAMES),
        // Mojo::Exception, where it is to say more.
        maybe(&[DIED], r"Context:$", CONTEXT),
        sure(&[CONTEXT], r"  \d+: |  \d+:$", CONTEXT),
        sure(&[DIED, CONTEXT], r"Traceback \(most recent call first\):$", CALLERS),
        sure(&[CALLERS], r#"  File "[^"]+", line \d+, in ""#, CALLERS),
        sure(&[DIED, FRAMES, COMPILE], ABORTED, CLOSED),
        sure(&[CLOSED], ABORTED, CLOSED),
        maybe(
            &[START, COMPILE],
            r#"syntax error at |Global symbol "|(?:String|Number|Bareword|Scalar|Array|Operator) found where |Can't locate |Bareword "|Missing right |Unmatched right |Can't find string terminator |Type of arg \d+ to |Base class package "|Not enough arguments for |Too many arguments for |Can't modify "#,
            COMPILE,
        ),
        sure(
            &[COMPILE],
            r"[ \t]+(?:\((?:Missing|Do you need|Might be|Perhaps you need)|or make that module)",
            COMPILE,
        ),
        sure(&[COMPILE], r" at \S+ line \d+\.$", COMPILE),
        sure(&[COMPILE], r"Can't find string terminator ", CLOSED),
        sure(&[DIED], r"[ \t]+\((?:Missing|Do you need|Might be)", COMPILE),
        sure(&[START, HEAD, DIED], r"Trace begun at .* line \d+", BARE),
        sure(&[BARE], r"[\w:]+(?:\(.*\) called)? at .* line \d+$|eval \{\.\.\.\} at ", BARE),
    ],
    mentions: &[(Mention::Place, DIED)],
};
