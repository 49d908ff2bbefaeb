//! Paths by pattern: which files do the globs of the configuration name just now?
//!
//! A pattern is walked folder by folder, so that only folders that can hold a match are listed; names are
//! matched as bytes, so that odd ones are found too.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A path pattern, taken apart at its slashes.
#[derive(Clone, Debug)]
pub struct PathGlob {
    /// The folders before the first wildcard.
    base: PathBuf,
    steps: Vec<Step>,
    whole: GlobMatcher,
}

#[derive(Clone, Debug)]
enum Step {
    /// A name without wildcards.
    Name(PathBuf),
    /// One folder or file that matches.
    Matching(GlobMatcher),
    /// `**`: any depth, none too.
    AnyDepth,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Paths that match. Not looked at further: they may be folders, links, or gone by now.
    pub paths: Vec<PathBuf>,
    /// Folders that were listed: a change in one of them may change the result.
    pub folders: Vec<PathBuf>,
    /// Folders that could not be listed, other than those that do not exist.
    pub problems: Vec<(PathBuf, io::Error)>,
}

impl PathGlob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When the pattern's syntax is wrong; the message says where.
    pub fn new(pattern: &str) -> Result<Self, globset::Error> {
        let whole = compile(pattern)?;
        let mut base = PathBuf::new();
        let mut steps = Vec::new();
        for component in Path::new(pattern).components() {
            let text = component.as_os_str().to_str().unwrap_or_default();
            let literal = !text.contains(['*', '?', '[', '{', '\\']);
            match component {
                Component::Normal(_) if text == "**" => steps.push(Step::AnyDepth),
                Component::Normal(_) if !literal => steps.push(Step::Matching(compile(text)?)),
                _ if steps.is_empty() => base.push(component),
                _ => steps.push(Step::Name(component.as_os_str().into())),
            }
        }
        Ok(Self { base, steps, whole })
    }

    /// Whether the pattern names this path, whether it exists or not.
    pub fn matches(&self, path: &Path) -> bool {
        self.whole.is_match(path)
    }

    /// The folder before the first wildcard; the path itself when the pattern has none.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The paths that match now, appended to `walk` in the order of their names.
    pub fn walk(&self, walk: &mut Walk) {
        descend(&self.base, &self.steps, walk);
    }
}

fn compile(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher())
}

fn descend(at: &Path, steps: &[Step], walk: &mut Walk) {
    let Some((step, rest)) = steps.split_first() else {
        if at.symlink_metadata().is_ok() {
            walk.paths.push(at.to_owned());
        }
        return;
    };
    match step {
        Step::Name(name) => descend(&at.join(name), rest, walk),
        Step::Matching(glob) => {
            for name in list(at, walk) {
                if glob.is_match(Path::new(&name)) && !hidden_by_star(&name, glob) {
                    let path = at.join(name);
                    if rest.is_empty() {
                        walk.paths.push(path);
                    } else {
                        descend(&path, rest, walk);
                    }
                }
            }
        }
        Step::AnyDepth => {
            descend(at, rest, walk);
            for name in list(at, walk) {
                let path = at.join(name);
                // Links to folders are not followed here: they can make circles.
                if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                    descend(&path, steps, walk);
                }
            }
        }
    }
}

/// As in a shell, a wildcard at the start does not stand for a leading dot.
fn hidden_by_star(name: &OsStr, glob: &GlobMatcher) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.') && !glob.glob().glob().starts_with('.')
}

fn list(folder: &Path, walk: &mut Walk) -> Vec<std::ffi::OsString> {
    let mut names = Vec::new();
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            names.extend(entries.flatten().map(|entry| entry.file_name()));
            walk.folders.push(folder.to_owned());
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(error) => walk.problems.push((folder.to_owned(), error)),
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(root: &Path, pattern: &str) -> Vec<String> {
        let glob = PathGlob::new(root.join(pattern).to_str().unwrap()).unwrap();
        let mut walk = Walk::default();
        glob.walk(&mut walk);
        assert!(walk.paths.iter().all(|path| glob.matches(path)));
        walk.paths.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn walks_only_where_a_match_can_be() {
        let root = tempfile::tempdir().unwrap();
        for file in ["a/x.log", "a/y.txt", "b/c/x.log", "b/.hidden.log", "x.log"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(found(root.path(), "*/*.log"), ["a/x.log"]);
        assert_eq!(found(root.path(), "**/*.log"), ["x.log", "a/x.log", "b/c/x.log"]);
        assert_eq!(found(root.path(), "a/x.log"), ["a/x.log"]);
        assert_eq!(found(root.path(), "a/z.log"), Vec::<String>::new());
        assert_eq!(found(root.path(), "[ab]/*/x.log"), ["b/c/x.log"]);
    }

    #[test]
    fn names_with_odd_bytes_are_found() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(OsStr::from_bytes(b"odd\xff.log")), "").unwrap();
        let glob = PathGlob::new(root.path().join("*.log").to_str().unwrap()).unwrap();
        let mut walk = Walk::default();
        glob.walk(&mut walk);
        assert_eq!(walk.paths.len(), 1);
    }
}
