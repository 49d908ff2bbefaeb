//! `--since` and `--until`: a duration before now, or a time.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A text that is neither a duration nor a time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time: give a duration before now (90s, 5m, 1h30m, 2d) or a time (2026-11-22, 09:30, 2026-11-22T09:30, 2026-11-22T09:30:00Z)"
)]
pub struct NoTime(String);

/// Reads a duration before `now` (`90s`, `1h30m`, `2d`) or a time, as nanoseconds since 1970. A time without a zone
/// is one of `zone`, a time without a date one of `now`'s day there.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<i64, NoTime> {
    let instant = match duration(text) {
        Some(duration) => now.checked_sub(duration).ok(),
        None => time(text, now, zone),
    };
    let nanos = instant.and_then(|instant| i64::try_from(instant.as_nanosecond()).ok());
    nanos.ok_or_else(|| NoTime(text.to_owned()))
}

/// A sum such as `1h30m`; the units are ms, s, m, h, d, w.
fn duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut sum = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|char: char| char.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        let milliseconds: i64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        let part = number.parse::<i64>().ok()?.checked_mul(milliseconds)?;
        sum = sum.checked_add(SignedDuration::from_millis(part))?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

fn time(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let today = zone.to_datetime(now).date();
    // A date alone is read last: jiff would also take the date of `2026-11-22T09:30` and be content.
    let local = if text.contains([':', 'T']) {
        text.parse::<DateTime>().ok().or_else(|| Some(today.to_datetime(text.parse::<Time>().ok()?)))?
    } else {
        text.parse::<Date>().ok()?.to_datetime(Time::midnight())
    };
    zone.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let now = "2026-11-22T09:30:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let nanos = parse(text, now, &zone).ok()?;
        Some(Timestamp::from_nanosecond(nanos.into()).unwrap().to_string())
    }

    #[test]
    fn reads_durations_before_now() {
        for (text, expected) in [
            ("0s", "2026-11-22T09:30:00Z"),
            ("250ms", "2026-11-22T09:29:59.75Z"),
            ("90s", "2026-11-22T09:28:30Z"),
            ("1h30m", "2026-11-22T08:00:00Z"),
            ("2d", "2026-11-20T09:30:00Z"),
            ("1w", "2026-11-15T09:30:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn reads_times() {
        for (text, expected) in [
            ("2026-11-22T09:12:33.5Z", "2026-11-22T09:12:33.5Z"),
            ("2026-11-22T09:12:33+02:00", "2026-11-22T07:12:33Z"),
            ("2026-11-22T09:12", "2026-11-22T08:12:00Z"),
            ("2026-11-22 09:12:33", "2026-11-22T08:12:33Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("09:12", "2026-11-22T08:12:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "5",
            "m",
            "5x",
            "-5m",
            "yesterday",
            "25:00",
            "2026-13-01",
            "99999999999999999999d",
            "9999999999d",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
