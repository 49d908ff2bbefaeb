//! Discover: which files exist?
//!
//! A scan of the globs is the truth; notifications ([`watch`]) are only a hint to scan or to read sooner. A log
//! is known by its live file; the files that rotation has made of its past are found with it ([`generations`]).
//!
//! Never opens a file, never remembers what was there before.

mod generations;
mod glob;
pub mod names;
pub mod watch;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

pub use generations::{generations, live_path};
pub use glob::{PathGlob, Walk};

use crate::event::{Origin, SourceKey};

/// How many links are followed from a found path to the file.
const MAX_LINKS: usize = 8;

/// Which files one block of the configuration includes.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    /// What to include.
    pub include: Vec<PathGlob>,
    /// What of it not.
    pub exclude: Vec<PathGlob>,
}

impl Globs {
    fn has(&self, path: &Path) -> bool {
        self.include.iter().any(|glob| glob.matches(path)) && !self.excludes(path)
    }

    fn excludes(&self, path: &Path) -> bool {
        self.exclude.iter().any(|glob| glob.matches(path))
    }
}

/// A log that exists: its live file, or where that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the live file lies, all links followed; its rotated siblings lie beside it.
    pub path: PathBuf,
    /// The path as documents show it: the kubelet's own for a pod's log, else the path as found.
    pub shown: PathBuf,
    /// What the path says of the container.
    pub origin: Origin,
    /// Its name across restarts.
    pub key: SourceKey,
    /// Which block of the configuration has it: the first that includes it.
    pub block: usize,
}

impl Found {
    /// A log that an agent had found, and of which nothing is left where it was.
    pub fn gone(
        key: SourceKey,
        path: PathBuf,
        shown: PathBuf,
        container_id: Option<String>,
        block: usize,
    ) -> Self {
        let named = || names::pod_log(&shown).or_else(|| names::docker_log(&path));
        let origin = named().filter(|origin| names::source_key(origin, &path) == key);
        let mut origin = origin.unwrap_or(Origin::File);
        if let Origin::Pod { container_id: id, .. } = &mut origin {
            *id = container_id;
        }
        Self { path, shown, origin, key, block }
    }
}

/// What a scan saw.
#[derive(Debug, Default)]
pub struct Scan {
    /// The logs, in the order of blocks and names; each once.
    pub found: Vec<Found>,
    /// Logs that exist and are excluded, as far as the globs lead to them.
    pub excluded: HashSet<SourceKey>,
    /// Folders in which a change may change the next scan.
    pub folders: Vec<PathBuf>,
    /// Folders that could not be listed.
    pub problems: Vec<(PathBuf, io::Error)>,
}

/// Scans for logs.
#[derive(Clone, Debug)]
pub struct Scanner {
    blocks: Vec<Globs>,
    /// Whether the kubelet's names mean something.
    pods: bool,
}

impl Scanner {
    /// A scanner over the blocks of the configuration. Without `pods` no file is a pod's, whatever it is called.
    pub fn new(blocks: Vec<Globs>, pods: bool) -> Self {
        Self { blocks, pods }
    }

    /// Looks at the file system once.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        let mut seen = HashSet::new();
        for (block, globs) in self.blocks.iter().enumerate() {
            let mut walk = Walk::default();
            for glob in &globs.include {
                glob.walk(&mut walk);
            }
            let mut pod_roots = HashSet::new();
            for path in std::mem::take(&mut walk.paths) {
                let path = own_live_path(globs, path);
                let Some(found) = self.resolve(&path, block) else { continue };
                if let (Origin::Pod { .. }, Some(root)) = (&found.origin, found.shown.ancestors().nth(3)) {
                    pod_roots.insert(root.to_owned());
                }
                if globs.excludes(&path) || globs.excludes(&found.path) {
                    scan.excluded.insert(found.key);
                } else if seen.insert(found.path.clone()) {
                    scan.found.push(found);
                }
            }
            for glob in globs.include.iter().filter(|_| self.pods) {
                for found in self.unlinked(glob, block, &mut pod_roots, &mut walk) {
                    if !is_linked_into(globs, glob, &found) {
                        scan.excluded.insert(found.key);
                    } else if seen.insert(found.path.clone()) {
                        scan.found.push(found);
                    }
                }
            }
            scan.folders.append(&mut walk.folders);
            scan.problems.append(&mut walk.problems);
        }
        scan.folders.sort();
        scan.folders.dedup();
        scan
    }

    /// The pods' logs, of which some have no link yet, or no more: the link comes up to 135 ms after the file, sometimes
    /// after the container has ended, and a crash loop's file lives little longer than a second.
    fn unlinked(
        &self,
        glob: &PathGlob,
        block: usize,
        pod_roots: &mut HashSet<PathBuf>,
        walk: &mut Walk,
    ) -> Vec<Found> {
        if glob.base().file_name().is_none_or(|name| name != "containers") {
            return Vec::new();
        }
        pod_roots.extend(glob.base().parent().map(|parent| parent.join("pods")));
        let mut pods = Walk::default();
        for root in pod_roots.drain() {
            let pattern = root.to_str().map(|root| format!("{root}/*/*/*.log"));
            if let Some(Ok(glob)) = pattern.map(|pattern| PathGlob::new(&pattern)) {
                glob.walk(&mut pods);
            }
        }
        walk.folders.append(&mut pods.folders);
        walk.problems.append(&mut pods.problems);
        pods.paths.iter().filter_map(|path| self.resolve(path, block)).collect()
    }

    /// Follows a path's links to the file, gathering what the names on the way say. `None` for what is no file:
    /// a folder, a link to nowhere.
    pub fn resolve(&self, path: &Path, block: usize) -> Option<Found> {
        let mut at = path.to_owned();
        let (mut origin, mut shown, mut id) = (Origin::File, None, None);
        for _ in 0..MAX_LINKS {
            id = id.or_else(|| names::link_container_id(&at).map(str::to_owned));
            if let Some(named) = self.name_of(&at, &origin) {
                shown = matches!(named, Origin::Pod { .. }).then(|| at.clone()).or(shown);
                origin = named;
            }
            let Ok(target) = std::fs::read_link(&at) else { break };
            at = at.parent().unwrap_or(Path::new("")).join(target);
        }
        if let Origin::Pod { container_id, .. } = &mut origin {
            *container_id = id;
        }
        let real = real_path(&at)?;
        let shown = shown.map_or_else(|| path.to_owned(), |shown| without_dots(&shown));
        let key = names::source_key(&origin, if origin == Origin::File { path } else { &real });
        Some(Found { path: real, shown, origin, key, block })
    }

    /// A pod's name says more than a Docker folder further down the links.
    fn name_of(&self, path: &Path, known: &Origin) -> Option<Origin> {
        match known {
            Origin::Pod { .. } => None,
            _ => names::pod_log(path).filter(|_| self.pods).or_else(|| names::docker_log(path)),
        }
    }
}

/// Whether a pod's log is included by the link that it has or will have.
fn is_linked_into(globs: &Globs, glob: &PathGlob, found: &Found) -> bool {
    names::link_name(&found.origin).is_some_and(|link| globs.has(&glob.base().join(link)))
}

/// A rotated file that the pattern includes along with its live one belongs to that.
fn own_live_path(globs: &Globs, path: PathBuf) -> PathBuf {
    match live_path(&path) {
        Some(live) if globs.has(&live) => live,
        _ => path,
    }
}

/// All links of the path followed; of a live file that is gone just now, those of its folder.
fn real_path(path: &Path) -> Option<PathBuf> {
    match std::fs::canonicalize(path) {
        Ok(real) => real.metadata().is_ok_and(|meta| !meta.is_dir()).then_some(real),
        Err(_) => {
            let folder = std::fs::canonicalize(path.parent()?).ok()?;
            let real = folder.join(path.file_name()?);
            generations(&real).is_ok_and(|files| !files.is_empty()).then_some(real)
        }
    }
}

/// Resolves `..` that came in with a relative link, so that documents show a plain path.
fn without_dots(path: &Path) -> PathBuf {
    use std::path::Component;
    path.components().fold(PathBuf::new(), |mut out, component| {
        match component {
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const ID: &str = "dabb2f0ae27bf96d623546ee1eee97e46ca0b2c06f689d842b047d85ad2cc7bb";

    fn scanner(include: &[String], exclude: &[String]) -> Scanner {
        let globs = |patterns: &[String]| patterns.iter().map(|text| PathGlob::new(text).unwrap()).collect();
        Scanner::new(vec![Globs { include: globs(include), exclude: globs(exclude) }], true)
    }

    fn node() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(path.join("containers")).unwrap();
        for (folder, name) in [("shop_web-1_u1", "web"), ("kube-system_dns-1_u2", "dns")] {
            let folder = path.join("pods").join(folder).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("0.log"), "x\n").unwrap();
        }
        (root, path)
    }

    #[test]
    fn links_and_the_pods_that_have_none_yet() {
        let (_root, path) = node();
        let link = path.join(format!("containers/web-1_shop_web-{ID}.log"));
        symlink("../pods/shop_web-1_u1/web/0.log", link).unwrap();
        let include = [path.join("containers/*.log").display().to_string()];
        let scan = scanner(&include, &[]).scan();
        assert_eq!(scan.found.len(), 2);
        let web = &scan.found[0];
        assert_eq!(&*web.key.0, "pod/u1/web/0");
        assert_eq!(web.shown, path.join("pods/shop_web-1_u1/web/0.log"));
        assert!(matches!(&web.origin, Origin::Pod { container_id: Some(id), .. } if id == ID));
        assert!(matches!(&scan.found[1].origin, Origin::Pod { container_id: None, .. }));
        assert!(scan.folders.contains(&path.join("pods/kube-system_dns-1_u2/dns")));

        let exclude = [path.join("containers/*_kube-system_*.log").display().to_string()];
        assert_eq!(scanner(&include, &exclude).scan().found.len(), 1);
    }

    #[test]
    fn a_docker_host_has_no_pods() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join(ID);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(format!("{ID}-json.log")), "x\n").unwrap();
        let glob = PathGlob::new(folder.join("*-json.log").to_str().unwrap()).unwrap();
        let scan = Scanner::new(vec![Globs { include: vec![glob], exclude: vec![] }], false).scan();
        assert_eq!(scan.found[0].origin, Origin::Docker { id: ID.to_owned(), folder });
    }

    #[test]
    fn a_link_to_nowhere_and_a_folder_are_no_logs() {
        let (_root, path) = node();
        symlink("/nowhere/0.log", path.join("containers/gone.log")).unwrap();
        std::fs::create_dir(path.join("containers/folder.log")).unwrap();
        let include = [path.join("containers/*.log").display().to_string()];
        assert_eq!(scanner(&include, &[]).scan().found.len(), 2);
    }

    #[test]
    fn rotated_files_belong_to_their_live_one_even_while_it_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        std::fs::write(path.join("app.log.1"), "x\n").unwrap();
        let include = [path.join("app.log*").display().to_string()];
        let scan = scanner(&include, &[]).scan();
        assert_eq!(
            scan.found.iter().map(|found| found.path.clone()).collect::<Vec<_>>(),
            [path.join("app.log")]
        );
        std::fs::write(path.join("app.log"), "y\n").unwrap();
        assert_eq!(scanner(&include, &[]).scan().found.len(), 1);
    }

    #[test]
    fn the_first_block_that_includes_a_path_has_it() {
        let (_root, path) = node();
        let glob = |text: &str| PathGlob::new(path.join(text).to_str().unwrap()).unwrap();
        let blocks = vec![
            Globs { include: vec![glob("pods/shop_*/*/*.log")], exclude: vec![] },
            Globs { include: vec![glob("pods/*/*/*.log")], exclude: vec![] },
        ];
        let scan = Scanner::new(blocks, true).scan();
        assert_eq!(scan.found.iter().map(|found| found.block).collect::<Vec<_>>(), [0, 1]);
    }
}
