//! The format of CRI runtimes: `<time> <stdout|stderr> <tags> <message>`.

use memchr::memchr;

use crate::event::{Stream, time};

/// The fields of a line. All borrow from it.
pub(super) struct Fields<'a> {
    /// RFC 3339, any count of fraction digits.
    pub time: &'a [u8],
    pub stream: Stream,
    /// The tag `P`: the runtime cut the line here.
    pub partial: bool,
    /// What follows the tags and one space, untouched. A line may end with its tags: an empty message.
    pub message: &'a [u8],
}

/// Reads one line; `None` when it is malformed. Of several tags (`F:x:y`) the first tells, the others are left
/// to the future that will define them.
pub(super) fn parse(line: &[u8]) -> Option<Fields<'_>> {
    let (time, rest) = line.split_at(time::length(line)?);
    let (stream, rest) = match rest.split_first_chunk()? {
        (b" stdout ", rest) => (Stream::Stdout, rest),
        (b" stderr ", rest) => (Stream::Stderr, rest),
        _ => return None,
    };
    let (partial, rest) = match rest.split_first()? {
        (b'F', rest) => (false, rest),
        (b'P', rest) => (true, rest),
        _ => return None,
    };
    let message = match rest.split_first() {
        Some((b' ', message)) => message,
        Some((b':', tags)) => memchr(b' ', tags).map_or(&[][..], |space| &tags[space + 1..]),
        None => rest,
        Some(_) => return None,
    };
    Some(Fields { time, stream, partial, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-22T17:59:23.309465200Z";

    #[test]
    fn reads_every_shape_of_a_line() {
        for (rest, stream, partial, message) in [
            ("stdout F hello", Stream::Stdout, false, "hello"),
            ("stderr P hello", Stream::Stderr, true, "hello"),
            ("stdout F ", Stream::Stdout, false, ""),
            ("stdout F", Stream::Stdout, false, ""),
            ("stdout F   two more, and one after ", Stream::Stdout, false, "  two more, and one after "),
            ("stdout F crlf\r", Stream::Stdout, false, "crlf\r"),
            ("stdout F:future hello", Stream::Stdout, false, "hello"),
            ("stderr P:a:b=c ", Stream::Stderr, true, ""),
            ("stderr P:a", Stream::Stderr, true, ""),
            ("stdout F P F stdout", Stream::Stdout, false, "P F stdout"),
            ("stdout F nul\0byte", Stream::Stdout, false, "nul\0byte"),
        ] {
            for time in
                [TIME, "2026-11-22T17:59:23.31Z", "2026-11-22T17:59:23Z", "2026-11-22T17:59:23.3+01:00"]
            {
                let line = format!("{time} {rest}");
                let fields = parse(line.as_bytes()).unwrap_or_else(|| panic!("malformed: {line:?}"));
                assert_eq!(fields.time, time.as_bytes());
                assert_eq!((fields.stream, fields.partial), (stream, partial), "{line:?}");
                assert_eq!(fields.message, message.as_bytes(), "{line:?}");
            }
        }
    }

    #[test]
    fn tells_what_is_no_line_of_a_runtime() {
        for line in [
            "",
            "hello",
            TIME,
            "2026-11-22T17:59:23.309465200Z ",
            "2026-11-22T17:59:23.309465200Z stdout",
            "2026-11-22T17:59:23.309465200Z stdout ",
            "2026-11-22T17:59:23.309465200Z stdout X hello",
            "2026-11-22T17:59:23.309465200Z stdout Full hello",
            "2026-11-22T17:59:23.309465200Z stdin F hello",
            "2026-11-22T17:59:23.309465200Z  stdout F hello",
            "2026-11-22T17:59:23.309465200 stdout F hello",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0 stdout F hello",
        ] {
            assert!(parse(line.as_bytes()).is_none(), "{line:?}");
        }
    }
}
