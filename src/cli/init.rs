//! `skidder init`: makes `data_dir` writable for an agent that is not root.
//!
//! In a pod the kubelet makes the folder of a host path as root's own, and gives it to no group. An init container
//! of user 0, without any capability, runs this: it owns the folder, and shares it with its group, the agent's.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::{Failure, InitArgs};
use crate::checkpoint::Lock;
use crate::config::{Config, Env};

/// Owner and group may do all in a folder, others nothing.
const FOLDER: u32 = 0o770;
/// Owner and group may read and write a file.
const FILE: u32 = 0o660;

/// Makes and shares the `data_dir` of the configuration that the arguments name.
pub fn execute(args: &InitArgs, env: &Env<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let config = Config::load_without_secrets(args.config.as_deref(), env)?;
    prepare(&config.data_dir).map_err(|error| Failure::Failed(error.to_string()))?;
    let (folder, group) = (config.data_dir.display(), getegid().as_raw());
    writeln!(out, "{folder} is ready for an agent of group {group}")?;
    Ok(out.flush()?)
}

/// Why the folder cannot be shared.
#[derive(Debug, thiserror::Error)]
#[error("sharing {path} with group {group}: {error}; run this as the owner of data_dir, with the agent's group",
        path = path.display(), group = getegid().as_raw())]
struct InitError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

fn prepare(data_dir: &Path) -> Result<(), InitError> {
    let inside = |error| InitError { path: data_dir.to_path_buf(), error };
    fs::create_dir_all(data_dir).map_err(inside)?;
    let found = fs::metadata(data_dir).map_err(inside)?;
    share(data_dir, &found, FOLDER)?;
    // What an agent that was root has left. Its lock tells that one was there: a folder that was named by mistake
    // keeps what it holds.
    if data_dir.join(Lock::FILE).exists() { share_all(data_dir) } else { Ok(()) }
}

/// Shares what is in `folder`, and what is ours of it: the rest is the agent's own already.
fn share_all(folder: &Path) -> Result<(), InitError> {
    let inside = |error| InitError { path: folder.to_path_buf(), error };
    for entry in fs::read_dir(folder).map_err(inside)? {
        let entry = entry.map_err(inside)?;
        let (path, found) = (entry.path(), entry.metadata().map_err(inside)?);
        let ours = found.uid() == geteuid().as_raw();
        if found.is_dir() {
            if ours {
                share(&path, &found, found.mode() | FOLDER)?;
            }
            share_all(&path)?;
        } else if found.is_file() && ours {
            share(&path, &found, found.mode() | FILE)?;
        }
    }
    Ok(())
}

/// Gives `path` to our group, with this mode. What is so already needs no right to change it.
fn share(path: &Path, found: &Metadata, mode: u32) -> Result<(), InitError> {
    let at = |error| InitError { path: path.to_path_buf(), error };
    let group = getegid().as_raw();
    if found.gid() != group {
        chown(path, None, Some(group)).map_err(at)?;
    }
    if found.mode() & 0o7777 != mode & 0o7777 {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777)).map_err(at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn make(path: &Path, mode: u32) {
        fs::write(path, "").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_folder_is_made_and_shared() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("lib/skidder");
        prepare(&data_dir).unwrap();
        assert_eq!(mode(&data_dir), 0o770);
        prepare(&data_dir).unwrap();
        assert_eq!(mode(&data_dir), 0o770, "again changes nothing");
    }

    #[test]
    fn what_an_agent_left_is_shared_too() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        for name in ["checkpoint", "dead-letters"] {
            fs::create_dir(data_dir.join(name)).unwrap();
            make(&data_dir.join(name).join("some"), 0o600);
        }
        make(&data_dir.join("lock"), 0o644);
        prepare(data_dir).unwrap();
        assert_eq!(mode(&data_dir.join("lock")), 0o664);
        for name in ["checkpoint", "dead-letters"] {
            assert_eq!(mode(&data_dir.join(name).join("some")), 0o660);
            assert_eq!(mode(&data_dir.join(name)) & 0o770, 0o770);
        }
    }

    #[test]
    fn a_folder_without_an_agents_lock_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("shadow"), 0o600);
        prepare(folder.path()).unwrap();
        assert_eq!(mode(&folder.path().join("shadow")), 0o600);
    }

    #[test]
    fn what_cannot_be_a_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("file"), 0o644);
        let error = prepare(&folder.path().join("file/data")).unwrap_err().to_string();
        assert!(error.starts_with("sharing ") && error.contains("/file/data with group "), "{error}");
    }
}
