//! YAML as a tree in which each value knows its line.
//!
//! Scalars stay the text that was written: what they are (a number, a size, a pattern) is for the schema to
//! say, so `pod: 007` and `no` are never turned into something else.

use std::collections::BTreeMap;
use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::error::Fault;

/// A value and the line that it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Counted from 1. For a mapping or list under a key, the key's line.
    pub line: usize,
    /// What was written.
    pub value: Value,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Text. `plain`: without quotes, so that `true`, `~` and nothing mean what YAML says they mean.
    Scalar { text: String, plain: bool },
    /// `- a`, `[a]`.
    List(Vec<Node>),
    /// `a: b`, `{ a: b }`, in the order as written; no key is there twice.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    /// The key's line.
    pub line: usize,
    pub value: Node,
}

impl Node {
    /// Reads one YAML document; nothing at all is an empty mapping.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let not_yaml = |error: granit_parser::ScanError| {
            let what = error.info().replace('\n', " ");
            Fault::new(format!("this is not YAML: {what}")).on(error.marker().line())
        };
        let events: Result<Vec<_>, _> = Parser::new_from_str(text).collect();
        let mut builder = Builder { events: events.map_err(not_yaml)?.into_iter() };
        loop {
            let (event, span) = builder.next();
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Ok(Self::nothing(1)),
                event => {
                    let root = builder.node(event, span)?;
                    builder.end()?;
                    return Ok(if root.is_null() { Self::nothing(1) } else { root });
                }
            }
        }
    }

    /// A key without a value, `~` or `null`: as if it had not been written.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// A word as if it had been written without quotes.
    pub fn word(text: &str) -> Self {
        Self { line: 1, value: Value::Scalar { text: text.to_owned(), plain: true } }
    }

    /// A mapping without keys.
    pub fn nothing(line: usize) -> Self {
        Self { line, value: Value::Map(Vec::new()) }
    }

    /// Whether it is keys with values.
    pub fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Under `key`, leaves nothing but what stands under `inner` there, or nothing. Returns what stood under `key`.
    pub fn keep_only(&mut self, key: &str, inner: &str) -> Option<Self> {
        let Value::Map(entries) = &mut self.value else { return None };
        let position = entries.iter().position(|entry| entry.key == key);
        let old = position.map(|position| entries.remove(position));
        let line = old.as_ref().map_or(1, |entry| entry.line);
        let kept = old.as_ref().and_then(|entry| entry.value.get(inner)).cloned();
        let kept = kept.unwrap_or_else(|| Entry { key: inner.to_owned(), line, value: Self::nothing(line) });
        let value = Self { line, value: Value::Map(vec![kept]) };
        entries.push(Entry { key: key.to_owned(), line, value });
        old.map(|entry| entry.value)
    }

    /// Leaves the entries of these keys alone.
    pub fn retain(&mut self, keys: &[&str]) {
        if let Value::Map(entries) = &mut self.value {
            entries.retain(|entry| keys.contains(&entry.key.as_str()));
        }
    }

    /// Whether a path such as `files[0].time` was written.
    pub fn written(&self, path: &str) -> bool {
        self.walk(path).1
    }

    /// The line of the deepest part of a path that was written.
    pub fn line_of(&self, path: &str) -> usize {
        self.walk(path).0
    }

    /// The line of the deepest part of a path, and whether that is its end.
    fn walk(&self, path: &str) -> (usize, bool) {
        let mut node = self;
        let mut line = self.line;
        for step in path.split(['.', '[']) {
            let index = step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok());
            let next = match (&node.value, index) {
                (Value::List(items), Some(index)) => items.get(index).map(|item| (item.line, item)),
                _ => node.get(step).map(|entry| (entry.line, &entry.value)),
            };
            let Some(found) = next else { return (line, false) };
            (line, node) = found;
        }
        (line, true)
    }

    /// Changes each scalar's text in place, with the path that leads to it.
    pub fn try_map_scalars(&mut self, path: &str, change: &mut Change<'_>) -> Result<(), Fault> {
        match &mut self.value {
            Value::Scalar { text, .. } => {
                *text = change(text).map_err(|fault| fault.on(self.line).under(path))?;
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.try_map_scalars(&format!("{path}[{index}]"), change)?;
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let path =
                        if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    entry.value.try_map_scalars(&path, change)?;
                }
            }
        }
        Ok(())
    }
}

/// What [`Node::try_map_scalars`] does to a text.
pub(super) type Change<'a> = dyn FnMut(&str) -> Result<String, Fault> + 'a;

/// Builds nodes from the parser's events.
struct Builder<'a> {
    events: std::vec::IntoIter<(Event<'a>, Span)>,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> (Event<'a>, Span) {
        self.events.next().unwrap_or((Event::StreamEnd, Span::default()))
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Fault> {
        let line = span.start.line();
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (*anchor != 0, tag.is_some()),
            _ => (true, false),
        };
        if anchor {
            return Err(Fault::new(
                "anchors and aliases (& and *) are not read; write the value out, or in quotes",
            )
            .on(line));
        }
        if tag {
            return Err(Fault::new("tags (!) are not read; remove it, or write the value in quotes").on(line));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => {
                Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(..) => self.list()?,
            _ => self.map()?,
        };
        Ok(Node { line, value })
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next() {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        let mut lines = BTreeMap::new();
        loop {
            let (event, span) = self.next();
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let Node { line, value: Value::Scalar { text: key, .. } } = self.node(event, span)? else {
                return Err(Fault::new("a key must be a word").on(span.start.line()));
            };
            if let Some(first) = lines.insert(key.clone(), line) {
                return Err(Fault::new(format!("is given twice, first on line {first}; keep one"))
                    .on(line)
                    .under(&key));
            }
            let (event, span) = self.next();
            let mut value = self.node(event, span).map_err(|fault| fault.under(&key))?;
            if !matches!(value.value, Value::Scalar { .. }) {
                value.line = line;
            }
            entries.push(Entry { key, line, value });
        }
    }

    /// Only one document may be there.
    fn end(&mut self) -> Result<(), Fault> {
        loop {
            match self.next() {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, span) => {
                    let what = "a second YAML document begins here; a configuration is one document";
                    return Err(Fault::new(what).on(span.start.line()));
                }
            }
        }
    }
}

/// Written as YAML in blocks; reads back as the same tree.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Map(entries) if !entries.is_empty() => write_entries(f, entries, 0, false),
            _ => write_inline(f, self).and_then(|()| f.write_str("\n")),
        }
    }
}

fn write_entries(
    f: &mut fmt::Formatter<'_>,
    entries: &[Entry],
    indent: usize,
    mut inline: bool,
) -> fmt::Result {
    for Entry { key, value, .. } in entries {
        // The first key of a list's item stands on the line of its dash.
        let margin = if std::mem::take(&mut inline) { 0 } else { indent };
        write!(f, "{:margin$}", "")?;
        write_text(f, key, true)?;
        f.write_str(":")?;
        match &value.value {
            Value::Map(entries) if !entries.is_empty() => {
                f.write_str("\n")?;
                write_entries(f, entries, indent + 2, false)?;
            }
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                f.write_str("\n")?;
                for item in items {
                    write!(f, "{:1$}- ", "", indent + 2)?;
                    match &item.value {
                        Value::Map(entries) if !entries.is_empty() => {
                            write_entries(f, entries, indent + 4, true)?
                        }
                        _ => write_inline(f, item).and_then(|()| f.write_str("\n"))?,
                    }
                }
            }
            _ => {
                f.write_str(" ")?;
                write_inline(f, value)?;
                f.write_str("\n")?;
            }
        }
    }
    Ok(())
}

fn write_inline(f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
    match &node.value {
        Value::Scalar { text, plain } => write_text(f, text, *plain),
        Value::List(items) => {
            f.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                write_inline(f, item)?;
            }
            f.write_str("]")
        }
        Value::Map(entries) => {
            f.write_str("{")?;
            for (index, entry) in entries.iter().enumerate() {
                f.write_str(if index == 0 { " " } else { ", " })?;
                write_text(f, &entry.key, true)?;
                f.write_str(": ")?;
                write_inline(f, &entry.value)?;
            }
            f.write_str(if entries.is_empty() { "}" } else { " }" })
        }
    }
}

/// Text without quotes where that reads back as the same, else as a JSON string, which YAML reads too.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str, plain: bool) -> fmt::Result {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '@');
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(safe);
    let typed = matches!(text, "true" | "false" | "null") || text.parse::<f64>().is_ok();
    // `25s`, `1MiB`: digits and then letters, but no `0x1f`.
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let measure =
        !text.starts_with('0') && unit.len() < text.len() && unit.chars().all(|c| c.is_ascii_alphabetic());
    if ((word || measure) && !typed) || (plain && typed) {
        return f.write_str(text);
    }
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_text() {
        let text =
            "# comment\na: 1\n\nb:\n  - x\n  -\n    c: >-\n      folded\n      twice\nd: {e: f,\n  g: h}\n";
        let root = Node::parse(text).unwrap();
        for (path, line) in
            [("a", 2), ("b", 4), ("b[0]", 5), ("b[1].c", 7), ("d", 10), ("d.e", 10), ("d.g", 11)]
        {
            assert_eq!(root.line_of(path), line, "{path}");
        }
        assert_eq!(root.line_of("b[1].missing"), 7);
        assert_eq!(root.line_of("nothing"), 2);
    }

    #[test]
    fn scalars_stay_as_written() {
        let root = Node::parse("a: 007\nb: no\nc: 'true'\nd: \"x\\ty\"\n").unwrap();
        let text = |key: &str| match &root.get(key).unwrap().value.value {
            Value::Scalar { text, plain } => (text.clone(), *plain),
            other => panic!("{other:?}"),
        };
        assert_eq!(text("a"), ("007".into(), true));
        assert_eq!(text("b"), ("no".into(), true));
        assert_eq!(text("c"), ("true".into(), false));
        assert_eq!(text("d"), ("x\ty".into(), false));
    }

    #[test]
    fn nothing_is_an_empty_mapping() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "~"] {
            let root = Node::parse(text).unwrap();
            assert_eq!(root, Node::nothing(1), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_tree_is_refused_with_its_line() {
        for (text, line, what) in [
            ("a: 1\na: 2\n", 2, "is given twice, first on line 1"),
            ("a:\n  b: 1\n  c: 2\n  b: 3\n", 4, "is given twice, first on line 2"),
            ("a: &x 1\nb: *x\n", 1, "anchors"),
            ("a: 1\nb: !!str 2\n", 2, "tags"),
            ("a: 1\n---\nb: 2\n", 2, "second YAML document"),
            ("a: [1, 2\nb: 3\n", 2, "not YAML"),
            ("[a, b]: 1\n", 1, "a key must be a word"),
        ] {
            let fault = Node::parse(text).unwrap_err();
            assert_eq!(fault.line, Some(line), "{text:?}: {fault:?}");
            assert!(fault.message.contains(what), "{text:?}: {fault:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"a":"x y","b":["1","/var/log/*.log"],"c":[{"d":true,"e":{}},{"f":[]}],"g":{"h":{"i":"***","j":2}},"k":"null","l":"","m":"a\nb"}"#;
        let root = Node::parse(text).unwrap();
        let shown = root.to_string();
        let again = Node::parse(&shown).unwrap();
        assert_eq!(shown, again.to_string());
        assert_eq!(shown.lines().next(), Some(r#"a: "x y""#));
        assert!(shown.contains("c:\n  - d: true\n    e: {}\n  - f: []\n"), "{shown}");
        assert!(shown.contains("k: \"null\"\nl: \"\"\n"), "{shown}");
    }
}
