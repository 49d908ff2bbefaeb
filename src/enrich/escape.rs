//! Text as a JSON string: the only transformation that each byte of a log goes through.
//!
//! Works on bytes, so that text that is known to be UTF-8 is not checked again. A block is copied before it is looked
//! at: a copy of known length is two instructions, and what stands behind a byte to escape is taken back.

use std::borrow::Cow;

/// How many bytes are looked at together: a register of any x86-64 or aarch64.
const BLOCK: usize = 16;

/// Whether JSON wants this byte escaped.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Where the first special byte of the block is. The map becomes a handful of vector instructions.
#[inline]
fn first_special(block: &[u8; BLOCK]) -> Option<usize> {
    let hits = u128::from_le_bytes(block.map(|byte| if is_special(byte) { 0xff } else { 0 }));
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
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
    out.reserve(bytes.len() + BLOCK);
    let mut rest = bytes;
    while let Some(block) = rest.first_chunk::<BLOCK>() {
        out.extend_from_slice(block);
        match first_special(block) {
            None => rest = &rest[BLOCK..],
            Some(at) => {
                out.truncate(out.len() - BLOCK + at);
                append_escape(block[at], out);
                rest = &rest[at + 1..];
            }
        }
    }
    for &byte in rest {
        if is_special(byte) {
            append_escape(byte, out);
        } else {
            out.push(byte);
        }
    }
}

/// The escape of one special byte.
fn append_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\t' => b't',
        b'\r' => b'r',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
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
