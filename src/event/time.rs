//! Times as runtimes write them: RFC 3339 with up to nine digits of a second.

/// The shape of a time to the minute: `0` stands for any digit, all else for itself.
const MINUTES: [u8; 16] = *b"0000-00-00T00:00";
/// The last 16 bytes of a time to the second.
const SECONDS: [u8; 16] = *b"0-00-00T00:00:00";
/// The last 16 bytes of a time as runtimes mostly write it: nine digits of a second, in UTC.
const NANOSECONDS: [u8; 16] = *b"00:00.000000000Z";

/// How many bytes at the start of `text` are an RFC 3339 time; `None` when it does not begin with one.
///
/// Any count of fraction digits, `Z` or an offset. Only the shape is looked at: a month 13 passes.
pub fn length(text: &[u8]) -> Option<usize> {
    if text.first_chunk().is_some_and(is_to_the_nanosecond) {
        return Some(30);
    }
    let (date, rest) = text.split_first_chunk::<19>()?;
    if !is_to_the_second(date) {
        return None;
    }
    let (_, zone) = fraction(rest)?;
    let zone_length = match zone {
        [b'Z' | b'z', ..] => 1,
        [b'+' | b'-', _, _, b':', _, _, ..] => 6,
        [b'+' | b'-', _, _, _, _, ..] => 5,
        _ => return None,
    };
    zone_offset(&zone[..zone_length])?;
    Some(text.len() - zone.len() + zone_length)
}

/// Reads an RFC 3339 time (`2026-11-22T17:59:23.3094652Z`, or with an offset such as `+01:00`) as nanoseconds
/// since 1970. Any count of fraction digits; those beyond nine are dropped. `None` when it is no such time.
pub fn nanos(text: &[u8]) -> Option<i64> {
    if let Ok(whole) = <&[u8; 30]>::try_from(text)
        && is_to_the_nanosecond(whole)
    {
        let fraction = i64::from(number(&whole[20..29]));
        return seconds(whole.first_chunk()?)?.checked_mul(1_000_000_000)?.checked_add(fraction);
    }
    let (date, rest) = text.split_first_chunk()?;
    if !is_to_the_second(date) {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    (seconds(date)? - zone_offset(zone)?).checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// Reads the times of one log, each of which is mostly of the same second as the one before: the date is then compared
/// in place of computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// The last time in UTC, to the second.
    date: [u8; 19],
    /// The same in seconds since 1970.
    seconds: i64,
}

impl Clock {
    /// What [`nanos`] says of the time.
    #[inline]
    pub fn nanos(&mut self, text: &[u8]) -> Option<i64> {
        if let Some((date, rest)) = text.split_first_chunk()
            && *date == self.date
            && let Some(fraction) = nanoseconds(rest).or_else(|| fraction(rest).and_then(in_utc))
        {
            return self.seconds.checked_mul(1_000_000_000)?.checked_add(fraction);
        }
        self.another_second(text)
    }

    #[cold]
    fn another_second(&mut self, text: &[u8]) -> Option<i64> {
        let nanos = nanos(text)?;
        if let (Some(date), Some(b'Z')) = (text.first_chunk(), text.last()) {
            *self = Self { date: *date, seconds: nanos.div_euclid(1_000_000_000) };
        }
        Some(nanos)
    }
}

/// Writes nanoseconds since 1970 as RFC 3339 in UTC with nine digits, such as `2026-11-22T17:59:23.309465200Z`.
pub fn rfc3339(nanos: i64) -> [u8; 30] {
    let mut out = *b"0000-00-00T00:00:00.000000000Z";
    let (seconds, fraction) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    write_digits(&mut out[0..4], year);
    write_digits(&mut out[5..7], month);
    write_digits(&mut out[8..10], day);
    write_digits(&mut out[11..13], second / 3_600);
    write_digits(&mut out[14..16], second / 60 % 60);
    write_digits(&mut out[17..19], second % 60);
    write_digits(&mut out[20..29], fraction);
    out
}

/// Seconds since 1970 of a date of the right shape, in UTC.
fn seconds(date: &[u8; 19]) -> Option<i64> {
    let days = days_from_civil(number(&date[0..4]), number(&date[5..7]), number(&date[8..10]))?;
    let (hour, minute, second) = (number(&date[11..13]), number(&date[14..16]), number(&date[17..19]));
    let in_range = hour <= 23 && minute <= 59 && second <= 60;
    in_range.then_some(days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second))
}

/// Whether `text` is a time with nine digits of a second, in UTC: what runtimes mostly write.
fn is_to_the_nanosecond(text: &[u8; 30]) -> bool {
    let (Some(minutes), Some(nanoseconds)) = (text.first_chunk(), text.last_chunk()) else { return false };
    has_shape(minutes, MINUTES) && has_shape(nanoseconds, NANOSECONDS)
}

/// Whether `date` is a date and time of day to the second. Only the shape is looked at: a month 13 passes.
pub fn is_to_the_second(date: &[u8; 19]) -> bool {
    let (Some(minutes), Some(seconds)) = (date.first_chunk(), date.last_chunk()) else { return false };
    has_shape(minutes, MINUTES) && has_shape(seconds, SECONDS)
}

/// Whether `text` has digits where `shape` has a `0` and is the same elsewhere: all sixteen bytes at once.
///
/// The difference to the shape may be 0 to 9 at a digit and must be 0 elsewhere; a sum that lifts just the
/// allowed differences to at most 0x7f tells the others by their highest bit. A byte that carries into its
/// neighbour had that bit itself.
fn has_shape(text: &[u8; 16], shape: [u8; 16]) -> bool {
    const HIGHEST_BITS: u128 = u128::from_ne_bytes([0x80; 16]);
    let lift = u128::from_ne_bytes(shape.map(|byte| if byte == b'0' { 0x7f - 9 } else { 0x7f }));
    let difference = u128::from_ne_bytes(*text) ^ u128::from_ne_bytes(shape);
    (difference | difference.wrapping_add(lift)) & HIGHEST_BITS == 0
}

/// Nanoseconds of `.123456789Z`, as runtimes mostly write the end of a time; `None` for all else.
#[inline]
pub fn nanoseconds(rest: &[u8]) -> Option<i64> {
    let [b'.', eight @ .., ninth @ b'0'..=b'9', b'Z'] = <&[u8; 11]>::try_from(rest).ok()? else {
        return None;
    };
    Some(i64::from(eight_digits(*eight)?) * 10 + i64::from(ninth & 0x0f))
}

/// The value of eight digits, all at once; `None` when one of them is none.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u32> {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    // What is not 0 to 9 has its highest bit set, in itself or in the sum; a carry begins at such a byte.
    let values = u64::from_le_bytes(text) ^ (EACH * u64::from(b'0'));
    if (values | values.wrapping_add(EACH * (0x7f - 9))) & (EACH << 7) != 0 {
        return None;
    }
    // The first digit is the lowest byte: neighbours become pairs, pairs fours, fours the whole.
    let pairs = (values * 10 + (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) as u32)
}

/// Those of a time in UTC.
fn in_utc((nanoseconds, zone): (i64, &[u8])) -> Option<i64> {
    (zone == b"Z").then_some(nanoseconds)
}

/// Nanoseconds of `.123…`, 0 when there is no fraction, and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    /// What the digit at this place counts, in nanoseconds.
    const WORTH: [u32; 9] = [100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let Some(digits) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (digits, zone) = digits.split_at(count);
    let nanos: u32 = digits.iter().zip(WORTH).map(|(digit, worth)| u32::from(digit & 0x0f) * worth).sum();
    Some((i64::from(nanos), zone))
}

/// Seconds east of UTC of `Z`, `+01:00` or `-0530`.
fn zone_offset(zone: &[u8]) -> Option<i64> {
    let (sign, text) = match zone {
        b"Z" | b"z" => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (*sign, [*h1, *h2, *m1, *m2])
        }
        _ => return None,
    };
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::from(number(&text[0..2]) * 3_600 + number(&text[2..4]) * 60);
    Some(if sign == b'-' { -seconds } else { seconds })
}

/// The value of up to nine bytes that are known to be digits.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, byte| value * 10 + u32::from(byte & 0x0f))
}

fn write_digits(out: &mut [u8], mut value: i64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since 1970 of a date of the proleptic Gregorian calendar. Years begin in March, so that the leap day is
/// their last, and are counted from 400 years before our era, so that none is negative.
fn days_from_civil(year: u32, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year + 400 - u32::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    Some(i64::from(days) - 146_097 - 719_468)
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_a_number() {
        let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        println!("SKIDDER_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..10_000 {
            let number = random.u32(..100_000_000);
            let mut text: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            assert_eq!(eight_digits(text), Some(number));
            let (at, byte) = (random.usize(..8), random.u8(..));
            text[at] = byte;
            assert_eq!(eight_digits(text).is_some(), byte.is_ascii_digit(), "{text:?}");
        }
    }

    #[test]
    fn reads_what_runtimes_write() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T17:59:23.3094652Z", Some(1_795_370_363_309_465_200)),
            ("2026-11-22T18:59:23.3094652+01:00", Some(1_795_370_363_309_465_200)),
            ("2026-11-22T12:29:23.3094652-0530", Some(1_795_370_363_309_465_200)),
            ("2026-11-22T17:59:23.30946520099999Z", Some(1_795_370_363_309_465_200)),
            ("2026-11-22T17:59:23", None),
            ("2026-11-22T17:59:23.Z", None),
            ("2026-13-22T17:59:23Z", None),
            ("2026-11-22x17:59:23Z", None),
            ("", None),
        ] {
            assert_eq!(nanos(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_clock_reads_what_anybody_reads() {
        let mut clock = Clock::default();
        for text in [
            "2026-11-22T17:59:23.3094652Z",
            "2026-11-22T17:59:23.309465299Z",
            "2026-11-22T17:59:23Z",
            "2026-11-22T17:59:23.5+01:00",
            "2026-11-22T17:59:23.5Z",
            "2026-11-22T17:59:23.Z",
            "2026-11-22T17:59:23",
            "2026-11-22T17:59:24.000000001Z",
            "1969-12-31T23:59:59.25Z",
            "1969-12-31T23:59:59.75Z",
            "2026-13-22T17:59:24.1Z",
            "2026-13-22T17:59:24.2Z",
            "",
            "2026-11-22T17:59:24.000000002Z",
        ] {
            assert_eq!(clock.nanos(text.as_bytes()), nanos(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn finds_where_a_time_ends() {
        for (text, expected) in [
            ("2026-11-22T17:59:23.309465200Z stdout F x", Some(30)),
            ("2026-11-22T17:59:23.3094652Z stdout F x", Some(28)),
            ("2026-11-22T17:59:23Z", Some(20)),
            ("2026-11-22T17:59:23.309465200+01:00 stdout", Some(35)),
            ("2026-11-22T17:59:23.309465200-0530 stdout", Some(34)),
            ("2026-11-22T17:59:23.30946520012345Z stdout", Some(35)),
            ("2026-11-22T17:59:23.309465200 stdout F x", None),
            ("2026-11-22T17:59:23.309465200+1:00 stdout F x", None),
            ("2026-11-22T17:59:2:.309465200Z stdout F x", None),
            ("2026-11-22T17:59:23,309465200Z stdout F x", None),
            ("2026-11-22 17:59:23.309465200Z stdout F x", None),
            ("2026-11-22T17:59:23.30946520/Z stdout F x", None),
            ("2026-11-22T17:59:23.", None),
            ("", None),
        ] {
            assert_eq!(length(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn every_byte_of_the_shape_counts() {
        let good = *b"2026-11-22T17:59:23.309465209Z";
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut text = good;
                text[place] = byte;
                let digit = good[place].is_ascii_digit() && byte.is_ascii_digit();
                let same = byte.eq_ignore_ascii_case(&good[place]) && (place == 29 || byte == good[place]);
                assert_eq!(length(&text) == Some(30), digit || same, "{:?}", text.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn knows_every_day_of_the_calendar() {
        let mut expected = days_from_civil(1970, 1, 1).unwrap();
        assert_eq!(expected, 0);
        for year in 1970..2800 {
            let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
            let february = if leap { 29 } else { 28 };
            for (month, days) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                for day in 1..=days {
                    assert_eq!(days_from_civil(year, month, day), Some(expected));
                    assert_eq!(civil_from_days(expected), (year.into(), month.into(), day.into()));
                    expected += 1;
                }
            }
        }
        assert_eq!(days_from_civil(0, 1, 1), Some(-719_528));
    }

    #[test]
    fn writes_what_it_reads() {
        for value in [0, -1, 951_782_399_000_000_000, 951_868_800_123_456_789, 1_795_370_363_309_465_200] {
            assert_eq!(nanos(&rfc3339(value)), Some(value));
        }
        assert_eq!(&rfc3339(1_795_370_363_309_465_200), b"2026-11-22T17:59:23.309465200Z");
    }
}
