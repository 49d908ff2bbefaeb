//! The rules of one selection of languages and patterns, compiled: what a line begins, and what continues it.
//!
//! Nothing here remembers a line: a decision takes what is held (a [`Set`]) and the line's bytes.

use std::sync::OnceLock;
use std::time::Duration;

use memchr::memmem;

use super::automaton::Automaton;
use super::head::{self, is_json, is_object, mention};
use super::languages::table;
use super::patterns::{Compiled, RulesError};
use super::settings::{Language, Settings};
use super::table::{BLANK, HEAD, Mention, Proof, START, State};
use super::work;

/// The compiled rules, shared by all joiners that have the same selection.
#[derive(Debug)]
pub struct Rules {
    pub(super) limits: Limits,
    patterns: Vec<Compiled>,
    /// Whether a pattern has no start, so that any line may be continued.
    any_line: bool,
    languages: Vec<&'static Machine>,
    /// Asked of a line when nothing is held.
    idle: Gate,
    /// Asked of a line after a logger's head line, besides.
    after_head: Gate,
    /// For each mention, where it leads.
    mentions: [Set; 3],
}

/// How much may be held, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) timeout: Duration,
    pub(super) max_lines: usize,
    pub(super) max_bytes: usize,
    pub(super) max_line_bytes: usize,
}

/// What is held of a stream, as far as rules care: all states that its lines may have led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// For each language, by its place in [`Rules::languages`], the states as bits.
    states: [u64; Language::ALL.len()],
    /// The pattern of one's own that goes on.
    pattern: Option<u8>,
    head: Head,
    /// A pattern without a start may continue this, whatever it is.
    any_line: bool,
}

/// Whether a logger's head line was just seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Head {
    #[default]
    No,
    /// It was the last line.
    Line,
    /// It was the last but one; the last was blank.
    Blank,
    /// It left a bracket open: its message runs over lines.
    Open,
}

impl Set {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn merge(&mut self, other: &Self) {
        for (mine, its) in self.states.iter_mut().zip(other.states) {
            *mine |= its;
        }
        self.pattern = self.pattern.or(other.pattern);
        self.any_line |= other.any_line;
        if self.head == Head::No {
            self.head = other.head;
        }
    }
}

/// What a line means to what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It belongs, and why.
    Sure(Set, Option<Why>),
    /// It belongs if a sure one follows.
    Maybe(Set),
    /// It does not belong.
    No,
}

/// A language's rules, but those that begin.
#[derive(Debug)]
struct Machine {
    language: Language,
    patterns: Vec<&'static str>,
    /// Built when a line first may be of the language: most nodes never see most of them.
    automaton: OnceLock<Option<Automaton>>,
    /// By the automaton's pattern: from, to, proof.
    rules: Vec<Step>,
    /// From, to: any line of a message.
    texts: Vec<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    from: u64,
    to: u64,
    proof: Proof,
}

/// An automaton over the lines that begin something, in all languages at once.
#[derive(Debug)]
struct Gate {
    automaton: Automaton,
    opens: Vec<Opens>,
}

#[derive(Clone, Copy, Debug)]
enum Opens {
    Dated,
    Language {
        index: usize,
        to: u64,
        proof: Proof,
        /// A message that runs over lines may follow.
        wordy: bool,
    },
    Blank,
}

/// What a gate says of a line.
#[derive(Clone, Copy, Debug, Default)]
struct Opening {
    sure: Set,
    maybe: Set,
    dated: bool,
    blank: bool,
    /// One of the sets is not empty.
    opens: bool,
    /// It is no line of a message, but a head of its own.
    heads: bool,
}

impl Opening {
    fn add(&mut self, opens: Opens) {
        match opens {
            Opens::Dated => self.dated = true,
            Opens::Blank => self.blank = true,
            Opens::Language { index, to, proof, wordy } => {
                self.heads |= wordy || proof == Proof::Sure;
                let set = if proof == Proof::Sure { &mut self.sure } else { &mut self.maybe };
                set.states[index] |= to;
                self.opens = true;
            }
        }
    }
}

impl Rules {
    /// Compiles the settings' languages and all of their patterns: `matches` is not looked at.
    pub fn compile(settings: &Settings) -> Result<Self, RulesError> {
        let mut chosen = settings.languages.clone();
        chosen.sort_unstable();
        chosen.dedup();
        let languages = chosen.iter().map(|language| Machine::of(*language)).collect();
        let patterns = settings.patterns.iter().map(Compiled::new).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            limits: Limits {
                timeout: settings.timeout,
                max_lines: settings.max_lines.max(1),
                max_bytes: settings.max_bytes,
                max_line_bytes: settings.max_line_bytes.max(1),
            },
            any_line: patterns.iter().any(|pattern| pattern.start.is_none()),
            patterns,
            idle: Gate::new(&chosen, START, vec![(head::DATED, Opens::Dated)])?,
            after_head: Gate::new(&chosen, HEAD, vec![(BLANK, Opens::Blank)])?,
            mentions: [Mention::Exception, Mention::Traceback, Mention::Place]
                .map(|mention| mentioned(&chosen, mention)),
            languages,
        })
    }

    /// What a line begins when nothing is held; `None` for an ordinary line, which stands for itself.
    #[inline]
    pub(super) fn begin(&self, line: &[u8]) -> Option<Set> {
        if !self.patterns.is_empty() {
            return self.begin_with_patterns(line);
        }
        self.begin_language(line)
    }

    /// What a line means to what is held.
    ///
    /// `held` are the lines that surely are of the event.
    pub(super) fn next<'a>(
        &self,
        set: &Set,
        line: &[u8],
        held: &(impl Iterator<Item = &'a [u8]> + Clone),
    ) -> Next {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut sure, mut maybe) = (Set::default(), Set::default());
        self.step_pattern(set, line, &mut sure);
        if !is_json(line) {
            self.step_languages(set, line, held, &mut sure, &mut maybe);
        }
        if !sure.is_empty() {
            let why = self.name(&sure);
            // The line belongs; what it means in another language is found out below it.
            sure.merge(&maybe);
            sure.any_line = self.any_line;
            return Next::Sure(sure, why);
        }
        if maybe.is_empty() { Next::No } else { Next::Maybe(maybe) }
    }

    /// Why lines were joined: the name of the pattern, or of the first language that is still possible.
    pub(super) fn name(&self, set: &Set) -> Option<Why> {
        let language = || {
            let index = set.states.iter().position(|states| *states != 0)?;
            Some(Why::Language(self.languages[index].language))
        };
        let any_line = || self.patterns.iter().position(|pattern| pattern.start.is_none()).map(Why::Pattern);
        let head = || (set.head != Head::No).then_some(Why::Head);
        let pattern = set.pattern.map(|index| Why::Pattern(usize::from(index)));
        pattern.or_else(language).or_else(head).or_else(any_line)
    }

    /// The text of a [`Why`] of these rules.
    pub(super) fn text(&self, why: Option<Why>) -> &str {
        match why {
            None => "",
            Some(Why::Head) => "a logged trace",
            Some(Why::Language(language)) => language.name(),
            Some(Why::Pattern(index)) => self.patterns.get(index).map_or("", |pattern| &pattern.name),
        }
    }

    #[inline]
    fn begin_language(&self, line: &[u8]) -> Option<Set> {
        let first = *line.first()?;
        if self.languages.is_empty() || is_object(line) {
            return None;
        }
        let opening = if self.idle.automaton.may_begin(first) { self.idle.ask(line) } else { None };
        let mention = mention(line);
        // Nearly all lines leave here: nothing was built for them.
        if mention.is_none() && opening.as_ref().is_none_or(|opening| !opening.opens) {
            return None;
        }
        let Opening { mut sure, maybe, .. } = opening.unwrap_or_default();
        sure.merge(&maybe);
        if let Some(mention) = mention {
            sure.merge(&self.mentions[mention as usize]);
        }
        (!sure.is_empty()).then_some(sure)
    }

    fn begin_with_patterns(&self, line: &[u8]) -> Option<Set> {
        let started = self.patterns.iter().position(|pattern| pattern.starts(line));
        let mut set = self.begin_language(line).unwrap_or_default();
        set.pattern = started.map(|index| index as u8);
        set.any_line = self.any_line;
        (!set.is_empty()).then_some(set)
    }

    /// A pattern of one's own: with `continue` it goes on while that matches, else until the next start.
    fn step_pattern(&self, set: &Set, line: &[u8], sure: &mut Set) {
        let goes_on = |pattern: &Compiled| match &pattern.continuation {
            Some(continuation) => continuation.is_match(line),
            None => !self.patterns.iter().any(|other| other.starts(line)),
        };
        let own = set.pattern.filter(|index| self.patterns.get(usize::from(*index)).is_some_and(goes_on));
        sure.pattern = own;
        if set.any_line {
            sure.any_line = self.patterns.iter().any(|pattern| pattern.start.is_none() && goes_on(pattern));
        }
    }

    /// A line that is no JSON object: those stand for themselves.
    fn step_languages<'a>(
        &self,
        set: &Set,
        line: &[u8],
        held: &(impl Iterator<Item = &'a [u8]> + Clone),
        sure: &mut Set,
        maybe: &mut Set,
    ) {
        for (index, machine) in self.languages.iter().enumerate().filter(|(index, _)| set.states[*index] != 0)
        {
            machine.step(set.states[index], line, held, (&mut sure.states[index], &mut maybe.states[index]));
        }
        if set.head != Head::No {
            self.step_head(set.head, line, sure, maybe);
        }
        if sure.is_empty() {
            self.step_text(set, line, maybe);
        }
    }

    /// The line after a head line, or after the blank line below it.
    fn step_head(&self, head: Head, line: &[u8], sure: &mut Set, maybe: &mut Set) {
        let (own, besides) = (self.idle.ask(line), self.after_head.ask(line));
        if own.as_ref().is_some_and(|own| own.dated) {
            return;
        }
        match head {
            Head::Open if !own.as_ref().is_some_and(|own| own.heads) => maybe.head = Head::Open,
            Head::Line if besides.as_ref().is_some_and(|besides| besides.blank) => maybe.head = Head::Blank,
            _ => {}
        }
        for opening in [own, besides].into_iter().flatten() {
            sure.merge(&opening.sure);
            maybe.merge(&opening.maybe);
        }
        if let Some(mention) = mention(line) {
            maybe.merge(&self.mentions[mention as usize]);
        }
    }

    /// Any line of a message: but one that begins something else.
    fn step_text(&self, set: &Set, line: &[u8], maybe: &mut Set) {
        let texts = self.languages.iter().enumerate().flat_map(|(index, machine)| {
            let goes_on =
                move |(from, to): &(u64, u64)| (set.states[index] & from != 0).then_some((index, *to));
            machine.texts.iter().filter_map(goes_on)
        });
        let mut texts = texts.peekable();
        if texts.peek().is_none() || self.stands_alone(line) {
            return;
        }
        for (index, to) in texts {
            maybe.states[index] |= to;
        }
    }

    /// Whether a line begins something by itself, so that it is no line of a message. An indented one that only
    /// mentions an exception is one.
    fn stands_alone(&self, line: &[u8]) -> bool {
        let is_indented = matches!(line, [b' ' | b'\t', ..]);
        self.idle.ask(line).is_some_and(|opening| opening.dated || opening.heads)
            || (!is_indented && mention(line).is_some())
    }
}

/// Why lines were joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing but that a head line is before it.
    Head,
    Language(Language),
    /// By its place in the rules' patterns.
    Pattern(usize),
}

fn mentioned(languages: &[Language], mention: Mention) -> Set {
    let mut set = Set::default();
    for (index, language) in languages.iter().enumerate() {
        for (_, state) in table(*language).mentions.iter().filter(|(other, _)| *other == mention) {
            set.states[index] |= state.bit();
        }
    }
    set
}

fn bits(states: &[State]) -> u64 {
    states.iter().fold(0, |bits, state| bits | state.bit())
}

impl Machine {
    /// A language's machine. It is the same in all selections, so that each is compiled once in a process.
    fn of(language: Language) -> &'static Self {
        static MACHINES: [OnceLock<Machine>; Language::ALL.len()] =
            [const { OnceLock::new() }; Language::ALL.len()];
        MACHINES[language as usize].get_or_init(|| Self::new(language))
    }

    fn new(language: Language) -> Self {
        let (mut patterns, mut rules, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for rule in table(language).rules {
            let from = bits(rule.from) & !(START.bit() | HEAD.bit());
            match rule.pattern {
                _ if from == 0 => {}
                None => texts.push((from, rule.to.bit())),
                Some(pattern) => {
                    patterns.push(pattern);
                    rules.push(Step { from, to: rule.to.bit(), proof: rule.proof });
                }
            }
        }
        Self { language, patterns, automaton: OnceLock::new(), rules, texts }
    }

    /// The automaton of its patterns: there always is one, as they are constant and tested to compile.
    fn automaton(&self) -> Option<&Automaton> {
        self.automaton.get_or_init(|| Automaton::new(&self.patterns).ok()).as_ref()
    }

    /// Adds the states that a line leads to, sure and perhaps.
    fn step<'a>(
        &self,
        states: u64,
        line: &[u8],
        held: &(impl Iterator<Item = &'a [u8]> + Clone),
        (sure, maybe): (&mut u64, &mut u64),
    ) {
        let is_known = || held.clone().any(|other| place(other) == place(line));
        let is_repeated = || held.clone().any(|other| other == line);
        let is_first = || held.clone().next().is_some_and(|first| first == line);
        let Some(automaton) = self.automaton() else { return };
        automaton.walk(line, |pattern| {
            let rule = &self.rules[pattern];
            if rule.from & states != 0 {
                match rule.proof {
                    Proof::Sure => *sure |= rule.to,
                    Proof::Maybe => *maybe |= rule.to,
                    Proof::Cause if is_repeated() => {}
                    Proof::Unheaded if is_first() => {}
                    Proof::Unheaded => *sure |= rule.to,
                    Proof::Cause | Proof::Known if is_known() => *sure |= rule.to,
                    Proof::Cause | Proof::Known => *maybe |= rule.to,
                }
            }
        });
    }
}

/// The place that a line of Ruby's names: without the `from ` before it and the message after it.
fn place(line: &[u8]) -> &[u8] {
    work::add(line.len());
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"from ").unwrap_or(line);
    memmem::find(line, b"': ").map_or(line, |quote| &line[..=quote])
}

impl Gate {
    /// The rules of these languages from one state, and others.
    fn new(languages: &[Language], from: State, others: Vec<(&str, Opens)>) -> Result<Self, RulesError> {
        let (mut patterns, mut opens): (Vec<_>, Vec<_>) = others.into_iter().unzip();
        for (index, language) in languages.iter().enumerate() {
            for rule in table(*language).rules.iter().filter(|rule| rule.from.contains(&from)) {
                patterns.extend(rule.pattern);
                opens.push(Opens::Language {
                    index,
                    to: rule.to.bit(),
                    proof: rule.proof,
                    wordy: table(*language).rules.iter().any(|other| other.is_text_from(rule.to)),
                });
            }
        }
        let automaton = Automaton::new(&patterns).map_err(|message| built_in("heads", message))?;
        Ok(Self { automaton, opens })
    }

    /// One pass over the line; of a dated one, a look at its level too.
    fn ask(&self, line: &[u8]) -> Option<Opening> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut opening = None;
        self.automaton.walk(line, |pattern| {
            opening.get_or_insert_with(Opening::default).add(self.opens[pattern]);
        });
        let mut opening = opening?;
        if opening.dated && head::is_alarming(line) {
            opening.sure.head = if head::leaves_open(line) { Head::Open } else { Head::Line };
            opening.opens = true;
        }
        Some(opening)
    }
}

/// The built-in tables are tested to compile; should they not, the error says which.
fn built_in(name: &str, message: String) -> RulesError {
    RulesError { pattern: name.to_owned(), key: "", position: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_compiles() {
        for language in Language::ALL {
            assert_eq!(Automaton::new(&Machine::of(language).patterns).err(), None, "{}", language.name());
        }
    }

    #[test]
    fn the_automata_are_small_before_a_line_is_seen() {
        let rules = Rules::compile(&Settings::default()).unwrap();
        let machines: usize =
            rules.languages.iter().map(|machine| machine.automaton().unwrap().memory()).sum();
        let sizes = [rules.idle.automaton.memory(), rules.after_head.automaton.memory(), machines];
        assert!(sizes.iter().sum::<usize>() < 4 << 20, "{sizes:?} bytes");
    }
}
