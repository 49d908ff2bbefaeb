//! Who we are, read anew when a file changes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use super::settings::{Access, Secret, SecretSource};

/// How a file is known to have changed: Kubernetes swaps a mounted secret by a link, so its inode changes too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// The stamp of the file as it is now; the default when it is not there.
    pub fn of(path: &Path) -> Self {
        fs::metadata(path).map_or_else(
            |_| Self::default(),
            |meta| Self { inode: meta.ino(), len: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) },
        )
    }
}

/// Why credentials cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The secret's file cannot be read.
    #[error("cannot read the secret in {}: {error}; check that it is mounted and readable", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The secret has bytes that no HTTP header may have.
    #[error("the secret{} has a newline or another byte that no header may have", .0.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default())]
    Header(Option<PathBuf>),
}

/// The `Authorization` header, kept until its file changes.
#[derive(Debug)]
pub struct Credentials {
    access: Access,
    /// The stamp of the file that `header` was made from.
    stamp: Stamp,
    header: Option<HeaderValue>,
}

impl Credentials {
    /// Nothing is read yet.
    pub fn new(access: Access) -> Self {
        Self { access, stamp: Stamp::default(), header: None }
    }

    /// The header to send; `None` when there are no credentials.
    ///
    /// # Errors
    /// [`CredentialsError`]: the file cannot be read and never could be. A file that was there keeps its last
    /// secret until it is there again.
    pub fn header(&mut self) -> Result<Option<HeaderValue>, CredentialsError> {
        if !self.changed() && self.header.is_some() {
            return Ok(self.header.clone());
        }
        let stamp = self.file().map(Stamp::of).unwrap_or_default();
        match self.read() {
            Ok(header) => {
                self.header = header;
                self.stamp = stamp;
            }
            Err(error) if self.header.is_none() => return Err(error),
            Err(error) => {
                tracing::warn!("{error}; going on with the secret read before");
                self.stamp = stamp;
            }
        }
        Ok(self.header.clone())
    }

    /// Whether the file is another than the one last read.
    pub fn changed(&self) -> bool {
        self.file().is_some_and(|path| Stamp::of(path) != self.stamp)
    }

    fn file(&self) -> Option<&Path> {
        match &self.access {
            Access::ApiKey(SecretSource::File(path))
            | Access::Basic { password: SecretSource::File(path), .. } => Some(path),
            _ => None,
        }
    }

    fn read(&self) -> Result<Option<HeaderValue>, CredentialsError> {
        let text = match &self.access {
            Access::None => return Ok(None),
            Access::ApiKey(source) => {
                let key = read(source)?;
                let key = key.reveal();
                // The encoded form is base64, which has no colon.
                let key = if key.contains(':') { STANDARD.encode(key) } else { key.to_owned() };
                format!("ApiKey {key}")
            }
            Access::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", read(password)?.reveal())))
            }
        };
        let mut header = HeaderValue::from_str(&text)
            .map_err(|_| CredentialsError::Header(self.file().map(Path::to_path_buf)))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

fn read(source: &SecretSource) -> Result<Secret, CredentialsError> {
    match source {
        SecretSource::Value(secret) => Ok(secret.clone()),
        SecretSource::File(path) => fs::read_to_string(path)
            .map(|text| Secret::new(text.trim_end()))
            .map_err(|error| CredentialsError::File { path: path.clone(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(credentials: &mut Credentials) -> String {
        credentials.header().unwrap().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn keys_in_both_forms_and_passwords() {
        let key = |text: &str| Credentials::new(Access::ApiKey(SecretSource::Value(Secret::new(text))));
        assert_eq!(header(&mut key("id:key")), "ApiKey aWQ6a2V5");
        assert_eq!(header(&mut key("aWQ6a2V5")), "ApiKey aWQ6a2V5");
        let password = SecretSource::Value(Secret::new("pa:ss"));
        let mut basic = Credentials::new(Access::Basic { user: "elastic".into(), password });
        assert_eq!(header(&mut basic), "Basic ZWxhc3RpYzpwYTpzcw==");
        assert!(Credentials::new(Access::None).header().unwrap().is_none());
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_missed_when_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut credentials = Credentials::new(Access::ApiKey(SecretSource::File(path.clone())));
        assert!(credentials.header().unwrap_err().to_string().contains("check that it is mounted"));
        fs::write(&path, "first\n").unwrap();
        assert!(credentials.changed());
        assert_eq!(header(&mut credentials), "ApiKey first");
        assert!(!credentials.changed());
        fs::write(folder.path().join("next"), "second").unwrap();
        fs::rename(folder.path().join("next"), &path).unwrap();
        assert_eq!(header(&mut credentials), "ApiKey second");
        fs::remove_file(&path).unwrap();
        assert_eq!(header(&mut credentials), "ApiKey second");
    }
}
