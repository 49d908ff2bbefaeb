//! Which rules a container's lines are joined by: the configuration, its globs, the pod's annotation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use globset::{Glob, GlobMatcher};
use thiserror::Error;

use super::patterns::RulesError;
use super::rules::Rules;
use super::settings::{Language, Match, Pattern, Settings, Subject};

/// A word of the annotation `skidder.io/multiline` that names neither a language nor a pattern.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown language or pattern '{word}' in annotation skidder.io/multiline: \"{value}\"")]
pub struct WrongAnnotation {
    /// The word.
    pub word: String,
    /// All of the annotation.
    pub value: String,
}

/// All rules that a configuration can lead to, each compiled once, when it is first needed.
#[derive(Debug)]
pub struct RuleBook {
    settings: Settings,
    matchers: Vec<Matcher>,
    compiled: Mutex<HashMap<Selection, Arc<Rules>>>,
    /// The configured languages without patterns.
    plain: Arc<Rules>,
}

/// Languages and patterns, the latter by their place in the settings (the built-in `dated` has the place after the
/// last): what two containers must share to share their rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Selection {
    languages: Vec<Language>,
    patterns: Vec<usize>,
}

impl Selection {
    /// The same, each named once and in one order.
    fn sorted(mut self) -> Self {
        self.languages.sort_unstable();
        self.languages.dedup();
        self.patterns.sort_unstable();
        self.patterns.dedup();
        self
    }
}

/// The compiled globs of a [`Match`].
#[derive(Debug)]
struct Matcher {
    namespace: Option<GlobMatcher>,
    pod: Option<GlobMatcher>,
    container: Option<GlobMatcher>,
    labels: Vec<(String, GlobMatcher)>,
}

impl RuleBook {
    /// Checks and keeps the settings: each pattern is compiled once, so that a wrong one is found here.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        Rules::compile(&Settings { languages: Vec::new(), ..settings.clone() })?;
        let matchers = settings.patterns.iter().map(Matcher::new).collect::<Result<_, _>>()?;
        let plain = Arc::new(Rules::compile(&Settings { patterns: Vec::new(), ..settings.clone() })?);
        let selection = Selection { languages: settings.languages.clone(), patterns: Vec::new() }.sorted();
        let compiled = Mutex::new(HashMap::from([(selection, Arc::clone(&plain))]));
        Ok(Self { settings, matchers, compiled, plain })
    }

    /// The rules for a container's lines. `annotation` is the pod's `skidder.io/multiline`: names of languages or
    /// patterns in place of the configured languages, `all`, or `none` for no joining at all. Patterns that match the
    /// container hold with it too, and those that it names hold whatever they match.
    ///
    /// A word that names nothing is an error; the caller says so and asks again without the annotation.
    pub fn select(
        &self,
        subject: &Subject<'_>,
        annotation: Option<&str>,
    ) -> Result<Arc<Rules>, WrongAnnotation> {
        let mut selection = self.configured(subject);
        if let Some(value) = annotation {
            self.apply(value, &mut selection)?;
        }
        Ok(self.compiled(selection))
    }

    /// The rules for a container's lines where no annotation says anything.
    pub fn default_for(&self, subject: &Subject<'_>) -> Arc<Rules> {
        self.compiled(self.configured(subject))
    }

    fn configured(&self, subject: &Subject<'_>) -> Selection {
        let matching = self.matchers.iter().enumerate().filter(|(_, matcher)| matcher.matches(subject));
        Selection {
            languages: self.settings.languages.clone(),
            patterns: matching.map(|(index, _)| index).collect(),
        }
    }

    /// Languages and patterns were compiled in `new`, so any of them compile; should they not, the languages do.
    fn compiled(&self, selection: Selection) -> Arc<Rules> {
        self.rules(selection).unwrap_or_else(|_| Arc::clone(&self.plain))
    }

    fn apply(&self, value: &str, selection: &mut Selection) -> Result<(), WrongAnnotation> {
        selection.languages.clear();
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            if word == "none" {
                *selection = Selection::default();
            } else if word == "all" {
                selection.languages.extend(Language::ALL);
            } else if let Ok(language) = word.parse() {
                selection.languages.push(language);
            } else {
                let wrong = || WrongAnnotation { word: word.to_owned(), value: value.to_owned() };
                selection.patterns.push(self.pattern(word).ok_or_else(wrong)?);
            }
        }
        Ok(())
    }

    /// A pattern's place by its name.
    fn pattern(&self, name: &str) -> Option<usize> {
        let own = self.settings.patterns.iter().position(|pattern| pattern.name == name);
        own.or_else(|| (name == Pattern::DATED).then_some(self.settings.patterns.len()))
    }

    fn rules(&self, selection: Selection) -> Result<Arc<Rules>, RulesError> {
        let selection = selection.sorted();
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = compiled.get(&selection) {
            return Ok(Arc::clone(rules));
        }
        let pattern =
            |index: &usize| self.settings.patterns.get(*index).cloned().unwrap_or_else(Pattern::dated);
        let rules = Arc::new(Rules::compile(&Settings {
            languages: selection.languages.clone(),
            patterns: selection.patterns.iter().map(pattern).collect(),
            ..self.settings.clone()
        })?);
        compiled.insert(selection, Arc::clone(&rules));
        Ok(rules)
    }
}

impl Matcher {
    fn new(pattern: &Pattern) -> Result<Self, RulesError> {
        let compile = |text: &String| {
            let wrong = |error: globset::Error| RulesError {
                pattern: pattern.name.clone(),
                key: "match",
                position: None,
                message: error.to_string(),
            };
            Glob::new(text).map(|glob| glob.compile_matcher()).map_err(wrong)
        };
        let optional = |text: &Option<String>| text.as_ref().map(compile).transpose();
        let Match { namespace, pod, container, labels } = &pattern.matches;
        Ok(Self {
            namespace: optional(namespace)?,
            pod: optional(pod)?,
            container: optional(container)?,
            labels: labels
                .iter()
                .map(|(name, glob)| Ok((name.clone(), compile(glob)?)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        let holds =
            |glob: &Option<GlobMatcher>, text: &str| glob.as_ref().is_none_or(|glob| glob.is_match(text));
        holds(&self.namespace, subject.namespace)
            && holds(&self.pod, subject.pod)
            && holds(&self.container, subject.container)
            && self
                .labels
                .iter()
                .all(|(name, glob)| subject.labels.get(name).is_some_and(|value| glob.is_match(value)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SUBJECT: Subject<'static> =
        Subject { namespace: "shop", pod: "web-1", container: "web", labels: &BTreeMap::new() };

    fn own(matches: Match) -> Pattern {
        Pattern { name: "own".to_owned(), matches, start: Some("^BEGIN".to_owned()), continuation: None }
    }

    fn book(matches: Match) -> RuleBook {
        let languages = vec![Language::Go];
        RuleBook::new(Settings { languages, patterns: vec![own(matches)], ..Settings::default() }).unwrap()
    }

    /// Whether a line begins an event of more than one by these rules.
    fn begins(rules: &Rules, line: &str) -> bool {
        rules.begin(line.as_bytes()).is_some()
    }

    #[test]
    fn globs_choose_patterns() {
        let glob = |text: &str| Some(text.to_owned());
        let labels = BTreeMap::from([("app".to_owned(), "cart".to_owned())]);
        for (matches, expected) in [
            (Match::default(), true),
            (Match { namespace: glob("shop"), pod: glob("web-*"), ..Match::default() }, true),
            (Match { container: glob("db"), ..Match::default() }, false),
            (
                Match { labels: BTreeMap::from([("app".to_owned(), "c*".to_owned())]), ..Match::default() },
                true,
            ),
            (
                Match { labels: BTreeMap::from([("tier".to_owned(), "*".to_owned())]), ..Match::default() },
                false,
            ),
        ] {
            let rules = book(matches.clone()).select(&Subject { labels: &labels, ..SUBJECT }, None).unwrap();
            assert_eq!(begins(&rules, "BEGIN"), expected, "{matches:?}");
            assert!(begins(&rules, "panic: boom"), "the configured languages stay");
        }
    }

    #[test]
    fn the_annotation_stands_in_place_of_the_languages() {
        let book = book(Match { pod: Some("other".to_owned()), ..Match::default() });
        let select = |annotation| book.select(&SUBJECT, Some(annotation));
        let chosen = |annotation| {
            let rules = select(annotation).unwrap();
            ["panic: boom", "BEGIN", "2026-11-22 x", "Unhandled exception:"].map(|line| begins(&rules, line))
        };
        assert_eq!(chosen("dart"), [false, false, false, true]);
        assert_eq!(chosen("go, dart"), [true, false, false, true]);
        assert_eq!(chosen("own"), [false, true, false, false]);
        assert_eq!(chosen("dated"), [false, false, true, false]);
        assert_eq!(chosen("none"), [false; 4]);
        let error = select("go,jav").unwrap_err();
        assert_eq!(error.word, "jav");
        assert!(error.to_string().ends_with(r#"'jav' in annotation skidder.io/multiline: "go,jav""#));
    }

    #[test]
    fn the_same_selection_is_compiled_once() {
        let book = book(Match::default());
        let select = |annotation| book.select(&SUBJECT, annotation).unwrap();
        assert!(Arc::ptr_eq(&select(None), &select(Some("go"))));
        assert!(!Arc::ptr_eq(&select(None), &select(Some("dart"))));
    }

    #[test]
    fn a_wrong_glob_is_found_at_once() {
        let patterns = vec![own(Match { pod: Some("a[".to_owned()), ..Match::default() })];
        let error = RuleBook::new(Settings { patterns, ..Settings::default() }).unwrap_err();
        assert_eq!((error.pattern.as_str(), error.key), ("own", "match"));
    }
}
