//! What a language's rules are made of: (from, pattern, to).
//!
//! A language is a small machine. Its rules are anchored where the line begins; `$` is the line's end (a carriage
//! return before it is not looked at), and colours before the text are stepped over. Several rules may match a
//! line, so a machine may be in several states at once: the lines that follow decide.

/// A state of a language's machine: its number is its bit in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u8);

impl State {
    /// A language's own state, numbered from 0.
    pub(super) const fn own(number: u8) -> Self {
        assert!(number < 62, "the states of a language are the bits of 64");
        Self(number + 2)
    }

    /// Its bit.
    pub(super) const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// Nothing is held: the line begins an event by itself.
pub(super) const START: State = State(0);
/// The line before, or the one before a blank line, is a logger's head line: dated, of warning or above.
/// What may follow [`START`] may follow it too; rules from here say what may follow it besides.
pub(super) const HEAD: State = State(1);

/// Whether a line that follows a rule surely belongs to the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It does, and so does all that was held back before it.
    Sure,
    /// Only if a sure one follows; it is held back until then.
    Maybe,
    /// As [`Proof::Known`], but if the event holds the very same line already it does not belong.
    Cause,
    /// It does if the event names the same place (`app.rb:3:in 'f'`) already, else it may.
    Known,
    /// It does, unless it is the event's first line once more: then another begins.
    Unheaded,
}

/// In one of `from`, a line that matches `pattern` leads to `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) from: &'static [State],
    /// `None`: any line of a message: one that does not itself begin an event, has no date and is no JSON.
    pub(super) pattern: Option<&'static str>,
    pub(super) to: State,
    pub(super) proof: Proof,
}

impl Rule {
    /// Whether any line of a message may follow in a state.
    pub(super) fn is_text_from(&self, state: State) -> bool {
        self.pattern.is_none() && self.from.contains(&state)
    }
}

/// A line that surely belongs.
pub(super) const fn sure(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule { from, pattern: Some(pattern), to, proof: Proof::Sure }
}

/// The head of what may be a cause, which only the places that it shares with the event tell from another trace.
pub(super) const fn cause(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule { from, pattern: Some(pattern), to, proof: Proof::Cause }
}

/// A frame of what may be a cause.
pub(super) const fn known(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule { from, pattern: Some(pattern), to, proof: Proof::Known }
}

/// A frame where none has a head: only the innermost one, once more, tells that another trace begins.
pub(super) const fn unheaded(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule { from, pattern: Some(pattern), to, proof: Proof::Unheaded }
}

/// A line that belongs if a sure one follows.
pub(super) const fn maybe(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule { from, pattern: Some(pattern), to, proof: Proof::Maybe }
}

/// Any line of a message that runs over lines; it belongs if a sure one follows.
pub(super) const fn text(from: &'static [State], to: State) -> Rule {
    Rule { from, pattern: None, to, proof: Proof::Maybe }
}

/// A blank line.
pub(super) const BLANK: &str = r"[ \t]*$";

/// What a line can mention, anywhere in it, that makes it a trace's possible head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mention {
    /// `…Error` or `…Exception`, before a colon or at the line's end: `failed: TypeError: x`.
    Exception,
    /// `Traceback (most recent call last):` at the line's end: `ERROR:root:Traceback (most recent call last):`.
    Traceback,
    /// ` line 3.` at the line's end: `boom at app.pl line 3.`.
    Place,
}

/// A language: its rules, and where a line that mentions something leads.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rules: &'static [Rule],
    pub(super) mentions: &'static [(Mention, State)],
}
