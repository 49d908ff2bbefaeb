//! The files that one log is spread over: the live one, and what rotation has made of its past.
//!
//! | who rotates | live | rotated, newest first |
//! | --- | --- | --- |
//! | the kubelet (`pkg/kubelet/logs`) | `0.log` | `0.log.20261122-173927`, `0.log.20261122-173921.gz` |
//! | Docker (json-file with `max-file`) | `<id>-json.log` | `<id>-json.log.1`, `<id>-json.log.2.gz` |
//! | logrotate, by count or by date | `app.log` | `app.log.1`, `app.log.2.gz`; `app.log-20261122`, `app.log-20261121.gz` |

use std::cmp::Reverse;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::event::GenerationFile;

/// How often a folder is listed until two looks agree; a rotation is over in milliseconds.
const AGREE_TRIES: usize = 10;

/// How old a rotated file is, by its name: later is younger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// A date or time in the name, in an order that sorts.
    Dated(Vec<u8>),
    /// A number that grows at each rotation of another.
    Numbered(Reverse<u64>),
    /// The live file.
    Live,
}

/// The generations of the log whose live file is (or was, or will be) at `live`, oldest first; the live one last
/// if it exists.
///
/// Where a generation lies there twice, plain and packed (the rotator is at work just now), the plain one is given.
///
/// # Errors
/// When the folder cannot be listed; none when it does not exist.
pub fn generations(live: &Path) -> io::Result<Vec<GenerationFile>> {
    // A folder that is listed while a file is renamed may show it under both names, or under none: the list counts
    // when a second look agrees.
    let mut listed = list(live)?;
    for _ in 0..AGREE_TRIES {
        let again = list(live)?;
        let same = |(one, other): (&GenerationFile, &GenerationFile)| {
            (&one.path, one.device, one.inode) == (&other.path, other.device, other.inode)
        };
        if listed.len() == again.len() && listed.iter().zip(&again).all(same) {
            break;
        }
        listed = again;
    }
    Ok(listed)
}

fn list(live: &Path) -> io::Result<Vec<GenerationFile>> {
    let (Some(folder), Some(base)) = (live.parent(), live.file_name()) else { return Ok(Vec::new()) };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files: Vec<(Age, bool, GenerationFile)> = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((age, packed)) = age_of(base, &name) else { continue };
        // The live path may be a link (a plain file that someone points elsewhere); rotated ones are files.
        let path = folder.join(&name);
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_file() {
            files.push((age, packed, described(path, packed, &meta)));
        }
    }
    // Of two of the same age the plain one sorts first, and the packed one is left out.
    files.sort_by(|(age, packed, _), (other, other_packed, _)| (age, packed).cmp(&(other, other_packed)));
    files.dedup_by(|(age, _, _), (kept, _, _)| age == kept);
    Ok(files.into_iter().map(|(_, _, file)| file).collect())
}

/// The live path of the log that a rotated file belongs to; `None` when the name is not that of a rotated file.
pub fn live_path(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.as_bytes();
    let plain = name.strip_suffix(b".gz").unwrap_or(name);
    let cut = plain.iter().rposition(|byte| !is_age_byte(*byte))? + 1;
    // The separator itself is an age byte when it is a dash, so look for where the digits begin.
    let digits = cut + plain[cut..].iter().position(u8::is_ascii_digit)?;
    let (base, suffix) = match plain[..digits].split_last()? {
        (b'.' | b'-', base) => (base, &plain[digits - 1..]),
        _ => return None,
    };
    let base = OsString::from_vec(base.to_vec());
    parse_suffix(suffix)?;
    (!base.is_empty()).then(|| path.with_file_name(base))
}

fn described(path: PathBuf, packed: bool, meta: &std::fs::Metadata) -> GenerationFile {
    GenerationFile { path, packed, device: meta.dev(), inode: meta.ino(), size: meta.size() }
}

/// The age of the file `name` as a generation of `base`, and whether it is packed.
fn age_of(base: &OsStr, name: &OsStr) -> Option<(Age, bool)> {
    let suffix = name.as_bytes().strip_prefix(base.as_bytes())?;
    if suffix.is_empty() {
        return Some((Age::Live, suffix_is_gz(base)));
    }
    let (plain, packed) = match suffix.strip_suffix(b".gz") {
        Some(plain) => (plain, true),
        None => (suffix, false),
    };
    Some((parse_suffix(plain)?, packed))
}

fn suffix_is_gz(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".gz")
}

/// `.1` or `-20261122`, `.20261122-173927`, `-2026-11-22-1732300000`; `None` for anything else, such as `.tmp`.
fn parse_suffix(suffix: &[u8]) -> Option<Age> {
    let (separator, rest) = suffix.split_first()?;
    let starts_with_digit = rest.first().is_some_and(u8::is_ascii_digit);
    if !matches!(separator, b'.' | b'-') || !starts_with_digit || !rest.iter().all(|byte| is_age_byte(*byte))
    {
        return None;
    }
    let digits: Vec<u8> = rest.iter().copied().filter(u8::is_ascii_digit).collect();
    // A date has eight digits at least; a count never gets that far.
    if digits.len() >= 8 {
        return Some(Age::Dated(digits));
    }
    let number = str::from_utf8(&digits).ok()?.parse().ok()?;
    (rest.len() == digits.len()).then_some(Age::Numbered(Reverse(number)))
}

fn is_age_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(live: &str, names: &[&str]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(root.path().join(name), "x").unwrap();
        }
        let files = generations(&root.path().join(live)).unwrap();
        files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn as_the_kubelet_rotates() {
        let names = [
            "0.log",
            "1.log",
            "0.log.20261122-173927",
            "0.log.20261122-173921.gz",
            "0.log.20261122-173915.gz",
            "0.log.20261122-173930.tmp",
            "0.log.backup",
        ];
        assert_eq!(
            order("0.log", &names),
            ["0.log.20261122-173915.gz", "0.log.20261122-173921.gz", "0.log.20261122-173927", "0.log"]
        );
        assert_eq!(order("1.log", &names), ["1.log"]);
        assert_eq!(order("2.log", &names), Vec::<String>::new());
    }

    #[test]
    fn as_docker_and_logrotate_do() {
        let names = ["a.log", "a.log.1", "a.log.2.gz", "a.log.10.gz"];
        assert_eq!(order("a.log", &names), ["a.log.10.gz", "a.log.2.gz", "a.log.1", "a.log"]);
        let names = ["a.log", "a.log-20261121.gz", "a.log-20261122", "a.log-20261120.gz"];
        let ordered = ["a.log-20261120.gz", "a.log-20261121.gz", "a.log-20261122", "a.log"];
        assert_eq!(order("a.log", &names), ordered);
    }

    #[test]
    fn a_generation_that_lies_there_twice_is_given_plain() {
        let names = ["0.log", "0.log.20261122-173927", "0.log.20261122-173927.gz"];
        assert_eq!(order("0.log", &names), ["0.log.20261122-173927", "0.log"]);
    }

    #[test]
    fn a_rotated_file_knows_its_live_one() {
        for (rotated, live) in [
            ("/a/app.log.1", Some("/a/app.log")),
            ("/a/app.log.12.gz", Some("/a/app.log")),
            ("/a/app.log-20261122", Some("/a/app.log")),
            ("/a/0.log.20261122-173927.gz", Some("/a/0.log")),
            ("/a/app.log", None),
            ("/a/app.log.gz", None),
            ("/a/app-2.log", None),
            ("/a/.1", None),
        ] {
            assert_eq!(live_path(Path::new(rotated)).as_deref(), live.map(Path::new), "{rotated}");
        }
    }
}
