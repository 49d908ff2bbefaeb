//! What lies on this machine: files, notifications, `data_dir`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{getegid, geteuid, getgroups};

use super::Finding;
use crate::checkpoint::{Attempt, Lock};
use crate::config::{Config, units::show_size};
use crate::discover::watch::Watcher;
use crate::discover::{Found, generations};
use crate::pipeline::settings;

/// So many files that cannot be read are named; more of them have the same cause.
const NAMED: usize = 3;

/// With less free space a checkpoint may not be written anew: it is some hundred bytes for each log.
const LEAST_SPACE: u64 = 16 << 20;

/// Looks whether the logs can be found and read. Gives them.
pub(super) fn files(config: &Config, findings: &mut Vec<Finding>) -> Vec<Found> {
    let scanner = match settings::scanner(config) {
        Ok(scanner) => scanner,
        Err(error) => {
            findings.push(Finding::failed("files", error, "mend the pattern"));
            return Vec::new();
        }
    };
    let scan = scanner.scan();
    let mut refused: Vec<(PathBuf, io::Error)> = scan.problems;
    let mut count = 0;
    for found in &scan.found {
        match generations(&found.path) {
            Ok(files) => {
                for file in files {
                    count += 1;
                    if let Err(error) = File::open(&file.path) {
                        refused.push((file.path, error));
                    }
                }
            }
            Err(error) => refused.push((found.path.clone(), error)),
        }
    }
    // What has vanished meanwhile is no trouble.
    refused.retain(|(_, error)| error.kind() != io::ErrorKind::NotFound);
    for (path, error) in refused.iter().take(NAMED) {
        let (message, remedy) = unreadable(path, error);
        findings.push(Finding::failed("files", message, remedy));
    }
    if refused.len() > NAMED {
        let more = format!("{} more that cannot be read", refused.len() - NAMED);
        findings.push(Finding::failed("files", more, "most likely for the same reason"));
    }
    if refused.is_empty() {
        let logs = scan.found.len();
        findings.push(match logs {
            0 => Finding::ok("files", "no file matches yet; what comes is found"),
            _ => Finding::ok("files", format!("{logs} logs in {count} files, all can be read")),
        });
    }
    let folders: BTreeSet<PathBuf> = scan.folders.into_iter().chain(parents(&scan.found)).collect();
    findings.push(inotify(&folders));
    scan.found
}

fn parents(found: &[Found]) -> impl Iterator<Item = PathBuf> {
    found.iter().filter_map(|found| found.path.parent().map(Path::to_owned))
}

/// Whose it is, who we are, and what would help.
fn unreadable(path: &Path, error: &io::Error) -> (String, String) {
    let Some((barrier, meta)) = barrier(path).filter(|_| error.kind() == io::ErrorKind::PermissionDenied)
    else {
        return (format!("{}: {error}", path.display()), "look at the disk and the mount".to_owned());
    };
    let message = format!(
        "{}: permission denied; {} has mode {:04o} and belongs to user {}, group {}; this is {}",
        path.display(),
        barrier.display(),
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid(),
        this_user()
    );
    let remedy = format!(
        "run the agent as user {} (in a pod, securityContext.runAsUser), or in group {} (supplementalGroups) where the \
         group may read",
        meta.uid(),
        meta.gid()
    );
    (message, remedy)
}

/// The highest of the path and the folders above it that we may not enter or read.
fn barrier(path: &Path) -> Option<(PathBuf, fs::Metadata)> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    let closed = |step: &&Path| {
        let wanted = if step.is_dir() { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
        access(*step, wanted).is_err()
    };
    let entered = |step: &&Path| access(*step, Access::EXEC_OK).is_err() && step.is_dir();
    let step =
        way.iter().find(|step| entered(step)).or_else(|| way.iter().rev().find(|step| closed(step)))?;
    Some(((*step).to_owned(), step.metadata().ok()?))
}

fn this_user() -> String {
    let groups = getgroups().unwrap_or_default();
    let mut groups: BTreeSet<u32> = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    groups.insert(getegid().as_raw());
    let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
    format!("user {}, groups {}", geteuid().as_raw(), groups.join(" "))
}

/// Whether all folders of the logs can be watched.
fn inotify(folders: &BTreeSet<PathBuf>) -> Finding {
    let limit = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).unwrap_or_default();
        text.trim().parse::<u64>().map_or_else(|_| "?".to_owned(), |limit| limit.to_string())
    };
    let polled = "files are looked at four times a second until then";
    let mut watcher = match Watcher::start(|_| {}) {
        Ok(watcher) => watcher,
        Err(error) => {
            let limit = limit("max_user_instances");
            return Finding::failed(
                "inotify",
                format!("no notifications: {error}; this user may have {limit} instances"),
                format!("raise fs.inotify.max_user_instances on the node; {polled}"),
            );
        }
    };
    let refused = watcher.watch(folders.iter().map(PathBuf::as_path));
    let (needed, may) = (folders.len(), limit("max_user_watches"));
    match refused {
        None => Finding::ok("inotify", format!("{needed} folders are watched, this user may watch {may}")),
        Some(error) => Finding::failed(
            "inotify",
            format!(
                "{} of {needed} folders cannot be watched: {error}; this user may watch {may}",
                watcher.refused()
            ),
            format!("raise fs.inotify.max_user_watches on the node; {polled}"),
        ),
    }
}

/// Whether there is a place for the state, with room, that no other holds.
pub(super) fn data_dir(config: &Config, findings: &mut Vec<Finding>) {
    let path = &config.data_dir;
    let Some(there) = path.ancestors().find(|step| step.exists()) else { return };
    let shown = path.display();
    if !there.is_dir() || access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let mode = there.metadata().map(|meta| {
            format!("mode {:04o}, user {}, group {}", meta.mode() & 0o7777, meta.uid(), meta.gid())
        });
        let message = format!(
            "{shown}: {} is not a folder that {} may write to ({})",
            there.display(),
            this_user(),
            mode.unwrap_or_default()
        );
        let remedy = "mount a hostPath (or another volume that outlives the pod) there that this user may write to, or \
                      set data_dir";
        findings.push(Finding::failed("data_dir", message, remedy));
        return;
    }
    match statvfs(there) {
        Ok(space) => {
            findings.push(space_of(&shown.to_string(), space.f_bavail * space.f_frsize, space.f_favail))
        }
        Err(error) => {
            findings.push(Finding::failed("data_dir", format!("{shown}: {error}"), "look at the mount"))
        }
    }
    // Without a lock file nobody ever was here, and looking would make one.
    if path.join("lock").exists() {
        findings.push(match Lock::attempt(path) {
            Ok(Attempt::Held(_)) => Finding::ok("data_dir", "no agent works here just now"),
            Ok(Attempt::Busy(holder)) => {
                Finding::ok("data_dir", format!("an agent works here: {holder}; a second one would wait"))
            }
            Err(error) => Finding::failed("data_dir", error, ""),
        });
    }
}

fn space_of(path: &str, free: u64, files: u64) -> Finding {
    let message = format!("{path} can be written to, {} free", show_size(free - free % (1 << 20)));
    if free < LEAST_SPACE || files < 16 {
        let remedy =
            "free space there: positions cannot be remembered, and deleted files not be kept, without";
        return Finding::failed("data_dir", format!("{message}, {files} files more"), remedy);
    }
    Finding::ok("data_dir", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_fails() {
        assert!(!space_of("/d", 1 << 30, 1000).is_failed());
        assert!(space_of("/d", 1 << 20, 1000).is_failed());
        assert!(space_of("/d", 1 << 30, 0).is_failed());
    }

    #[test]
    fn what_cannot_be_read_for_other_reasons_is_said_as_it_is() {
        let error = io::Error::other("bad sector");
        assert_eq!(unreadable(Path::new("/nowhere"), &error).0, "/nowhere: bad sector");
    }
}
