//! Sizes, durations and rates as people write them.

use std::num::NonZeroU32;
use std::time::Duration;

/// Units of size, the largest first. Those without a letter `i` are decimal, as in SI.
const SIZES: [(&str, u64); 13] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of time in milliseconds, the largest first.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `512KiB`, `5MiB`, `5Mi`, `5MB` or a bare number of bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write such as 512KiB or 5MiB");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let scale = match SIZES.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => *scale,
        None if unit.is_empty() => 1,
        None => return Err(wrong()),
    };
    number.checked_mul(scale).ok_or_else(|| format!("`{text}` is too large; write less than 16 million TiB"))
}

/// Writes what [`parse_size`] reads, in the largest unit that divides it.
pub fn show_size(bytes: u64) -> String {
    let unit = SIZES.iter().take(4).find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale));
    match unit {
        Some((name, scale)) => format!("{}{name}", bytes / scale),
        None => format!("{bytes}B"),
    }
}

/// Reads `250ms`, `10s`, `5m`, `1h`, `30d`, also put together as in `1m30s`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write such as 250ms, 10s or 5m");
    let mut millis = 0_u64;
    let mut rest = text;
    loop {
        let (number, after) = split(rest).ok_or_else(wrong)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (_, scale) = TIMES.iter().find(|(name, _)| *name == &after[..end]).ok_or_else(wrong)?;
        let part = number.checked_mul(*scale).ok_or_else(wrong)?;
        millis = millis.checked_add(part).ok_or_else(wrong)?;
        rest = &after[end..];
        if rest.is_empty() {
            return Ok(Duration::from_millis(millis));
        }
    }
}

/// Writes what [`parse_duration`] reads, in the largest unit that divides it.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = TIMES.iter().find(|(_, scale)| millis != 0 && millis.is_multiple_of(*scale));
    match unit {
        Some((name, scale)) => format!("{}{name}", millis / scale),
        None => "0s".into(),
    }
}

/// Reads a count of which none makes no sense.
pub(super) fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<NonZeroU32, D::Error> {
    let count = <u32 as serde::Deserialize>::deserialize(deserializer)?;
    NonZeroU32::new(count).ok_or_else(|| serde::de::Error::custom("must be at least 1"))
}

/// Digits, and what follows them.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// serde's door to sizes: `#[serde(with = "size")]`.
pub(super) mod size {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_size(*bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        super::parse_size(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// A limit that lets nothing through is never meant.
    pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match deserialize(deserializer)? {
            0 => Err(D::Error::custom("must be more than 0; write such as 1MiB")),
            bytes => Ok(bytes),
        }
    }
}

/// serde's door to durations: `#[serde(with = "duration")]`.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_duration(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// For what would spin, or never succeed, without any time.
    pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        match deserialize(deserializer)? {
            Duration::ZERO => Err(D::Error::custom("must be more than 0; write such as 10s")),
            duration => Ok(duration),
        }
    }
}

/// serde's door to a duration that may be absent, written as nothing.
pub(super) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration.map(super::show_duration).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        match super::parse_duration(&text).map_err(D::Error::custom)? {
            Duration::ZERO => {
                Err(D::Error::custom("must be more than 0; write such as 30d, or \"\" for none"))
            }
            duration => Ok(Some(duration)),
        }
    }
}

/// serde's door to bytes per second that may be absent, written as nothing.
pub(super) mod optional_rate {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(rate: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rate.map(|rate| super::show_size(rate) + "/s").unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let rate =
            text.strip_suffix("/s").and_then(|size| super::parse_size(size).ok()).filter(|rate| *rate > 0);
        let wrong =
            || D::Error::custom(format!("`{text}` is not a rate; write such as 5MiB/s, or \"\" for none"));
        rate.map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes, shown) in [
            ("512KiB", 512 << 10, "512KiB"),
            ("5MiB", 5 << 20, "5MiB"),
            ("5 MiB", 5 << 20, "5MiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("32Mi", 32 << 20, "32MiB"),
            ("5MB", 5_000_000, "5000000B"),
            ("1500", 1500, "1500B"),
            ("0", 0, "0B"),
            ("1TiB", 1 << 40, "1TiB"),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), shown);
            assert_eq!(parse_size(shown), Ok(bytes));
        }
        for text in ["", "MiB", "5 parsecs", "-1", "1.5MiB", "5M", "5mib", "99999999999TiB", "1KiB2"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis, shown) in [
            ("250ms", 250, "250ms"),
            ("10s", 10_000, "10s"),
            ("5m", 300_000, "5m"),
            ("90s", 90_000, "90s"),
            ("1m30s", 90_000, "90s"),
            ("30d", 2_592_000_000, "30d"),
            ("0s", 0, "0s"),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(millis)), shown);
        }
        for text in ["", "10", "s", "-1s", "1.5s", "10 parsecs", "1sm", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
