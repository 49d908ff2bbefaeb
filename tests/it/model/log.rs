//! The reference model: one log, what was written to it, and the events that must come of that.

use std::mem;
use std::path::PathBuf;

use skidder::event::Stream;

use crate::support::node::{Container, DockerContainer, Node, PlainFile};

/// So many rotated files are kept: more than there will be.
const KEPT: usize = 1_000;

/// One log.
pub struct Log {
    pub name: String,
    writer: Writer,
    /// Pieces so far; each has its number in its text.
    number: usize,
    /// Where in the live file the next byte goes.
    at: u64,
    /// The rest of a line that is half written.
    half: Vec<u8>,
    /// What goes on, by stream.
    open: [Open; 2],
    /// How often its container was started again since the last rest.
    restarts: usize,
    /// Whether it was copied and truncated since the last rest.
    copied: bool,
    /// Whether it was truncated without a copy since the last rest.
    truncated: bool,
    /// What must come of it, in the order of writing.
    pub events: Vec<Event>,
}

/// Who writes it.
enum Writer {
    Pod(Container),
    Docker(DockerContainer),
    Plain(PlainFile),
}

/// The last event of a stream may go on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Nothing,
    /// A line in parts: the event's number.
    Parts(usize),
    /// A trace: the event's number.
    Trace(usize),
}

/// What must be one document, or several where the clock may end it between two pieces.
#[derive(Debug)]
pub struct Event {
    pub stream: Stream,
    pub pieces: Vec<Piece>,
    /// What is between the pieces in the message.
    pub glue: &'static str,
    /// Elasticsearch refuses it for good.
    pub refused: bool,
}

/// A line as it lies in the file.
#[derive(Debug)]
pub struct Piece {
    /// Where in its file it begins.
    pub offset: u64,
    /// Unlike all others.
    pub text: String,
    /// In the file.
    pub bytes: u64,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Whole,
    /// Now a half, and the rest before whatever is written next.
    Halves,
    /// It goes on with the stream's next line.
    Part,
}

impl Log {
    /// A pod's, a Docker container's and a plain file, in turn.
    pub fn new(node: &Node, index: usize) -> Self {
        let kind = ["web", "dock", "app"][index % 3];
        let name = format!("{kind}{index}");
        let writer = match kind {
            "web" => Writer::Pod(node.pod("shop", &name, "web")),
            "dock" => Writer::Docker(node.docker(&name)),
            _ => Writer::Plain(node.plain(&format!("{name}.log"))),
        };
        let (half, open, events) = (Vec::new(), [Open::Nothing; 2], Vec::new());
        Self {
            name,
            writer,
            number: 0,
            at: 0,
            half,
            open,
            restarts: 0,
            copied: false,
            truncated: false,
            events,
        }
    }

    pub fn is_plain(&self) -> bool {
        matches!(self.writer, Writer::Plain(_))
    }

    pub fn is_pod(&self) -> bool {
        matches!(self.writer, Writer::Pod(_))
    }

    /// The live file.
    pub fn path(&self) -> PathBuf {
        match &self.writer {
            Writer::Pod(pod) => pod.path(),
            Writer::Docker(docker) => docker.path(),
            Writer::Plain(plain) => plain.path().to_owned(),
        }
    }

    fn streams(&self) -> &'static [Stream] {
        if self.is_plain() { &[Stream::None] } else { &[Stream::Stdout, Stream::Stderr] }
    }

    /// Something that a program does.
    pub fn write(&mut self, random: &mut fastrand::Rng) {
        let stream = self.streams()[random.usize(0..self.streams().len())];
        match random.u32(0..20) {
            0..9 => self.line(stream, "line", How::Whole),
            9 => self.line(stream, "poison", How::Whole),
            10 => self.line(stream, "half", How::Halves),
            11 | 12 => self.part(stream, random.usize(1..400)),
            13 | 14 => self.begin_trace(stream),
            _ => self.go_on_with_trace(stream),
        }
    }

    /// A line of its own, which ends what was open.
    fn line(&mut self, stream: Stream, what: &str, how: How) {
        if let Open::Parts(event) = self.open[side(stream)] {
            self.go_on(event, stream, "the last part", How::Whole);
        }
        self.begin(stream, what, how, "");
        self.open[side(stream)] = Open::Nothing;
    }

    fn part(&mut self, stream: Stream, long: usize) {
        match self.open[side(stream)] {
            Open::Parts(event) => self.go_on(event, stream, &"x".repeat(long), How::Part),
            Open::Nothing if !self.is_plain() => {
                let event = self.begin(stream, "parts", How::Part, "");
                self.open[side(stream)] = Open::Parts(event);
            }
            _ => {}
        }
    }

    fn begin_trace(&mut self, stream: Stream) {
        self.line(stream, "before a trace", How::Whole);
        let event = self.begin(stream, "java.lang.IllegalStateException:", How::Whole, "\n");
        self.open[side(stream)] = Open::Trace(event);
        self.go_on_with_trace(stream);
    }

    fn go_on_with_trace(&mut self, stream: Stream) {
        if let Open::Trace(event) = self.open[side(stream)] {
            self.go_on(event, stream, "\tat shop.Order", How::Whole);
        }
    }

    /// The runtime's stamps tell a silence longer than the timeout: what comes is something new.
    pub fn fall_silent(&mut self) {
        if !self.is_plain() {
            self.open = [Open::Nothing; 2];
        }
    }

    /// Everything that is open is brought to its end.
    pub fn come_to_rest(&mut self) {
        for stream in self.streams() {
            self.line(*stream, "at rest", How::Whole);
        }
    }

    fn begin(&mut self, stream: Stream, what: &str, how: How, glue: &'static str) -> usize {
        let piece = self.put(stream, what, how);
        self.events.push(Event { stream, pieces: vec![piece], glue, refused: what == "poison" });
        self.events.len() - 1
    }

    fn go_on(&mut self, event: usize, stream: Stream, what: &str, how: How) {
        let piece = self.put(stream, what, how);
        self.events[event].pieces.push(piece);
    }

    fn put(&mut self, stream: Stream, what: &str, how: How) -> Piece {
        self.finish_half();
        self.number += 1;
        let text = match what {
            "\tat shop.Order" => format!("{what}.{}(Shop.java:{})", self.name, self.number),
            _ => format!("{what} {} of {}", self.number, self.name),
        };
        let mut bytes = self.render(stream, &text, how == How::Part);
        let piece = Piece { offset: self.at, text, bytes: bytes.len() as u64 };
        self.at += piece.bytes;
        if how == How::Halves {
            self.half = bytes.split_off(bytes.len() / 2);
        }
        self.raw(&bytes);
        piece
    }

    fn finish_half(&mut self) {
        let rest = mem::take(&mut self.half);
        self.raw(&rest);
    }

    fn render(&self, stream: Stream, text: &str, part: bool) -> Vec<u8> {
        let end = if part { "" } else { "\n" };
        match &self.writer {
            Writer::Pod(pod) => pod.render(stream, part, text.as_bytes()),
            Writer::Docker(docker) => docker.render(stream, &format!("{text}{end}")),
            Writer::Plain(_) => format!("{text}{end}").into_bytes(),
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        match &mut self.writer {
            Writer::Pod(pod) => pod.raw(bytes),
            Writer::Docker(docker) => docker.raw(bytes),
            Writer::Plain(plain) => plain.raw(bytes),
        }
    }

    /// Its file is rotated in a way of its kind, which is told; lines in parts and traces go over it.
    pub fn rotate(&mut self, random: &mut fastrand::Rng) -> &'static str {
        if let Writer::Pod(pod) = &mut self.writer {
            pod.tidy(KEPT);
            let rotated = pod.rename();
            // Until the reopen the runtime writes to the renamed file.
            (0..random.u32(0..10)).for_each(|_| self.write(random));
            if let (Writer::Pod(pod), 0) = (&mut self.writer, random.u32(0..5)) {
                pod.rename_back(&rotated);
                return "is renamed and renamed back";
            }
        }
        self.finish_half();
        self.at = 0;
        match (&mut self.writer, random.u32(0..3)) {
            (Writer::Pod(pod), _) => pod.reopen(),
            (Writer::Docker(docker), _) => docker.rotate(KEPT),
            (Writer::Plain(plain), 0) => {
                plain.copy_and_truncate();
                self.copied = true;
                return "is copied and truncated";
            }
            (Writer::Plain(plain), 1) => plain.rotate(),
            (Writer::Plain(plain), _) => {
                plain.rotate();
                plain.compress();
                return "is rotated, its rotated files are compressed";
            }
        }
        "is rotated"
    }

    /// A pod's container ends and is started again: its next instance is a log of its own.
    pub fn restart(&mut self) {
        self.finish_half();
        if let Writer::Pod(pod) = &mut self.writer {
            pod.restart();
            self.restarts += 1;
            self.at = 0;
        }
    }

    /// Whether its container was not started again since the last rest: then a restart unlinks only what is delivered.
    pub fn is_first_instance(&self) -> bool {
        self.restarts == 0
    }

    /// All that was written until now is delivered.
    pub fn turn_over(&mut self) {
        self.events.clear();
        self.restarts = 0;
        (self.copied, self.truncated) = (false, false);
    }

    /// Whether the agent that has the live file open has all of it: who was about to look for a copy may find none.
    pub fn is_held_with_its_live_file(&self) -> bool {
        !self.copied
    }

    /// Whether it was truncated without a copy since the last rest.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// A plain file is unlinked, and one of the same name is begun.
    pub fn recreate(&mut self) {
        self.finish_half();
        if let Writer::Plain(plain) = &mut self.writer {
            plain.recreate();
            self.at = 0;
        }
    }

    /// Bytes of a line that will never be whole, at the end of a plain file. Gives how many.
    pub fn doom(&mut self) -> u64 {
        self.raw(b"doomed");
        b"doomed".len() as u64
    }

    /// A plain file is emptied under its writer, and nobody has a copy.
    pub fn truncate(&mut self) {
        if let Writer::Plain(plain) = &mut self.writer {
            plain.truncate();
            self.truncated = true;
            self.at = 0;
        }
    }

    /// Its files are unlinked; what was written must come all the same.
    pub fn delete(self) -> Vec<Event> {
        match self.writer {
            Writer::Pod(pod) => pod.delete(),
            Writer::Docker(docker) => docker.delete(),
            Writer::Plain(plain) => plain.delete(),
        }
        self.events
    }
}

fn side(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}
