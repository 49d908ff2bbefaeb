//! What JSON allows, and what Elasticsearch takes of it.

use super::MAX_KEY;

/// How long a number may be that is copied: no 64-bit number needs more, and Elasticsearch's parser refuses
/// more than 1,000 digits.
const MAX_NUMBER: usize = 64;

/// What nearly all keys are made of, and what nothing is to be said against.
const IS_OF_NAMES: [bool; 256] = {
    let mut is_of_names = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_of_names[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'@');
        byte += 1;
    }
    is_of_names
};

/// Whether Elasticsearch takes the key as a field's name: none of its parts between dots is blank.
pub(super) fn check_key(key: &[u8]) -> Option<()> {
    if key.iter().all(|&byte| IS_OF_NAMES[usize::from(byte)]) {
        return (1..=MAX_KEY).contains(&key.len()).then_some(());
    }
    let mut blank = true;
    for &byte in key {
        match byte {
            0 => return None,
            b'.' if blank => return None,
            b'.' => blank = true,
            _ => blank &= byte.is_ascii_whitespace(),
        }
    }
    (!blank && key.len() <= MAX_KEY).then_some(())
}

/// What may stand between tokens.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// How long the escape is that `text` begins with; a surrogate's two halves are one.
pub(super) fn escape_length(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => match unit(text)? {
            0xD800..=0xDBFF => matches!(unit(&text[6..])?, 0xDC00..=0xDFFF).then_some(12),
            0xDC00..=0xDFFF => None,
            _ => Some(6),
        },
        _ => None,
    }
}

/// The UTF-16 unit of `\u1234`.
pub(super) fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)? as u16))
}

/// How long the number is that `text` begins with, by JSON's grammar.
pub(super) fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text[at] == b'0') {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    Some(at)
}

/// Whether a number is written as a whole one.
pub(super) fn is_whole(number: &[u8]) -> bool {
    !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// Whether Elasticsearch's `long` or `double` holds the number.
pub(super) fn fits(number: &[u8]) -> bool {
    /// An integer of so many characters is always in range.
    const SHORT: usize = 18;
    let is_integer = is_whole(number);
    if is_integer && number.len() <= SHORT {
        return true;
    }
    let Ok(text) = std::str::from_utf8(number) else { return false };
    if is_integer {
        return text.parse::<i64>().is_ok();
    }
    number.len() <= MAX_NUMBER && text.parse::<f64>().is_ok_and(f64::is_finite)
}
