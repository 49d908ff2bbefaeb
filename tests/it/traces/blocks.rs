//! The same cases as bytes in a file: read in blocks that end anywhere, and while the file grows byte by byte.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use skidder::decode::{Decoder, FormatChoice, Settings};
use skidder::discover::generations;
use skidder::event::{Event, RawLine, SourceKey};
use skidder::join::Joiner;
use skidder::tail::{Chain, Naming, Resume, Turn};

use super::{Case, RULES, cases, every_case, same};

const READ_AT: &[u8] = b"2026-11-22T10:00:00Z";

/// A container's log, and all that reads it.
struct Reading {
    _folder: tempfile::TempDir,
    live: PathBuf,
    file: File,
    chain: Chain,
    decoder: Decoder,
    joiner: Joiner,
    buffer: Vec<u8>,
    now: Instant,
    messages: Vec<String>,
}

impl Reading {
    fn new(buffer: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let live = folder.path().join("0.log");
        let file = OpenOptions::new().create(true).append(true).open(&live).unwrap();
        let source = SourceKey("blocks".into());
        let chain = Chain::new(source, Naming::FirstLine, live.clone(), 1 << 20, Resume::default());
        Self {
            _folder: folder,
            live,
            file,
            chain,
            decoder: Decoder::new(&Settings { format: FormatChoice::Cri, time: None }),
            joiner: Joiner::new(Arc::clone(&RULES)),
            buffer: vec![0; buffer],
            now: Instant::now(),
            messages: Vec::new(),
        }
    }

    /// Writes, then reads to the end of the file.
    fn grow(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).unwrap();
        self.survey();
        loop {
            let (decoder, joiner, now) = (&mut self.decoder, &mut self.joiner, self.now);
            let mut sink =
                |event: &Event<'_>| self.messages.push(String::from_utf8_lossy(event.message).into_owned());
            let mut take = |raw: RawLine<'_>| joiner.push(&decoder.decode(raw, READ_AT), now, &mut sink);
            match self.chain.turn(&mut self.buffer, now).unwrap() {
                Turn::Lines(lines) => lines.into_iter().for_each(take),
                Turn::Long(span, long) => take(long.as_raw(span)),
                Turn::Progress => {}
                Turn::Survey => self.survey(),
                Turn::End => return,
            }
        }
    }

    fn survey(&mut self) {
        let files = generations(&self.live).unwrap();
        assert!(self.chain.survey(&files, self.now).unwrap().is_empty());
    }

    /// All events.
    fn finish(mut self) -> Vec<String> {
        let messages = &mut self.messages;
        self.joiner.finish(&mut |event: &Event<'_>| {
            messages.push(String::from_utf8_lossy(event.message).into_owned());
        });
        self.messages
    }
}

/// A case as the runtime writes it.
fn written(case: &Case) -> Vec<u8> {
    let text = case.events.join("\n");
    let lines = text.split('\n').enumerate();
    lines
        .flat_map(|(at, line)| format!("2026-11-22T10:00:00.{at:09}Z stderr F {line}\n").into_bytes())
        .collect()
}

#[test]
fn in_blocks_that_end_anywhere_they_are_the_same() {
    every_case(|case| {
        let bytes = written(case);
        [65, 101, 128, 197].into_iter().try_for_each(|block| {
            let mut reading = Reading::new(block);
            reading.grow(&bytes);
            same(&reading.finish(), &case.events).map_err(|how| format!("in blocks of {block} bytes: {how}"))
        })
    });
}

/// The two shortest cases of each language that are more than one line.
fn short() -> Vec<Case> {
    let mut cases = cases();
    cases.retain(|case| case.events.iter().any(|event| event.contains('\n')));
    cases.sort_by_key(|case| (case.path.parent().map(PathBuf::from), written(case).len()));
    let mut last = (None, 0);
    cases.retain(|case| {
        let folder = case.path.parent().map(PathBuf::from);
        last = if last.0 == folder { (folder, last.1 + 1) } else { (folder, 1) };
        last.1 <= 2
    });
    cases
}

#[test]
fn while_the_file_grows_byte_by_byte_they_are_the_same() {
    let cases = short();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let mut reading = Reading::new(200);
        written(&case).iter().for_each(|byte| reading.grow(&[*byte]));
        assert_eq!(same(&reading.finish(), &case.events), Ok(()), "{}", case.path.display());
    }
}

#[test]
fn split_in_two_at_every_byte_they_are_the_same() {
    for case in short().into_iter().step_by(2) {
        let bytes = written(&case);
        for cut in (1..bytes.len()).filter(|cut| *cut < 400 || cut % 7 == 0) {
            let mut reading = Reading::new(1 << 12);
            reading.grow(&bytes[..cut]);
            reading.grow(&bytes[cut..]);
            assert_eq!(same(&reading.finish(), &case.events), Ok(()), "{} at {cut}", case.path.display());
        }
    }
}
