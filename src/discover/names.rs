//! What a path says of its container: the names that the kubelet and Docker give.
//!
//! - `/var/log/containers/<pod>_<namespace>_<container>-<64 hex>.log`, a link to
//! - `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<instance>.log` (kubelet, `pkg/kubelet/kuberuntime`), and
//! - `/var/lib/docker/containers/<id>/<id>-json.log` (Docker's json-file driver).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use crate::event::{Origin, SourceKey};

/// How many hex digits a container's id has.
const ID_LEN: usize = 64;

/// Reads the kubelet's pod log path; `None` when the path has another shape.
pub fn pod_log(path: &Path) -> Option<Origin> {
    let (folder, container, file) = last_three(path)?;
    let instance = file.strip_suffix(".log")?;
    if instance.is_empty() || !instance.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Neither a namespace, nor a pod's name, nor a uid may hold an underscore.
    let mut parts = folder.split('_');
    let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || namespace.is_empty() || pod.is_empty() || !is_uid(uid) {
        return None;
    }
    Some(Origin::Pod {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        uid: uid.to_owned(),
        container: container.to_owned(),
        instance: instance.parse().ok()?,
        container_id: None,
    })
}

/// The container's id in the name of a link in `/var/log/containers`.
pub fn link_container_id(path: &Path) -> Option<&str> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let (names, id) = stem.rsplit_once('-')?;
    (is_container_id(id) && names.split('_').count() == 3).then_some(id)
}

/// Reads Docker's own log path; `None` when the path has another shape.
pub fn docker_log(path: &Path) -> Option<Origin> {
    let id = path.file_name()?.to_str()?.strip_suffix("-json.log")?;
    let folder = path.parent()?;
    (is_container_id(id) && folder.file_name() == Some(OsStr::new(id)))
        .then(|| Origin::Docker { id: id.to_owned(), folder: folder.to_owned() })
}

/// The name that the link in `/var/log/containers` has or will have, with an id of zeros where it is not known:
/// what `include` and `exclude` are matched with when the link does not exist yet, or no more.
pub fn link_name(origin: &Origin) -> Option<String> {
    let Origin::Pod { namespace, pod, container, container_id, .. } = origin else { return None };
    let zeros = "0".repeat(ID_LEN);
    let id = container_id.as_deref().unwrap_or(&zeros);
    Some(format!("{pod}_{namespace}_{container}-{id}.log"))
}

/// What names the source across restarts.
pub fn source_key(origin: &Origin, path: &Path) -> SourceKey {
    let text = match origin {
        Origin::Pod { uid, container, instance, .. } => format!("pod/{uid}/{container}/{instance}"),
        Origin::Docker { id, .. } => format!("docker/{id}"),
        Origin::File => format!("file/{}", escaped(path)),
    };
    SourceKey(text.into())
}

/// The path of a plain file, from what names it as a source; `None` for a container's log.
pub fn file_path(key: &SourceKey) -> Option<PathBuf> {
    let mut escaped = key.0.strip_prefix("file/")?.as_bytes();
    let mut path = Vec::with_capacity(escaped.len());
    while let Some((first, rest)) = escaped.split_first() {
        let byte = match (first, rest.get(..2)) {
            (b'%', hex) => hex
                .and_then(|hex| str::from_utf8(hex).ok())
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())?,
            _ => *first,
        };
        escaped = &rest[if *first == b'%' { 2 } else { 0 }..];
        path.push(byte);
    }
    Some(OsString::from_vec(path).into())
}

/// A path as text that no other path has: bytes that are not UTF-8 (and the escape itself) become `%XX`.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn last_three(path: &Path) -> Option<(&str, &str, &str)> {
    let mut parts = path.components().rev().map(|component| match component {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let (file, container, folder) = (parts.next()??, parts.next()??, parts.next()??);
    Some((folder, container, file))
}

/// A pod's uid: dashed, or the 32 hex digits of a static pod's hash. Lenient: only characters that may occur.
fn is_uid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_container_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_names() {
        let path =
            Path::new("/var/log/pods/shop_web-7d4b9c-xk2lp_827ea626-4087-4bd8-83dd-94f45392d429/web/3.log");
        let Some(Origin::Pod { namespace, pod, uid, container, instance, container_id }) = pod_log(path)
        else {
            panic!("not recognized");
        };
        assert_eq!((&*namespace, &*pod, &*container, instance), ("shop", "web-7d4b9c-xk2lp", "web", 3));
        assert_eq!(uid, "827ea626-4087-4bd8-83dd-94f45392d429");
        assert_eq!(container_id, None);
        for other in [
            "/var/log/pods/shop_web_1_2/web/0.log",
            "/var/log/pods/shop_web_1/web/0.log.20261122-173921",
            "/var/log/pods/shop_web_1/web/app.log",
            "/var/log/app.log",
            "0.log",
        ] {
            assert_eq!(pod_log(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn the_links_name_the_container() {
        let id = "dabb2f0ae27bf96d623546ee1eee97e46ca0b2c06f689d842b047d85ad2cc7bb";
        let path = format!("/var/log/containers/duo-lab-node_default_sidecar-proxy-{id}.log");
        assert_eq!(link_container_id(Path::new(&path)), Some(id));
        assert_eq!(link_container_id(Path::new("/var/log/containers/a_b_c-12.log")), None);
        let origin = Origin::Pod {
            namespace: "default".into(),
            pod: "duo-lab-node".into(),
            uid: "1".into(),
            container: "sidecar-proxy".into(),
            instance: 0,
            container_id: Some(id.into()),
        };
        assert_eq!(link_name(&origin), Some(format!("duo-lab-node_default_sidecar-proxy-{id}.log")));
    }

    #[test]
    fn dockers_names() {
        let id = "ab".repeat(32);
        let path = format!("/var/lib/docker/containers/{id}/{id}-json.log");
        assert!(matches!(docker_log(Path::new(&path)), Some(Origin::Docker { .. })));
        assert_eq!(docker_log(Path::new("/x/y-json.log")), None);
    }

    #[test]
    fn odd_bytes_keep_their_own_key() {
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(OsStr::from_bytes(b"/a/\xff.log"));
        assert_eq!(&*source_key(&Origin::File, odd).0, "file//a/%FF.log");
        assert_eq!(&*source_key(&Origin::File, Path::new("/a/%FF.log")).0, "file//a/%25FF.log");
        for path in [odd, Path::new("/a/%FF.log"), Path::new("/a/b.log")] {
            assert_eq!(file_path(&source_key(&Origin::File, path)).as_deref(), Some(path));
        }
        for other in ["pod/u/c/0", "file//a/%F", "file//a/%XY"] {
            assert_eq!(file_path(&SourceKey(other.into())), None);
        }
    }
}
