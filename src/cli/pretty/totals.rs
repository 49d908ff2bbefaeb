//! The line of totals below a demonstration or a long read.

use std::collections::HashSet;
use std::time::Duration;

use super::paint::{Paint, Style};
use super::{PrettySubject, hash};
use crate::event::Event;

/// What was shown, counted.
#[derive(Debug, Default)]
pub struct Totals {
    /// Hashes of the names of pods.
    pods: HashSet<u64>,
    /// Hashes of the names of plain files; standard input is one, too.
    files: HashSet<u64>,
    /// Hashes of the names of containers.
    containers: HashSet<u64>,
    /// Lines as programs wrote them: the runtime's parts of one line count once.
    lines: u64,
    /// Events.
    events: u64,
    /// Events of more than one line.
    joined: u64,
    /// Bytes of the files.
    bytes: u64,
}

impl Totals {
    /// Counts an event.
    pub fn count(&mut self, subject: &PrettySubject<'_>, event: &Event<'_>) {
        if subject.pod.is_empty() {
            self.files.insert(hash(&[subject.path]));
        } else {
            self.pods.insert(hash(&[subject.namespace, subject.pod]));
            self.containers.insert(hash(&[subject.namespace, subject.pod, subject.container]));
        }
        self.lines += u64::from(event.lines);
        self.events += 1;
        self.joined += u64::from(event.lines > 1);
        self.bytes += event.bytes;
    }

    /// Whether nothing was shown.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Writes the totals after `elapsed`, folded between two figures where `width` columns do not hold them.
    pub fn render(&self, elapsed: Duration, width: usize, color: bool, out: &mut Vec<u8>) {
        let seconds = elapsed.as_secs_f64();
        let sources = [(&self.pods, "pod"), (&self.containers, "container"), (&self.files, "file")];
        let sources = sources.iter().filter(|(names, _)| !names.is_empty());
        let figures = sources.map(|(names, noun)| counted(names.len() as u64, noun)).chain([
            counted(self.lines, "line"),
            counted(self.events, "event"),
            format!("{} joined", counted(self.joined, "trace")),
            bytes(self.bytes),
            format!("{seconds:.2} s"),
            format!("{:.1} MB/s", self.bytes as f64 / 1e6 / seconds.max(1e-9)),
        ]);
        let mut line = String::new();
        for figure in figures {
            if !line.is_empty() && line.len() + ", ".len() + figure.len() + ",".len() > width {
                line.push(',');
                flush(&mut line, color, out);
            }
            if !line.is_empty() {
                line.push_str(", ");
            }
            line.push_str(&figure);
        }
        flush(&mut line, color, out);
    }
}

fn flush(line: &mut String, color: bool, out: &mut Vec<u8>) {
    Paint { color }.text(Style::Key, line.as_bytes(), out);
    out.push(b'\n');
    line.clear();
}

/// `1,172 events`, `1 event`.
pub fn counted(count: u64, noun: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + " " + noun + if count == 1 { "" } else { "s" }
}

/// `273.4 KiB`.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(1_234_567, "line"), "1,234,567 lines");
        assert_eq!(counted(100, "pod"), "100 pods");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(280_001), "273.4 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
    }
}
