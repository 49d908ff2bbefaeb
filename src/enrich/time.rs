//! The time of a document: the runtime's own text where Elasticsearch's `date_nanos` takes it.

use crate::event::time::{is_to_the_second, nanos, nanoseconds, rfc3339};

/// What stands in place of a time that `date_nanos` cannot hold.
const NO_TIME: &[u8] = b"1970-01-01T00:00:00Z";

/// The years whose every moment `date_nanos` holds, whatever the offset: 64 bits of nanoseconds since 1970 end
/// in April 2262.
const YEARS: std::ops::RangeInclusive<u32> = 1971..=2261;

/// Appends a time for `@timestamp`, without quotes.
///
/// A time as runtimes write it is copied. One that is written in another way, such as with more than nine
/// digits or a second 60, is written anew. One outside of what `date_nanos` holds, such as the year 1 that
/// Docker writes for none, becomes 1970; then it returns false and the document is flagged.
pub fn append(time: &[u8], out: &mut Vec<u8>) -> bool {
    if is_strict(time) {
        out.extend_from_slice(time);
        return true;
    }
    match nanos(time).filter(|&nanos| nanos >= 0) {
        Some(nanos) => out.extend_from_slice(&rfc3339(nanos)),
        None => out.extend_from_slice(NO_TIME),
    }
    nanos(time).is_some_and(|nanos| nanos >= 0)
}

/// Whether it is a date and time that exist, up to nine digits of a second, and `Z` or `±hh:mm`.
fn is_strict(time: &[u8]) -> bool {
    let Some((date, rest)) = time.split_first_chunk() else { return false };
    if !is_to_the_second(date) {
        return false;
    }
    let &[y1, y2, y3, y4, _, m1, m2, _, d1, d2, _, h1, h2, _, n1, n2, _, s1, s2] = date;
    let year = u32::from(two(y1, y2)) * 100 + u32::from(two(y3, y4));
    YEARS.contains(&year)
        && (1..=days(two(m1, m2), year)).contains(&two(d1, d2))
        && two(h1, h2) < 24
        && two(n1, n2) < 60
        && two(s1, s2) < 60
        && (nanoseconds(rest).is_some() || is_strict_zone(after_fraction(rest)))
}

/// What follows the fraction of a second; all of it when that has no digit or more than nine.
fn after_fraction(rest: &[u8]) -> &[u8] {
    let Some(fraction) = rest.strip_prefix(b".") else { return rest };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=9).contains(&digits) { &fraction[digits..] } else { rest }
}

fn is_strict_zone(zone: &[u8]) -> bool {
    match *zone {
        [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(u8::is_ascii_digit) && two(h1, h2) < 18 && two(m1, m2) < 60
        }
        _ => false,
    }
}

/// Two digits as a number.
fn two(tens: u8, ones: u8) -> u8 {
    (tens - b'0') * 10 + (ones - b'0')
}

/// How many days a month has; none for a month that is none.
fn days(month: u8, year: u32) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_writes_anew_or_gives_up() {
        for (time, expected, good) in [
            ("2026-11-22T17:59:23.3094652Z", "2026-11-22T17:59:23.3094652Z", true),
            ("2026-11-22T17:59:23Z", "2026-11-22T17:59:23Z", true),
            ("2026-11-22T18:59:23.1+01:00", "2026-11-22T18:59:23.1+01:00", true),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", true),
            ("2026-11-22T12:29:23-0530", "2026-11-22T17:59:23.000000000Z", true),
            ("2026-11-22T17:59:23z", "2026-11-22T17:59:23.000000000Z", true),
            ("2026-11-22T17:59:23.1234567891Z", "2026-11-22T17:59:23.123456789Z", true),
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000000000Z", true),
            ("2026-02-29T00:00:00Z", "2026-03-01T00:00:00.000000000Z", true),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z", true),
            ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", false),
            ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", false),
            ("9999-01-01T00:00:00Z", "1970-01-01T00:00:00Z", false),
            ("\",\"x\":\"", "1970-01-01T00:00:00Z", false),
            ("", "1970-01-01T00:00:00Z", false),
        ] {
            let mut out = Vec::new();
            assert_eq!(append(time.as_bytes(), &mut out), good, "{time}");
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{time}");
        }
    }
}
