//! The format of a spool's file: gzip that `zcat` reads, whose name says which bytes it holds, and whose header says
//! whose they are.
//!
//! ```text
//! <start>-<end>-<key>.gz    member 1: the header as a comment; the generation's first line
//!                           member 2: the generation's bytes from start to end
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::event::{GenerationKey, Original, Rest, SourceKey};

/// The version that is written. It grows when an older agent would misread the file.
const VERSION: u32 = 1;

/// How much is copied between two looks at the disk.
const SLICE: usize = 256 * 1024;

/// How long a first line may be: more than any runtime's line.
const FIRST_LINE_MAX: u64 = 64 * 1024;

/// How a log is found again when nothing of it is left in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its name across restarts.
    pub source: SourceKey,
    /// Where its live file was.
    pub path: PathBuf,
    /// The path as documents show it.
    pub shown: PathBuf,
    /// The container's id, when its link had told it.
    pub container_id: Option<String>,
    /// Which block of the configuration had it.
    pub block: usize,
}

/// A file of the spool.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose it is.
    pub log: Log,
    /// What it holds.
    pub rest: Rest,
    /// When it was written, in nanoseconds since 1970: the order of what the checkpoint does not know.
    pub at: i64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    source: String,
    key: String,
    head_len: u32,
    head: u64,
    at: i64,
    // A path may have any bytes; this type keeps them.
    path: OsString,
    shown: OsString,
    container_id: Option<String>,
    block: usize,
}

/// Where a copy is written before it is whole.
pub fn temporary(folder: &Path, key: &GenerationKey) -> PathBuf {
    folder.join(format!("{key}.tmp"))
}

/// Writes a copy to the disk under its temporary name, in slices; `proceed` is asked before each. Returns where the
/// generation ends.
///
/// # Errors
/// As the file system or `proceed` gives them, or the original: then it is damaged.
pub fn write(
    path: &Path,
    log: &Log,
    original: Original,
    at: i64,
    proceed: impl Fn() -> io::Result<()>,
) -> io::Result<u64> {
    let header = Header {
        version: VERSION,
        source: log.source.to_string(),
        key: original.key.to_string(),
        head_len: original.head_len,
        head: original.head,
        at,
        path: log.path.clone().into(),
        shown: log.shown.clone().into(),
        container_id: log.container_id.clone(),
        block: log.block,
    };
    let file = BufWriter::with_capacity(SLICE, File::create(path)?);
    let comment = serde_json::to_string(&header)?;
    let mut first = flate2::GzBuilder::new().comment(comment).write(file, Compression::fast());
    first.write_all(&original.first_line)?;
    let mut rest = GzEncoder::new(first.finish()?, Compression::fast());
    let (mut bytes, mut end) = (original.bytes, original.start);
    loop {
        proceed()?;
        let copied = io::copy(&mut bytes.by_ref().take(SLICE as u64), &mut rest)?;
        end += copied;
        if copied == 0 {
            break;
        }
    }
    rest.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(end)
}

/// The name of a whole copy.
pub fn name(key: &GenerationKey, start: u64, end: u64) -> String {
    format!("{start}-{end}-{key}.gz")
}

/// Reads what a file says of itself.
///
/// # Errors
/// When it cannot be read, or is no file of a spool.
pub fn read(path: &Path) -> io::Result<Kept> {
    let mut file = BufReader::new(File::open(path)?);
    let (header, first_line) = read_header(&mut file)?;
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let (start, end, named) = parse_name(path).ok_or_else(|| wrong("its name is none of a spool"))?;
    let key = GenerationKey::parse(&header.key).filter(|key| *key == named);
    let key = key.ok_or_else(|| wrong("its name is not what it holds"))?;
    let size = file.get_ref().metadata()?.len();
    let Header { source, head_len, head, at, container_id, block, .. } = header;
    let log = Log {
        source: SourceKey(source.into()),
        path: header.path.into(),
        shown: header.shown.into(),
        container_id,
        block,
    };
    let path = path.to_owned();
    Ok(Kept { log, rest: Rest { key, head_len, head, start, end, first_line, path, size, open }, at })
}

/// Opens a file, to read the generation's bytes.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
    read_header(&mut file)?;
    Ok(Box::new(MultiGzDecoder::new(file)))
}

/// Reads the first member; what follows is left in the file.
fn read_header(file: &mut impl BufRead) -> io::Result<(Header, Vec<u8>)> {
    let mut member = GzDecoder::new(file);
    let mut first_line = Vec::new();
    let read = member.by_ref().take(FIRST_LINE_MAX + 1).read_to_end(&mut first_line)?;
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    if read as u64 > FIRST_LINE_MAX {
        return Err(wrong("its first line is too long".to_owned()));
    }
    let comment = member.header().and_then(flate2::GzHeader::comment).unwrap_or_default();
    let header: Header =
        serde_json::from_slice(comment).map_err(|error| wrong(format!("its header: {error}")))?;
    if header.version > VERSION {
        return Err(wrong(format!("it has version {}, this agent knows {VERSION}", header.version)));
    }
    Ok((header, first_line))
}

fn parse_name(path: &Path) -> Option<(u64, u64, GenerationKey)> {
    let mut parts = path.file_name()?.to_str()?.strip_suffix(".gz")?.splitn(3, '-');
    let (start, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let key = GenerationKey::parse(parts.next()?)?;
    (start <= end).then_some((start, end, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::ffi::OsStringExt;

    fn log() -> Log {
        Log {
            source: SourceKey("pod/u/web/0".into()),
            path: OsString::from_vec(b"/pods/shop_web_u/web/\xff.log".to_vec()).into(),
            shown: "/pods/shop_web_u/web/0.log".into(),
            container_id: Some("ab".repeat(32)),
            block: 3,
        }
    }

    fn original(text: &'static [u8]) -> Original {
        let (key, first_line) = (GenerationKey([0xff; 9]), b"the first".to_vec());
        Original { key, head_len: 7, head: u64::MAX, start: 100, first_line, bytes: Box::new(text) }
    }

    fn written(folder: &Path, text: &'static [u8]) -> PathBuf {
        let temporary = temporary(folder, &GenerationKey([0xff; 9]));
        let end = write(&temporary, &log(), original(text), 5, || Ok(())).unwrap();
        assert_eq!(end, 100 + text.len() as u64);
        let path = folder.join(name(&GenerationKey([0xff; 9]), 100, end));
        std::fs::rename(temporary, &path).unwrap();
        path
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let text: &[u8] = Vec::leak((0..SLICE as u32).flat_map(|n| n.to_le_bytes()).collect());
        let path = written(folder.path(), text);
        let kept = read(&path).unwrap();
        assert_eq!((&kept.log, kept.at), (&log(), 5));
        assert_eq!((kept.rest.start, kept.rest.end), (100, 100 + text.len() as u64));
        assert_eq!((kept.rest.head_len, kept.rest.head), (7, u64::MAX));
        assert_eq!(kept.rest.first_line, b"the first");
        assert_eq!(kept.rest.size, std::fs::metadata(&path).unwrap().len());
        let mut bytes = Vec::new();
        (kept.rest.open)(&kept.rest.path).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, text);
    }

    #[test]
    fn no_copy_goes_on_when_it_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = || Err(io::ErrorKind::StorageFull.into());
        let error = write(&folder.path().join("x.tmp"), &log(), original(b"text"), 5, refuse).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Whatever the disk has made of a file: an error, or the bytes that were written up to one.
    #[test]
    fn a_damaged_file_is_an_error() {
        let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("SKIDDER_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let text: &[u8] =
            Vec::leak((0..5_000_u32).flat_map(|n| n.wrapping_mul(0x9e37).to_le_bytes()).collect());
        let path = written(folder.path(), text);
        let good = std::fs::read(&path).unwrap();
        for _ in 0..500 {
            let mut bytes = good.clone();
            match random.bool() {
                true => bytes.truncate(random.usize(..good.len())),
                false => bytes[random.usize(..good.len())] ^= random.u8(1..),
            }
            std::fs::write(&path, bytes).unwrap();
            let _ = read(&path);
            let mut got = Vec::new();
            if let Ok(mut reader) = open(&path)
                && reader.read_to_end(&mut got).is_ok()
            {
                assert!(got.is_empty() || got == text, "what passes its checksum is what was written");
            }
        }
    }
}
