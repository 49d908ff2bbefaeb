//! The way of a line from the read buffer to the outlet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::baton::Manner;
use super::outlet::Outlet;
use crate::decode::Decoder;
use crate::event::{End, Event, Position, RawLine, Record, SourceId, SourceKey};
use crate::join::Joiner;
use crate::observe::Account;
use crate::tail::Keys;

/// What a former reader of this process has read.
#[derive(Default)]
pub struct Past {
    /// How it has read, and up to where, in order.
    pub manners: VecDeque<(Manner, Position)>,
    /// Events of the lines before this one were delivered.
    pub delivered: Position,
}

impl Past {
    pub fn is_over(&self, at: Position) -> bool {
        self.manners.is_empty() && at >= self.delivered
    }
}

/// The way of a line from the buffer to the outlet.
pub struct Passage<'a, O> {
    pub decoder: &'a mut Decoder,
    pub joiner: &'a mut Joiner,
    pub into: Handover<'a, O>,
    /// While that is read again: it, how the rest is taken, and whose account it stands in.
    pub past: Option<(&'a mut Past, &'a Manner, Option<&'a Account>)>,
    pub read_at: &'a [u8],
    pub lines: u64,
    pub malformed: u64,
}

impl<O: Outlet> Passage<'_, O> {
    #[inline]
    pub fn line(&mut self, raw: RawLine<'_>) {
        if let Some((past, present, _)) = &mut self.past {
            while past.manners.front().is_some_and(|(_, until)| raw.span.start >= *until) {
                past.manners.pop_front();
                let next = past.manners.front().map_or(*present, |(manner, _)| manner);
                self.decoder.change(&next.decode);
                self.joiner.set_rules(Arc::clone(&next.rules));
            }
        }
        let line = self.decoder.decode(raw, self.read_at);
        self.lines += 1;
        self.malformed += u64::from(line.malformed);
        let into = &mut self.into;
        match &self.past {
            Some((past, _, account)) if raw.span.start < past.delivered => {
                let known = |event: &Event<'_>| {
                    if let Some(account) = account {
                        account.had_ended(event.bytes);
                    }
                };
                self.joiner.push(&line, into.now, &mut { known });
            }
            _ => self.joiner.push(&line, into.now, &mut |event: &Event<'_>| into.event(event)),
        }
    }
}

/// The way of an event into the outlet.
pub struct Handover<'a, O> {
    pub source: SourceId,
    pub keys: &'a Keys,
    pub key: &'a SourceKey,
    pub outlet: &'a mut O,
    pub now: Instant,
}

impl<O: Outlet> Handover<'_, O> {
    #[inline]
    pub fn event(&mut self, event: &Event<'_>) {
        if event.end == End::Clock {
            self.cut(event);
        }
        self.outlet.event(self.source, self.keys, event, self.now);
    }

    /// An end that the clock has set is made durable before the event leaves, so that a replay ends it there too.
    fn cut(&mut self, event: &Event<'_>) {
        let end = event.span.end;
        if let Some(key) = self.keys.get(end.generation) {
            let (source, stream) = (self.key.clone(), event.stream);
            self.outlet.record(Record::Cut { source, key, offset: end.offset, stream }, true, self.now);
        }
    }
}
