//! What the downward API tells a sidecar of its own pod: names in its configuration, labels and annotations in the
//! files of a volume, which the kubelet writes anew when they change.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Chars;

use super::pods::Texts;
use crate::event::PodMeta;

/// The pod that all files are of which no path names; what the user says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPod {
    /// Its names, and where it runs.
    pub names: PodMeta,
    /// The folder with the files `labels` and `annotations`; `None` for none.
    pub podinfo: Option<PathBuf>,
}

/// Why labels or annotations cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PodInfoError {
    /// The file cannot be read.
    #[error("read {path}: {source}; add a downwardAPI volume with a file `labels`, or leave kubernetes.pod.podinfo out", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what the downward API writes.
    #[error("read {path}: line {line} is not of the form key=\"value\"", path = path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

impl OwnPod {
    /// What is known of the pod now. A file `annotations` may be missing.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or the downward API has not written it.
    pub fn read(&self) -> Result<PodMeta, PodInfoError> {
        let mut pod = self.names.clone();
        if let Some(folder) = &self.podinfo {
            pod.labels = texts(&folder.join("labels"))?;
            pod.annotations = match texts(&folder.join("annotations")) {
                Err(PodInfoError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    BTreeMap::new()
                }
                read => read?,
            };
        }
        pod.owner = owner(&pod);
        Ok(pod)
    }
}

/// A file of the downward API: `key="value"` a line, the value quoted as Go quotes strings.
fn texts(path: &Path) -> Result<BTreeMap<String, String>, PodInfoError> {
    let text = fs::read(path).map_err(|source| PodInfoError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8_lossy(&text);
    let mut texts = Texts::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let pair = line.split_once('=').and_then(|(key, value)| Some((key.to_owned(), unquoted(value)?)));
        let (key, value) =
            pair.ok_or_else(|| PodInfoError::Line { path: path.to_owned(), line: index + 1 })?;
        texts.add(key, value);
    }
    Ok(texts.kept)
}

/// Reads what Go's `strconv.Quote` wrote; `None` when it is anything else.
fn unquoted(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        let character = match next {
            '"' => return None,
            '\\' => match rest.next()? {
                'x' => {
                    // A byte, which may be part of nothing.
                    bytes.push(u8::try_from(code(&mut rest, 2)?).ok()?);
                    continue;
                }
                'u' => char::from_u32(code(&mut rest, 4)?)?,
                'U' => char::from_u32(code(&mut rest, 8)?)?,
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                same @ ('\\' | '"' | '\'') => same,
                _ => return None,
            },
            other => other,
        };
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// So many hex digits.
fn code(text: &mut Chars<'_>, digits: usize) -> Option<u32> {
    let hex: String = text.take(digits).collect();
    u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits)
}

/// The pod's owner, which the downward API does not tell: from the labels that controllers set, where the pod's name
/// fits them.
fn owner(pod: &PodMeta) -> Option<(String, String)> {
    let label = |name: &str| pod.labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let before_last_dash = || pod.name.rsplit_once('-').map(|(before, _)| before);
    let (kind, name) = if let Some(job) = label("batch.kubernetes.io/job-name").or_else(|| label("job-name"))
    {
        ("Job", job)
    } else if label("statefulset.kubernetes.io/pod-name") == Some(&pod.name) {
        ("StatefulSet", before_last_dash()?)
    } else {
        let hash = label("pod-template-hash")?;
        ("ReplicaSet", before_last_dash().filter(|name| name.ends_with(hash))?)
    };
    Some((kind.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_as_go_quotes() {
        for (quoted, expected) in [
            (r#""""#, Some("")),
            (r#""web""#, Some("web")),
            (r#""a \"quoted\" value, a tab\t and ünï""#, Some("a \"quoted\" value, a tab\t and ünï")),
            (r#""one\ntwo\\three\r""#, Some("one\ntwo\\three\r")),
            (r#""\x00\u200b\U000e0001\a""#, Some("\0\u{200b}\u{e0001}\x07")),
            (r#""caf\xe9""#, Some("caf\u{fffd}")),
            ("bare", None),
            (r#""open"#, None),
            (r#""a"b""#, None),
            (r#""\q""#, None),
            (r#""\x1""#, None),
            (r#""\"#, None),
        ] {
            assert_eq!(unquoted(quoted).as_deref(), expected, "{quoted}");
        }
    }

    #[test]
    fn labels_annotations_and_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let names = PodMeta { name: "web-5d8f7c9b6d-x2k4m".to_owned(), ..PodMeta::default() };
        let own = OwnPod { names, podinfo: Some(folder.path().to_owned()) };
        let missing = own.read().unwrap_err().to_string();
        assert!(missing.contains("labels: No such file") && missing.contains("downwardAPI"), "{missing}");
        fs::write(folder.path().join("labels"), "app=\"cart\"\npod-template-hash=\"5d8f7c9b6d\"").unwrap();
        let pod = own.read().unwrap();
        assert_eq!(pod.labels["app"], "cart");
        assert_eq!(pod.owner, Some(("ReplicaSet".to_owned(), "web-5d8f7c9b6d".to_owned())));
        fs::write(folder.path().join("annotations"), "note=\"a=b\"\nskidder.io/json=\"off\"\n").unwrap();
        assert_eq!(own.read().unwrap().annotations["note"], "a=b");
        fs::write(folder.path().join("annotations"), "note=\"a\"\nhalf").unwrap();
        assert!(own.read().unwrap_err().to_string().ends_with("line 2 is not of the form key=\"value\""));
    }

    #[test]
    fn controllers_label_their_pods() {
        for (name, label, value, expected) in [
            (
                "backup-29924280-abcde",
                "batch.kubernetes.io/job-name",
                "backup-29924280",
                "Job backup-29924280",
            ),
            ("db-0", "statefulset.kubernetes.io/pod-name", "db-0", "StatefulSet db"),
            ("web-77-x2k4m", "pod-template-hash", "77", "ReplicaSet web-77"),
            ("other", "pod-template-hash", "77", ""),
            ("web-1", "app", "web", ""),
        ] {
            let labels = [(label.to_owned(), value.to_owned())].into();
            let pod = PodMeta { name: name.to_owned(), labels, ..PodMeta::default() };
            let owner = owner(&pod).map(|(kind, name)| format!("{kind} {name}")).unwrap_or_default();
            assert_eq!(owner, expected, "{name}");
        }
    }
}
