//! Times as runtimes write them: RFC 3339 with up to nine digits of a second.

/// Reads an RFC 3339 time (`2026-11-22T17:59:23.3094652Z`, or with an offset such as `+01:00`) as nanoseconds
/// since 1970. Any count of fraction digits; those beyond nine are dropped. `None` when it is no such time.
pub fn nanos(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let separators = date[4] == b'-' && date[7] == b'-' && date[13] == b':' && date[16] == b':';
    if !separators || !matches!(date[10], b'T' | b't' | b' ') {
        return None;
    }
    let days = days_from_civil(digits(&date[0..4])?, digits(&date[5..7])?, digits(&date[8..10])?)?;
    let (hour, minute, second) = (digits(&date[11..13])?, digits(&date[14..16])?, digits(&date[17..19])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - zone_offset(zone)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
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

/// `.123…` and what follows it: nanoseconds, and the zone.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (text, zone) = rest.split_at(count);
    let kept = &text[..count.min(9)];
    let value = digits(kept)? * 10_i64.pow(9 - kept.len() as u32);
    Some((value, zone))
}

/// Seconds east of UTC of `Z`, `+01:00` or `-0530`.
fn zone_offset(zone: &[u8]) -> Option<i64> {
    let (sign, hour, minute) = match zone {
        b"Z" | b"z" => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (*sign, digits(&[*h1, *h2])?, digits(&[*m1, *m2])?)
        }
        _ => return None,
    };
    let seconds = hour * 3_600 + minute * 60;
    Some(if sign == b'-' { -seconds } else { seconds })
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0_i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn write_digits(out: &mut [u8], mut value: i64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since 1970 of a date of the proleptic Gregorian calendar; years begin in March so that the leap day is
/// their last.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
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
    fn writes_what_it_reads() {
        for value in [0, -1, 951_782_399_000_000_000, 951_868_800_123_456_789, 1_795_370_363_309_465_200] {
            assert_eq!(nanos(&rfc3339(value)), Some(value));
        }
        assert_eq!(&rfc3339(1_795_370_363_309_465_200), b"2026-11-22T17:59:23.309465200Z");
    }
}
