//! What `events.rate_limit` has left out of a container, and the one event that says so.

use std::time::{Duration, Instant};

use crate::event::{Event, GenerationKey, Position, Span, Stream};

/// While it goes on, it is said so often.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Without a further event left out for so long, it is over.
const OVER: Duration = Duration::from_secs(5);

/// A time in which events of one source were left out.
#[derive(Debug)]
pub struct Spell {
    /// The first event's generation and place, of which the id of the event that says so is made: no other event
    /// begins and ends at the same byte.
    pub generation: GenerationKey,
    start: Position,
    time: Vec<u8>,
    last_time: Vec<u8>,
    stream: Stream,
    events: u64,
    bytes: u64,
    began: Instant,
    last: Instant,
}

impl Spell {
    /// Begins with an event that is left out.
    pub fn begin(generation: GenerationKey, event: &Event<'_>, now: Instant) -> Self {
        let mut spell = Self {
            generation,
            start: event.span.start,
            time: event.time.to_vec(),
            last_time: Vec::new(),
            stream: event.stream,
            events: 0,
            bytes: 0,
            began: now,
            last: now,
        };
        spell.add(event, now);
        spell
    }

    /// Another event is left out.
    pub fn add(&mut self, event: &Event<'_>, now: Instant) {
        self.last_time.clear();
        self.last_time.extend_from_slice(event.time);
        self.events += 1;
        self.bytes += event.bytes;
        self.last = now;
    }

    /// When it is to be said.
    pub fn due(&self) -> Instant {
        (self.began + SAY_EVERY).min(self.last + OVER)
    }

    /// What is said.
    pub fn message(&self) -> String {
        let times = [&self.time, &self.last_time].map(|time| String::from_utf8_lossy(time));
        format!(
            "skidder: {} events ({} bytes) of {} to {} were left out: more than events.rate_limit",
            self.events, self.bytes, times[0], times[1]
        )
    }

    /// The event that says it, as if it stood where the first one was left out.
    pub fn event<'a>(&'a self, message: &'a str) -> Event<'a> {
        Event {
            utf8: true,
            span: Span { start: self.start, end: self.start },
            // They are counted as dropped already.
            bytes: 0,
            ..Event::line(&self.time, self.stream, message.as_bytes())
        }
    }
}
