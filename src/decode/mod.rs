//! Decode: what did the runtime write?
//!
//! Takes raw lines and gives what the program wrote, with the time and the stream that the runtime added. It
//! never joins, never drops and never waits: one raw line in, one [`Line`] out, whatever its bytes are. A line
//! that is not of its file's format is given out raw and flagged.
//!
//! ```text
//! <time> stdout F <message>                      cri      RFC 3339 with trailing zeros cut, `Z` or an offset
//! {"log":"<message>\n","stream":…,"time":…}      docker   json-file; JSON escapes undone
//! <message>                                      plain    the time by a pattern, or that of reading
//! ```

mod cri;
mod docker;
mod plain;

#[cfg(test)]
mod tests;

pub use plain::{TimePattern, TimePatternError};

use crate::event::{Line, RawLine, Stream, time};

use docker::{Log, LogEnd};

/// More than this of the buffer for unescaping is given back once a line needed it.
const UNESCAPED_KEPT: usize = 64 * 1024;

/// How the lines of a generation are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The format of CRI runtimes (containerd, CRI-O).
    Cri,
    /// Docker's json-file driver.
    Docker,
    /// Each line is a message.
    Plain,
}

/// Which format to expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// What the first complete line of a generation looks like.
    #[default]
    Auto,
    /// Always [`Format::Cri`].
    Cri,
    /// Always [`Format::Docker`].
    Docker,
    /// Always [`Format::Plain`].
    Plain,
}

impl FormatChoice {
    /// The format, unless it is to be found out.
    fn fixed(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Cri => Some(Format::Cri),
            Self::Docker => Some(Format::Docker),
            Self::Plain => Some(Format::Plain),
        }
    }
}

/// How a source is to be decoded.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The format of its lines.
    pub format: FormatChoice,
    /// Where plain lines have their time; `None`: theirs is the time of reading.
    pub time: Option<TimePattern>,
}

/// Decodes the lines of one source, in their order.
#[derive(Debug)]
pub struct Decoder {
    choice: FormatChoice,
    pattern: Option<TimePattern>,
    /// The format of the present generation; `None` until its first line was seen.
    format: Option<Format>,
    /// The time of the last line that had one, for lines that have none.
    time: LastTime,
    /// The stream of the last line that had one, for malformed lines.
    stream: Stream,
    /// The message of the last Docker line that held escapes.
    unescaped: Vec<u8>,
}

impl Decoder {
    /// A decoder for a source of which nothing was read yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            choice: settings.format,
            pattern: settings.time.clone(),
            format: settings.format.fixed(),
            time: LastTime::NONE,
            stream: Stream::Stdout,
            unescaped: Vec::new(),
        }
    }

    /// Decodes the lines to come by other settings. Where they leave the format to be found out and the former did
    /// not, the next line chooses it.
    pub fn change(&mut self, settings: &Settings) {
        let found = self.format.filter(|_| self.choice == FormatChoice::Auto);
        self.choice = settings.format;
        self.pattern.clone_from(&settings.time);
        self.format = self.choice.fixed().or(found);
    }

    /// Chooses the format of a generation by its first complete line, without the newline. To be called at the
    /// beginning of each generation, and with the generation's first line when reading resumes in its middle:
    /// so the same bytes are decoded alike, wherever reading begins. A format that was set stays.
    pub fn sniff(&mut self, first_line: &[u8]) {
        self.format = Some(self.choice.fixed().unwrap_or_else(|| sniff(first_line)));
    }

    /// The format of the present generation; `None` until it is known.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// Decodes one line. Where [`Decoder::sniff`] was not called, the first line chooses the format.
    ///
    /// `read_at` is the time of reading in RFC 3339. It is the time of plain lines, of those whose time the
    /// pattern cannot read, and of malformed lines; but the last two take the time of the line before where
    /// there was one. A malformed line is of the stream of the line before, since it stands in that stream's
    /// text more likely than in a third stream that no program has; before the first, of standard output.
    pub fn decode<'a>(&'a mut self, raw: RawLine<'a>, read_at: &'a [u8]) -> Line<'a> {
        let format = *self.format.get_or_insert_with(|| sniff(raw.bytes));
        match format {
            Format::Cri => self.cri(raw, read_at),
            Format::Docker => self.docker(raw, read_at),
            Format::Plain => self.plain(raw, read_at),
        }
    }

    fn cri<'a>(&'a mut self, raw: RawLine<'a>, read_at: &'a [u8]) -> Line<'a> {
        let Some(fields) = cri::parse(raw.bytes) else { return self.malformed(raw, read_at) };
        self.time.set(fields.time);
        self.stream = fields.stream;
        Line { partial: fields.partial, ..self.line(raw, fields.message, read_at) }
    }

    fn docker<'a>(&'a mut self, raw: RawLine<'a>, read_at: &'a [u8]) -> Line<'a> {
        if self.unescaped.capacity() > UNESCAPED_KEPT {
            self.unescaped = Vec::new();
        }
        let mut fields = docker::Fields::default();
        let whole =
            docker::read(raw.bytes, &mut fields, &mut self.unescaped).is_some() && fields.time.is_some();
        // What was cut while reading cannot be whole: its head is worth having.
        let Some(log) = fields.log.filter(|_| whole || raw.truncated > 0) else {
            return self.malformed(raw, read_at);
        };
        if let Some(time) = fields.time {
            self.time.set(time);
        }
        self.stream = fields.stream.unwrap_or(self.stream);
        let (message, end) = match log {
            Log::Verbatim { text, end } => (text, end),
            Log::Unescaped { end } => (self.unescaped.as_slice(), end),
        };
        Line { partial: end == LogEnd::Part, ..self.line(raw, message, read_at) }
    }

    fn plain<'a>(&'a mut self, raw: RawLine<'a>, read_at: &'a [u8]) -> Line<'a> {
        if let Some(nanos) = self.pattern.as_ref().and_then(|pattern| pattern.nanos(raw.bytes, read_at)) {
            self.time.set(&time::rfc3339(nanos));
        }
        let message = plain::message(raw.bytes, raw.truncated == 0);
        Line { stream: Stream::None, ..self.line(raw, message, read_at) }
    }

    fn malformed<'a>(&'a self, raw: RawLine<'a>, read_at: &'a [u8]) -> Line<'a> {
        Line { malformed: true, ..self.line(raw, raw.bytes, read_at) }
    }

    /// A whole, well-formed line of the last time and stream.
    fn line<'a>(&'a self, raw: RawLine<'a>, message: &'a [u8], read_at: &'a [u8]) -> Line<'a> {
        Line {
            time: self.time.get().unwrap_or(read_at),
            stream: self.stream,
            partial: false,
            message,
            utf8: raw.utf8,
            malformed: false,
            truncated: raw.truncated,
            span: raw.span,
        }
    }
}

/// The format of a generation that begins with this line. A power cut may leave NUL bytes before the text.
fn sniff(line: &[u8]) -> Format {
    let nuls = line.iter().take_while(|byte| **byte == 0).count();
    let line = &line[nuls..];
    if cri::parse(line).is_some() {
        Format::Cri
    } else if docker::is_own(line) {
        Format::Docker
    } else {
        Format::Plain
    }
}

/// The text of a time, kept without allocation: 19 bytes to the second, a point and nine digits, an offset.
#[derive(Clone, Copy, Debug)]
struct LastTime {
    text: [u8; 35],
    /// 0 before the first.
    length: usize,
}

impl LastTime {
    const NONE: Self = Self { text: [0; 35], length: 0 };

    fn get(&self) -> Option<&[u8]> {
        (self.length > 0).then(|| &self.text[..self.length])
    }

    /// Takes a time as [`time::length`] found it. Digits beyond the ninth, which no document can hold, are
    /// dropped.
    fn set(&mut self, time: &[u8]) {
        if time.len() <= 30 {
            self.text[..time.len()].copy_from_slice(time);
            self.length = time.len();
            return;
        }
        let digits = time.iter().skip(20).take_while(|byte| byte.is_ascii_digit()).count();
        let (kept, zone) = (&time[..20 + digits.min(9)], &time[20 + digits..]);
        self.length = kept.len() + zone.len();
        self.text[..kept.len()].copy_from_slice(kept);
        self.text[kept.len()..self.length].copy_from_slice(zone);
    }
}
