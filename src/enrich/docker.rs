//! What a plain Docker host knows of a container: `config.v2.json` in the container's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader};
use std::path::Path;

use serde::Deserialize;

/// The file's name in the container's folder, beside its log.
pub const CONFIG: &str = "config.v2.json";

/// What documents need of a container of a plain Docker host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerMeta {
    /// Its name, without Docker's leading slash.
    pub name: String,
    /// The image as it was asked for, such as `nginx:1.27`.
    pub image: String,
    /// The image's digest, `sha256:…`.
    pub image_id: String,
    /// Its labels, those of the image included.
    pub labels: BTreeMap<String, String>,
}

/// Why a container's description cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The file cannot be opened.
    #[error("open {path}: {source}")]
    Open {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not what Docker writes.
    #[error("read {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl DockerMeta {
    /// Reads what Docker wrote into the container's folder.
    ///
    /// # Errors
    ///
    /// When there is no such file, it may not be read, or it is no such JSON.
    pub fn read(folder: &Path) -> Result<Self, DockerError> {
        let path = folder.join(CONFIG);
        let name = || path.display().to_string();
        let file = fs::File::open(&path).map_err(|source| DockerError::Open { path: name(), source })?;
        let config: Config = serde_json::from_reader(BufReader::new(file))
            .map_err(|source| DockerError::Read { path: name(), source })?;
        Ok(config.into())
    }
}

/// The part of the file that is used.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Config {
    name: String,
    image: String,
    config: Inner,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inner {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

impl From<Config> for DockerMeta {
    fn from(config: Config) -> Self {
        Self {
            name: config.name.strip_prefix('/').unwrap_or(&config.name).to_owned(),
            image: config.config.image,
            image_id: config.image,
            labels: config.config.labels.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_name_image_and_labels() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"StreamConfig":{},"State":{"Running":true},"ID":"ab","Name":"/web","Image":"sha256:12",
            "Config":{"Image":"nginx:1.27","Env":["A=b"],"Labels":{"com.docker.compose.service":"web"}}}"#;
        fs::write(folder.path().join(CONFIG), text).unwrap();
        let meta = DockerMeta::read(folder.path()).unwrap();
        assert_eq!(
            (meta.name.as_str(), meta.image.as_str(), meta.image_id.as_str()),
            ("web", "nginx:1.27", "sha256:12")
        );
        assert_eq!(meta.labels["com.docker.compose.service"], "web");
    }

    #[test]
    fn tolerates_no_labels_and_names_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = DockerMeta::read(folder.path()).unwrap_err().to_string();
        assert!(missing.starts_with("open ") && missing.contains(CONFIG), "{missing}");
        fs::write(folder.path().join(CONFIG), r#"{"Name":"plain","Config":{"Labels":null}}"#).unwrap();
        assert_eq!(DockerMeta::read(folder.path()).unwrap().name, "plain");
        fs::write(folder.path().join(CONFIG), "half").unwrap();
        assert!(DockerMeta::read(folder.path()).unwrap_err().to_string().starts_with("read "));
    }
}
