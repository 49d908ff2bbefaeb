//! Document ids: where an event came from, short, and growing along a file.
//!
//! ```text
//! id     = key start end             key: the 12 characters of the start's generation key
//! start  = number                    of the event's first byte
//! end    = number                    the event's length, when it ends in the generation where it began
//!        | "." key number            else the generation and the byte after the event's last line
//! number = count *digit              count: how many digits follow, `0` to `9`, `a`, `b`
//! digit  = `-` `0`–`9` `A`–`Z` `_` `a`–`z`      six bits each, the highest first, no leading zeros
//! ```
//!
//! The digits are in the order of their characters, and the count comes first: so the ids of a generation sort
//! as its events do, which Elasticsearch and compression both like. Each part tells where it ends, so two
//! different places never make the same id. At most 49 characters, 20 as a rule, all of which may stand in JSON
//! and in a URL as they are. Ids are for ever: what is written here must never change.

use crate::event::GenerationKey;

/// The digits of a number in base 64, in ASCII order.
const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
/// How many digits a number has. 64 bits need at most eleven of six bits.
const COUNTS: &[u8; 12] = b"0123456789ab";
/// Begins an end in another generation; no count is the same.
const ELSEWHERE: u8 = b'.';

/// The longest id: two keys, two numbers of eleven digits, and what tells them apart.
const MAX: usize = 12 + 12 + 1 + 12 + 12;

/// Appends the id of the event that begins at `start` and ends before `end`: each a generation and a byte of it.
pub fn write(out: &mut Vec<u8>, start: (&GenerationKey, u64), end: (&GenerationKey, u64)) {
    // Put together apart, so that the growing buffer is asked for room only once.
    let mut id = [0; MAX];
    let mut length = put(&mut id, 0, &start.0.text());
    length = put_number(&mut id, length, start.1);
    if end.0 == start.0 && end.1 >= start.1 {
        length = put_number(&mut id, length, end.1 - start.1);
    } else {
        length = put(&mut id, length, &[ELSEWHERE]);
        length = put(&mut id, length, &end.0.text());
        length = put_number(&mut id, length, end.1);
    }
    out.extend_from_slice(&id[..length]);
}

/// Puts `text` at `at` and gives the place after it.
fn put(id: &mut [u8; MAX], at: usize, text: &[u8]) -> usize {
    id[at..at + text.len()].copy_from_slice(text);
    at + text.len()
}

fn put_number(id: &mut [u8; MAX], at: usize, number: u64) -> usize {
    let count = (u64::BITS - number.leading_zeros()).div_ceil(6) as usize;
    id[at] = COUNTS[count];
    let digits = &mut id[at + 1..=at + count];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest as usize & 63];
        rest >>= 6;
    }
    at + 1 + count
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn id(start: (u8, u64), end: (u8, u64)) -> String {
        let mut out = Vec::new();
        write(&mut out, (&GenerationKey([start.0; 9]), start.1), (&GenerationKey([end.0; 9]), end.1));
        String::from_utf8(out).unwrap()
    }

    /// Values around every change of the count of digits.
    fn numbers() -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..64)
            .map(|bit| 1_u64 << bit)
            .flat_map(|power| [power - 1, power, power + 1])
            .chain([u64::MAX])
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    #[test]
    fn stay_as_they_are() {
        // Written once, for ever: a change here doubles the documents of everyone who upgrades.
        assert_eq!(id((0, 0), (0, 0)), "AAAAAAAAAAAA00");
        assert_eq!(id((0, 0), (0, 214)), "AAAAAAAAAAAA022L");
        assert_eq!(id((1, 123_456), (1, 123_670)), "AQEBAQEBAQEB3T8-22L");
        assert_eq!(id((1, 10_485_700), (2, 57)), "AQEBAQEBAQEB4bzz3.AgICAgICAgIC1t");
    }

    #[test]
    fn sort_as_the_events_of_a_generation() {
        let starts: Vec<_> =
            numbers().into_iter().map(|start| id((7, start), (7, start.saturating_add(1)))).collect();
        assert!(starts.is_sorted(), "{starts:?}");
        let ends: Vec<_> = numbers().into_iter().map(|end| id((7, 0), (7, end))).collect();
        assert!(ends.is_sorted(), "{ends:?}");
    }

    #[test]
    fn differ_wherever_the_places_differ() {
        let mut seen = HashSet::new();
        for start in numbers() {
            for end in numbers() {
                let within = id((7, start), (7, end));
                let across = id((7, start), (8, end));
                for id in [&within, &across] {
                    assert!(id.len() <= 49, "{id}");
                    assert!(
                        id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
                        "{id}"
                    );
                }
                assert!(seen.insert(within) && seen.insert(across), "{start} {end}");
            }
        }
    }
}
