//! A reader over streams that a test gives it.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::super::outlet::{Facts, Mark};
use super::*;
use crate::discover::{Found, Globs};
use crate::event::{Event, Record};
use crate::join;
use crate::observe::Account;
use crate::tail::{Keys, Loss};

/// Keeps the messages in the order in which they come.
#[derive(Default)]
struct Kept(Vec<String>);

impl Outlet for Kept {
    fn describe(&mut self, _facts: &Facts<'_>) {}

    fn event(&mut self, _source: SourceId, _keys: &Keys, event: &Event<'_>, _now: Instant) {
        self.0.push(String::from_utf8_lossy(event.message).into_owned());
    }

    fn mark(&mut self, _mark: &Mark<'_>, _now: Instant) {}

    fn record(&mut self, _record: Record, _before_events: bool, _now: Instant) {}

    fn account(&self, _source: SourceId) -> Option<Arc<Account>> {
        None
    }

    fn lost(&mut self, _source: SourceId, key: &SourceKey, loss: Loss) {
        panic!("{key} has lost something: {loss:?}");
    }

    fn has_room(&mut self, _held: usize) -> bool {
        true
    }

    fn takes(&self, _source: SourceId) -> bool {
        true
    }

    fn tick(&mut self, _now: Instant) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn closed(&mut self, _source: SourceId) {}

    fn finish(&mut self, _now: Instant) {}
}

/// Gives these pieces, one a call, and errors between them.
struct Pieces(VecDeque<io::Result<&'static str>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pop_front().unwrap_or(Ok(""))?;
        buffer[..piece.len()].copy_from_slice(piece.as_bytes());
        Ok(piece.len())
    }
}

fn reader() -> Reader<Kept> {
    let block =
        Block { decode: decode::Settings::default(), start_at: StartAt::Beginning, max_line_bytes: 1 << 20 };
    let settings = ReaderSettings {
        scanner: Scanner::new(vec![Globs::default()], true),
        blocks: vec![block],
        rules: RuleBook::new(join::Settings::default()).unwrap(),
        annotations: Allowed::default(),
        course: Course::ToEnd,
        turn_bytes: 4096,
    };
    let (wake, metrics) = (Arc::new(Wake::default()), Arc::new(Metrics::default()));
    Reader::new(settings, Directory::none(), Saved::default(), Kept::default(), wake, metrics)
}

fn found(name: &str) -> Found {
    let (path, key) = (PathBuf::from(name), SourceKey(format!("file/{name}").into()));
    Found { shown: path.clone(), path, origin: Origin::File, key, block: 0 }
}

#[test]
fn an_error_in_the_middle_of_a_file_holds_up_no_other_and_it_is_read_on_after_it() {
    let failed = || Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
    let bad = [Ok("one\ntw"), failed(), Ok("o\n"), Ok("three\n")];
    let mut reader = reader();
    reader.add_stream(found("bad"), Pieces(bad.into())).unwrap();
    reader.add_stream(found("good"), Pieces([Ok("a\n"), Ok("b\nc\n")].into())).unwrap();
    let (outlet, _) = reader.run();
    assert_eq!(outlet.0, ["one", "a", "b", "c", "two", "three"]);
}
