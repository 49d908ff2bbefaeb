//! Text as a JSON string: the only transformation that each byte of a log goes through.
//!
//! Works on bytes, so that text that is known to be UTF-8 is not checked again. Blocks of bytes without anything
//! to escape are found by a fold that the compiler turns into vector instructions, and copied whole.

use std::borrow::Cow;

/// How many bytes are looked at together: two registers of any x86-64 or aarch64.
const BLOCK: usize = 32;

/// How many bytes are looked at first: near one byte to escape is often another.
const WORD: usize = 8;

/// Whether JSON wants this byte escaped.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether any byte of the block is special; without a branch, so that it becomes vector instructions.
fn any_special(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |seen, &byte| seen | is_special(byte))
}

/// Where the first special byte of the word is.
///
/// A byte is less than `n` when taking `n` from it borrows, which shows in its highest bit; a borrow may reach
/// the bytes above, but never one below, so that the lowest hit is true.
fn special_in(word: [u8; WORD]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; WORD]);
    const HIGHEST_BITS: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let hits = (below(word, 0x20) | is(b'"') | is(b'\\')) & HIGHEST_BITS;
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

/// How many bytes at the start of `bytes` need no escape.
#[inline]
pub fn plain_run(bytes: &[u8]) -> usize {
    let mut clean = 0;
    // Words for the length of a block, then blocks, then words again where a block has a special byte.
    while let Some(word) = bytes[clean..].first_chunk() {
        if let Some(at) = special_in(*word) {
            return clean + at;
        }
        clean += WORD;
        if clean == BLOCK {
            let (blocks, _) = bytes[clean..].as_chunks();
            clean += blocks.iter().take_while(|block| !any_special(block)).count() * BLOCK;
        }
    }
    let rest = &bytes[clean..];
    clean + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len())
}

/// Appends `bytes`, which must be UTF-8, as a JSON string without its quotes.
fn append_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let (plain, special) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { return };
        append_escape(byte, out);
        rest = after;
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
