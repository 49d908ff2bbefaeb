//! What an event says: its message as it is, or a JSON message's fields with the message first.

use std::borrow::Cow;
use std::ops::Range;

use regex::bytes::Regex;

use super::INDENT;
use super::paint::{Paint, Style};
use crate::cli::fields::{Field, Fields};
use crate::cli::level::{self, Level};
use crate::event::Event;

/// A JSON message's own time is not shown again when it is this near (nanoseconds) to the event's.
const SAME_TIME: u64 = 1_000_000_000;

/// A message and how its parts look.
#[derive(Debug, Default)]
pub(super) struct Body {
    text: Vec<u8>,
    /// In order, not overlapping; what lies between is plain.
    spans: Vec<(Range<usize>, Style)>,
}

impl Body {
    /// Takes the message of an event, whose time is `nanos`.
    pub(super) fn set(&mut self, event: &Event<'_>, nanos: Option<i64>) {
        self.text.clear();
        self.spans.clear();
        match Fields::parse(event.message) {
            Some(fields) if !fields.is_empty() => self.set_fields(&fields, nanos),
            _ => self.set_lines(event.message),
        }
    }

    /// Text: the level and, in a trace, the frames have their colours.
    fn set_lines(&mut self, message: &[u8]) {
        // Bytes that are no UTF-8 become U+FFFD, as they do in documents.
        self.text.extend_from_slice(String::from_utf8_lossy(message).as_bytes());
        if let Some(found) = level::find(&self.text) {
            self.spans.push((found.at, style_of(found.level)));
        }
        let mut end = memchr::memchr(b'\n', &self.text);
        while let Some(before) = end {
            let start = before + 1;
            end = memchr::memchr(b'\n', &self.text[start..]).map(|length| start + length);
            if matches!(self.text.get(start), Some(b' ' | b'\t')) {
                self.spans.push((start..end.unwrap_or(self.text.len()), Style::Faint));
            }
        }
    }

    /// `LEVEL message key=value …`, then the values that run over lines.
    fn set_fields(&mut self, fields: &Fields<'_>, nanos: Option<i64>) {
        let message = fields.message();
        let level = fields.level_field();
        let time =
            fields.time().filter(|(_, time)| nanos.is_some_and(|nanos| nanos.abs_diff(*time) < SAME_TIME));
        let shown = [message, level.map(|(field, _)| field), time.map(|(field, _)| field)];
        if let Some((_, level)) = level {
            self.push(style_of(level), level.name());
        }
        let mut blocks = Vec::new();
        if let Some(text) = message.and_then(Field::text) {
            self.blank();
            self.push(Style::Plain, &text);
        }
        for field in
            fields.iter().filter(|field| !shown.iter().flatten().any(|one| std::ptr::eq(*one, *field)))
        {
            match shape(field) {
                Shape::Inline(value) => {
                    self.blank();
                    self.push(Style::Key, &field.key);
                    self.push(Style::Faint, "=");
                    self.push(Style::Plain, &value);
                }
                Shape::Block(value) => blocks.push((&field.key, value)),
            }
        }
        for (key, value) in blocks {
            self.push(Style::Plain, "\n");
            self.push(Style::Key, key);
            self.push(Style::Faint, ":");
            for line in value.lines() {
                self.push(Style::Plain, "\n");
                self.push(Style::Faint, "  ");
                self.push(Style::Faint, line);
            }
        }
    }

    fn push(&mut self, style: Style, text: &str) {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        if style != Style::Plain {
            self.spans.push((start..self.text.len(), style));
        }
    }

    fn blank(&mut self) {
        if !self.text.is_empty() {
            self.text.push(b' ');
        }
    }

    /// Writes it, lines after the first indented, what `marks` finds marked.
    pub(super) fn write(&self, paint: Paint, marks: Option<&Regex>, out: &mut Vec<u8>) {
        let mut page = Page { paint, starts_line: false, out };
        let mut spans = self.spans.iter().peekable();
        let mut at = 0;
        let end = self.text.len();
        let found =
            marks.into_iter().flat_map(|marks| marks.find_iter(&self.text)).map(|found| found.range());
        for mark in found.filter(|mark| !mark.is_empty()).chain(std::iter::once(end..end)) {
            while at < mark.start {
                while spans.next_if(|(range, _)| range.end <= at).is_some() {}
                let (end, style) = match spans.peek() {
                    Some((range, style)) if range.start <= at => (range.end, *style),
                    Some((range, _)) => (range.start, Style::Plain),
                    None => (end, Style::Plain),
                };
                let end = end.min(mark.start);
                page.lines(style, &self.text[at..end]);
                at = end;
            }
            page.lines(Style::Match, &self.text[mark.clone()]);
            at = mark.end;
        }
    }
}

/// Where a body is written, piece by piece.
struct Page<'a> {
    paint: Paint,
    /// The next piece begins a line that is not the first; empty lines stay empty.
    starts_line: bool,
    out: &'a mut Vec<u8>,
}

impl Page<'_> {
    /// Writes a piece of one style, which may run over lines.
    fn lines(&mut self, style: Style, text: &[u8]) {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.out.push(b'\n');
                self.starts_line = true;
            }
            if !line.is_empty() && std::mem::take(&mut self.starts_line) {
                self.out.extend_from_slice(INDENT);
            }
            self.paint.text(style, line, self.out);
        }
    }
}

/// How a field's value is shown.
enum Shape<'a> {
    /// After its key.
    Inline(Cow<'a, str>),
    /// On lines of its own.
    Block(Cow<'a, str>),
}

/// A string stands without quotes where it is one word, and on lines of its own where it has several; anything else
/// stands as it was written.
fn shape<'a>(field: &'a Field<'_>) -> Shape<'a> {
    match field.text() {
        Some(text) if text.contains('\n') => Shape::Block(text),
        Some(text) if is_word(&text) => Shape::Inline(text),
        _ => Shape::Inline(Cow::Borrowed(field.raw)),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.chars().any(|char| char.is_whitespace() || char.is_control() || "\"=\\".contains(char))
}

fn style_of(level: Level) -> Style {
    match level {
        Level::Trace | Level::Debug => Style::Faint,
        Level::Info => Style::Good,
        Level::Warn => Style::Warning,
        Level::Error => Style::Bad,
        Level::Fatal => Style::Worst,
    }
}
