//! Text as a JSON string: the only transformation that each byte of a log goes through.
//!
//! Works on bytes, so that text that is known to be UTF-8 is not checked again. A block is copied before it is looked
//! at: a copy of known length is two instructions, and what stands behind a byte to escape is written over.

mod block;

use std::borrow::Cow;

use block::{BLOCK, first_special};

/// Whether JSON wants this byte escaped.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes at the start of `bytes` need no escape.
#[inline]
pub fn plain_run(bytes: &[u8]) -> usize {
    let mut clean = 0;
    while let Some(block) = bytes[clean..].first_chunk() {
        match first_special(block) {
            Some(at) => return clean + at,
            None => clean += BLOCK,
        }
    }
    let rest = &bytes[clean..];
    clean + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len())
}

/// Appends `bytes`, which must be UTF-8, as a JSON string without its quotes.
fn append_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    // Put together in a place of known size, where no block asks whether there is room; `out` is asked once for many.
    const ROOM: usize = 512;
    let (mut room, mut used) = ([0; ROOM], 0);
    let mut rest = bytes;
    while let Some(block) = rest.first_chunk::<BLOCK>() {
        if used > ROOM - 2 * BLOCK {
            out.extend_from_slice(&room[..used]);
            used = 0;
        }
        room[used..used + BLOCK].copy_from_slice(block);
        match first_special(block) {
            None => {
                used += BLOCK;
                rest = &rest[BLOCK..];
            }
            Some(at) => {
                let at = at % BLOCK;
                used = put_escape(block[at], &mut room, used + at);
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(&room[..used]);
    for &byte in rest {
        if is_special(byte) {
            let end = put_escape(byte, &mut room, 0);
            out.extend_from_slice(&room[..end]);
        } else {
            out.push(byte);
        }
    }
}

/// The letter after the backslash, for special bytes that have one; else 0.
const LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let short = *b"\"\"\\\\\nn\tt\rr\x08b\x0cf";
    let mut at = 0;
    while at < short.len() {
        letters[short[at] as usize] = short[at + 1];
        at += 2;
    }
    letters
};

/// Puts the escape of one special byte at `at`, and gives the place after it.
#[inline]
fn put_escape<const ROOM: usize>(byte: u8, room: &mut [u8; ROOM], at: usize) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let letter = LETTERS[usize::from(byte)];
    if letter != 0 {
        room[at..at + 2].copy_from_slice(&[b'\\', letter]);
        return at + 2;
    }
    let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
    room[at..at + 6].copy_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
    at + 6
}

/// Appends `text` as a JSON string, quotes included.
pub fn append(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    append_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends what a program wrote as a JSON string, quotes included: bytes that are not UTF-8 become U+FFFD,
/// nothing else changes. `utf8` tells that the bytes are known to be valid, which saves the check.
pub fn append_message(message: &[u8], utf8: bool, out: &mut Vec<u8>) {
    let text = valid(message, utf8);
    out.push(b'"');
    append_escaped(&text, out);
    out.push(b'"');
}

/// The bytes themselves if they are UTF-8, else a copy with U+FFFD in place of what is not.
pub fn valid(bytes: &[u8], utf8: bool) -> Cow<'_, [u8]> {
    if utf8 || simdutf8::basic::from_utf8(bytes).is_ok() {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_serde_json_reads() {
        let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        println!("SKIDDER_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let length = random.usize(0..200);
            let bytes: Vec<u8> = (0..length)
                .map(|_| if random.u8(..) < 20 { random.u8(..) } else { random.u8(b' '..b'~') })
                .collect();
            let mut out = Vec::new();
            append_message(&bytes, false, &mut out);
            let read: String = serde_json::from_slice(&out).unwrap();
            assert_eq!(read, String::from_utf8_lossy(&bytes));
            assert!(!out.contains(&b'\n'), "a bulk body has a line for each document");
            let run = plain_run(&bytes);
            assert!(!bytes[..run].iter().copied().any(is_special));
            assert!(bytes.get(run).is_none_or(|&byte| is_special(byte)));
        }
    }

    #[test]
    fn known_text_is_kept_whole() {
        let mut out = Vec::new();
        append_message("gr\u{fc}\u{df}e\t\"x\" \u{0}\u{7f} ".as_bytes(), true, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"gr\u{fc}\u{df}e\\t\\\"x\\\" \\u0000\u{7f} \"");
        let mut out = Vec::new();
        append_message(b"a\xffb\xc3", false, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\u{fffd}b\u{fffd}\"");
    }
}
