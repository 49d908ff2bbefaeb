//! Any bytes, in any format: one line each, of the same place, with a time and no more text than came in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skidder::decode::{Decoder, FormatChoice, Settings};
use skidder::event::{Position, RawLine, Span, time};

const READ_AT: &[u8] = b"2026-11-22T20:00:00.000000000Z";

fuzz_target!(|data: &[u8]| {
    for format in [FormatChoice::Auto, FormatChoice::Cri, FormatChoice::Docker, FormatChoice::Plain] {
        let mut decoder = Decoder::new(&Settings { format, time: None });
        let (mut offset, mut decoded) = (0, 0);
        for bytes in data.split_inclusive(|byte| *byte == b'\n') {
            let end = offset + bytes.len() as u64;
            let place = |offset| Position { generation: 0, offset };
            let span = Span { start: place(offset), end: place(end) };
            let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let raw = RawLine { bytes: text, span, utf8: false, truncated: end % 3 };
            let line = decoder.decode(raw, READ_AT);
            assert_eq!((line.span, line.truncated), (span, raw.truncated));
            assert!(time::length(line.time) == Some(line.time.len()) && line.time.len() <= 35);
            assert!(line.message.len() <= text.len());
            assert!(!line.malformed || line.message == text);
            decoded += line.bytes();
            offset = end;
        }
        assert_eq!(decoded, data.len() as u64);
    }
});
