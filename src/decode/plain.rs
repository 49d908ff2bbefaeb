//! Plain files: each line is a message. Where its time stands at its start, a pattern reads it.

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};

use crate::event::time;

/// A time that a line's year was guessed for may lie this far after the time of reading (clocks differ); when it
/// lies farther, the line is from the year before. Nanoseconds.
const GUESSED_AHEAD: i64 = 86_400_000_000_000;

/// A strftime pattern for the time at the start of a plain file's lines, such as `%Y-%m-%d %H:%M:%S%.f`.
///
/// A time without a zone is taken as UTC: the zone of the node says nothing of that of the program, and the
/// same file gives the same times on every machine. A date without a year (`%b %d`, as in syslog) is the last
/// such date before the time of reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePattern(String);

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "time pattern `{pattern}`: {reason}; a whole date is needed, in strftime's directives, such as `%Y-%m-%d %H:%M:%S%.f`"
)]
pub struct TimePatternError {
    pattern: String,
    reason: String,
}

impl TimePattern {
    /// Takes a pattern that can read a whole time: what it writes of a sample it must read back.
    ///
    /// # Errors
    ///
    /// When a directive is unknown or cannot be read, or when month or day are missing.
    pub fn new(pattern: &str) -> Result<Self, TimePatternError> {
        let error =
            |error: jiff::Error| TimePatternError { pattern: pattern.into(), reason: error.to_string() };
        let this = Self(pattern.into());
        let sample = Timestamp::UNIX_EPOCH;
        let text = strtime::format(pattern, &sample.to_zoned(TimeZone::UTC)).map_err(error)?;
        this.read(text.as_bytes(), 0).map_err(error)?;
        Ok(this)
    }

    /// The time at the start of `line` as nanoseconds since 1970; `None` when it does not begin with one.
    /// `read_at` is the time of reading, for lines that leave out the year.
    pub(super) fn nanos(&self, line: &[u8], read_at: &[u8]) -> Option<i64> {
        self.read(line, time::nanos(read_at)?).ok()
    }

    fn read(&self, line: &[u8], read_at: i64) -> Result<i64, jiff::Error> {
        let (mut fields, _) = BrokenDownTime::parse_prefix(&self.0, line)?;
        if fields.year().is_some() || fields.month().is_none() {
            return nanoseconds(&fields);
        }
        let this_year = Timestamp::from_nanosecond(read_at.into())?.to_zoned(TimeZone::UTC).year();
        fields.set_year(Some(this_year))?;
        let nanos = nanoseconds(&fields)?;
        if nanos <= read_at.saturating_add(GUESSED_AHEAD) {
            return Ok(nanos);
        }
        fields.set_year(Some(this_year - 1))?;
        nanoseconds(&fields)
    }
}

fn nanoseconds(fields: &BrokenDownTime) -> Result<i64, jiff::Error> {
    let timestamp = if fields.timestamp().is_some() || fields.offset().is_some() {
        fields.to_timestamp()?
    } else if fields.iana_time_zone().is_some() {
        fields.to_zoned()?.timestamp()
    } else {
        Offset::UTC.to_timestamp(fields.to_datetime()?)?
    };
    i64::try_from(timestamp.as_nanosecond()).map_err(|error| jiff::Error::from_args(format_args!("{error}")))
}

/// The message of a plain line: without the carriage return that belongs to the line's end. Where the line's
/// end was cut away, a carriage return is the program's own.
pub(super) fn message(line: &[u8], whole: bool) -> &[u8] {
    match line.strip_suffix(b"\r") {
        Some(message) if whole => message,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ_AT: &[u8] = b"2026-03-01T00:00:00Z";

    fn read(pattern: &str, line: &str) -> Option<String> {
        let pattern = TimePattern::new(pattern).unwrap();
        pattern
            .nanos(line.as_bytes(), READ_AT)
            .map(|nanos| String::from_utf8(time::rfc3339(nanos).to_vec()).unwrap())
    }

    #[test]
    fn reads_the_time_at_the_start() {
        for (pattern, line, expected) in [
            ("%Y-%m-%d %H:%M:%S%.f", "2026-01-02 03:04:05.678 INFO x", "2026-01-02T03:04:05.678000000Z"),
            ("%Y-%m-%d %H:%M:%S%.f", "2026-01-02 03:04:05 INFO x", "2026-01-02T03:04:05.000000000Z"),
            ("%Y-%m-%dT%H:%M:%S%:z", "2026-01-02T03:04:05+02:00 x", "2026-01-02T01:04:05.000000000Z"),
            ("[%d/%b/%Y:%H:%M:%S %z]", "[02/Jan/2026:03:04:05 -0100] x", "2026-01-02T04:04:05.000000000Z"),
            ("%s", "1767323045 x", "2026-01-02T03:04:05.000000000Z"),
            ("%b %e %H:%M:%S", "Feb  3 04:05:06 host x", "2026-02-03T04:05:06.000000000Z"),
            ("%b %e %H:%M:%S", "Dec 31 23:59:59 host x", "2025-12-31T23:59:59.000000000Z"),
            ("%b %e %H:%M:%S", "Mar  1 12:00:00 a clock ahead", "2026-03-01T12:00:00.000000000Z"),
            ("I%m%d %H:%M:%S%.f", "I0102 03:04:05.678901 1 x.go:1]", "2026-01-02T03:04:05.678901000Z"),
        ] {
            assert_eq!(read(pattern, line).as_deref(), Some(expected), "{pattern}");
        }
        assert_eq!(read("%Y-%m-%d %H:%M:%S", "\tat a.b.C(D.java:1)"), None);
        assert_eq!(read("%Y-%m-%d %H:%M:%S", ""), None);
        assert_eq!(read("%Y-%m-%d %H:%M:%S", "9999-99-99 99:99:99"), None);
    }

    #[test]
    fn refuses_a_pattern_that_cannot_read_a_time() {
        for pattern in ["", "%H:%M:%S", "%Y-%m", "%Y-%m-%d %!", "%Y-%m-%d %H:%M:%S %Z"] {
            let error = TimePattern::new(pattern).map(|_| pattern).unwrap_err().to_string();
            assert!(error.starts_with("time pattern `"), "{error}");
        }
    }

    #[test]
    fn a_carriage_return_belongs_to_the_end_of_a_whole_line() {
        assert_eq!(message(b"a\r", true), b"a");
        assert_eq!(message(b"a\r\r", true), b"a\r");
        assert_eq!(message(b"a\r", false), b"a\r");
        assert_eq!(message(b"\r", true), b"");
    }
}
