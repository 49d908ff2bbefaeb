//! Which files are meant: paths, globs, folders, standard input; and which of them are generations of one log.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::discover::{Found, PathGlob, Scanner, Walk, generations, live_path};
use crate::event::{GenerationFile, Origin};

/// Where the kubelet keeps a node's logs.
const NODE: &str = "/var/log/pods";

/// What is to be read.
#[derive(Debug, Default)]
pub struct Plan {
    /// Standard input is to be read, too (`-`, or no path at all).
    pub stdin: bool,
    /// The logs, in the order in which the arguments name them first, those of a folder or glob by name.
    pub logs: Vec<Log>,
    /// What was asked for and cannot be had. The run goes on without it, and ends with 1.
    pub missing: Vec<Missing>,
    /// The globs by which more may be found later, or by which a file that is made anew is found again.
    pub globs: Vec<String>,
}

/// One log: that of a container's instance, or a plain one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where its live file is, or was, and what its name says.
    pub found: Found,
    /// Those of its generations that are meant, oldest first.
    pub files: Vec<GenerationFile>,
}

/// A path that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A glob that no file matches, or that is none.
    #[error("no file matches {}", .0.display())]
    Glob(PathBuf),
    /// A folder without a log.
    #[error("no *.log below {}", .0.display())]
    Folder(PathBuf),
}

impl Plan {
    /// Looks up what the arguments mean. A path that exists is meant as it is, else one with `*`, `?`, `[` or `{` is a
    /// glob; of a folder all `*.log` below it are meant, with their rotated generations. A container's live log, named
    /// as the kubelet or Docker names it, brings its rotated generations along. However often and by whatever name a
    /// file is meant, it is read once. Without arguments, standard input is meant; where that is a terminal, the node.
    pub fn new(paths: &[PathBuf], stdin_is_terminal: bool) -> Self {
        let node = [PathBuf::from(NODE)];
        let paths = if paths.is_empty() && stdin_is_terminal { &node } else { paths };
        let mut plan = Self { stdin: paths.is_empty(), ..Self::default() };
        let mut choices = Choices::default();
        for path in paths {
            if path == Path::new("-") {
                plan.stdin = true;
                continue;
            }
            plan.globs.extend(glob(path));
            let looked = names(path, &mut plan.missing)
                .and_then(|names| names.into_iter().try_for_each(|name| choices.add(&name)));
            plan.missing.extend(looked.err());
        }
        for choice in choices.all {
            match choice.files() {
                Ok(files) => plan.logs.push(Log { found: choice.found, files }),
                Err(source) => plan.missing.push(Missing::Path { path: choice.found.shown, source }),
            }
        }
        plan
    }
}

/// The glob of what an argument means, whatever is there just now; none for a rotated file, which has no future.
fn glob(path: &Path) -> Option<String> {
    let absolute = std::path::absolute(path).ok()?;
    let text = absolute.to_string_lossy();
    let literal = || globset::escape(&text);
    if path.is_dir() {
        Some(literal() + "/**/*.log")
    } else if path.exists() || !is_glob(&text) {
        live_path(path).is_none().then(literal)
    } else {
        Some(text.into_owned())
    }
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The paths of files that an argument means. Folders on the way that cannot be listed are `missing`.
fn names(path: &Path, missing: &mut Vec<Missing>) -> Result<Vec<PathBuf>, Missing> {
    let unreadable = |source| Missing::Path { path: path.to_owned(), source };
    let text = path.to_string_lossy();
    match fs::metadata(path) {
        Ok(kind) if kind.is_dir() => {
            let folder = globset::escape(&text);
            let mut names =
                walk(&format!("{folder}/**/*"), missing).map_err(|_| Missing::Folder(path.to_owned()))?;
            names.retain(|name| live(name).extension().is_some_and(|extension| extension == "log"));
            // Links first: their names tell the container's id, and the first name of a log is the one that is kept.
            names.sort_by_key(|name| (!name.is_symlink(), name.clone()));
            if names.is_empty() { Err(Missing::Folder(path.to_owned())) } else { Ok(names) }
        }
        Ok(_) => Ok(vec![std::path::absolute(path).map_err(unreadable)?]),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_glob(&text) => {
            match walk(&text, missing) {
                Ok(names) if !names.is_empty() => Ok(names),
                Ok(_) | Err(_) => Err(Missing::Glob(path.to_owned())),
            }
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// The files that a glob matches, by name.
fn walk(glob: &str, missing: &mut Vec<Missing>) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let glob = std::path::absolute(glob)?;
    let mut walk = Walk::default();
    PathGlob::new(&glob.to_string_lossy())?.walk(&mut walk);
    missing.extend(walk.problems.into_iter().map(|(path, source)| Missing::Path { path, source }));
    walk.paths.retain(|path| path.is_file());
    walk.paths.sort();
    Ok(walk.paths)
}

/// The name of the live file of the log that a file belongs to.
fn live(name: &Path) -> PathBuf {
    live_path(name).unwrap_or_else(|| name.to_owned())
}

/// The logs that were named so far.
#[derive(Default)]
struct Choices {
    all: Vec<Choice>,
    /// Where in `all` the log with this live path is.
    index: HashMap<PathBuf, usize>,
}

/// What was named of a log.
struct Choice {
    found: Found,
    part: Part,
}

/// How much of a log is meant.
enum Part {
    /// All its generations.
    All,
    /// These files.
    Files(BTreeSet<PathBuf>),
}

impl Choices {
    fn add(&mut self, name: &Path) -> Result<(), Missing> {
        let unreadable = |source| Missing::Path { path: name.to_owned(), source };
        let file = fs::canonicalize(name).map_err(unreadable)?;
        let gone = || unreadable(io::ErrorKind::NotFound.into());
        let found = Scanner::new(Vec::new(), true).resolve(&live(name), 0).ok_or_else(gone)?;
        let index = *self.index.entry(found.path.clone()).or_insert(self.all.len());
        let is_containers = found.origin != Origin::File && file == found.path;
        if index == self.all.len() {
            self.all.push(Choice { found, part: Part::Files(BTreeSet::new()) });
        }
        match &mut self.all[index].part {
            part if is_containers => *part = Part::All,
            Part::Files(files) => drop(files.insert(file)),
            Part::All => {}
        }
        Ok(())
    }
}

impl Choice {
    /// The generations that are meant, oldest first.
    fn files(&self) -> io::Result<Vec<GenerationFile>> {
        let mut all = generations(&self.found.path)?;
        if let Part::Files(files) = &self.part {
            all.retain(|file| files.contains(&file.path) || files.contains(&packed(&file.path)));
        }
        Ok(all)
    }
}

/// The name of a file once it is packed. While both are there (the rotator is at work), the plain one stands for both.
fn packed(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }

    /// The plan's logs with their paths below `root`.
    fn logs(root: &Path, plan: &Plan) -> Vec<Vec<String>> {
        let root = root.canonicalize().unwrap();
        let below =
            |file: &GenerationFile| file.path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        plan.logs.iter().map(|log| log.files.iter().map(below).collect()).collect()
    }

    #[test]
    fn a_folder_is_all_logs_below_it_with_their_generations() {
        let root = tempfile::tempdir().unwrap();
        let pod = "pods/shop_web-1_6d0f1c22-9a1b-4c5d-8e7f-001122334455/web";
        touch(
            root.path(),
            &[
                &format!("{pod}/0.log"),
                &format!("{pod}/0.log.20261122-093800"),
                &format!("{pod}/0.log.20261122-092130.gz"),
                &format!("{pod}/0.log.20261122-093800.gz"),
                &format!("{pod}/0.log.20261122-093801.gz.tmp"),
                &format!("{pod}/1.log"),
                "app.log",
                "app.log.1",
                "app.log.2.gz",
                "app.log.10.gz",
                "pods.json",
            ],
        );
        fs::create_dir(root.path().join("containers")).unwrap();
        let link = root.path().join(format!("containers/web-1_shop_web-{}.log", "e".repeat(64)));
        std::os::unix::fs::symlink(format!("../{pod}/1.log"), &link).unwrap();
        let plan = Plan::new(&[root.path().to_owned()], false);
        assert_eq!(
            logs(root.path(), &plan),
            [
                vec![format!("{pod}/1.log").as_str()],
                vec!["app.log.10.gz", "app.log.2.gz", "app.log.1", "app.log"],
                vec![
                    &format!("{pod}/0.log.20261122-092130.gz"),
                    &format!("{pod}/0.log.20261122-093800"),
                    &format!("{pod}/0.log")
                ],
            ]
        );
        let Origin::Pod { container_id, .. } = &plan.logs[0].found.origin else { panic!("no pod's") };
        assert_eq!(container_id.as_deref(), Some("e".repeat(64).as_str()));
        assert!(plan.missing.is_empty() && !plan.stdin);
    }

    #[test]
    fn a_containers_log_brings_its_generations_and_a_plain_file_does_not() {
        let root = tempfile::tempdir().unwrap();
        let pod = "shop_web-1_6d0f1c229a1b4c5d8e7f001122334455/web";
        let (live, old) = (format!("{pod}/0.log"), format!("{pod}/0.log.20261122-093800"));
        let (live, old) = (live.as_str(), old.as_str());
        touch(root.path(), &[live, old, "app.log", "app.log.1", "app.log.2", "app.log.2.gz"]);
        let meant = |files: &[&str]| {
            let paths: Vec<_> = files.iter().map(|file| root.path().join(file)).collect();
            logs(root.path(), &Plan::new(&paths, false))
        };
        assert_eq!(meant(&["app.log", live]), [vec!["app.log"], vec![old, live]]);
        assert_eq!(meant(&[old]), [[old]]);
        assert_eq!(meant(&[old, live, old]), [[old, live]]);
        assert_eq!(meant(&["app.log", "app.log.1"]), [["app.log.1", "app.log"]]);
        assert_eq!(meant(&["app.log.2.gz"]), [["app.log.2"]]);
    }

    #[test]
    fn globs_and_what_is_named_twice() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["a/x.log", "a/b/y.log", "c/z.log"]);
        let glob = |text: &str| PathBuf::from(format!("{}/{text}", root.path().display()));
        assert_eq!(logs(root.path(), &Plan::new(&[glob("*/*.log")], false)), [["a/x.log"], ["c/z.log"]]);
        let plan = Plan::new(&[glob("c/z.log"), glob("**/*.log")], false);
        assert_eq!(logs(root.path(), &plan), [["c/z.log"], ["a/b/y.log"], ["a/x.log"]]);
    }

    #[test]
    fn what_is_missing_is_named_and_the_rest_is_read() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["a.log", "empty/readme"]);
        let paths = ["gone.log", "*.txt", "empty", "a.log"].map(|name| root.path().join(name));
        let plan = Plan::new(&paths, false);
        assert_eq!(logs(root.path(), &plan), [["a.log"]]);
        let said: Vec<_> = plan.missing.iter().map(ToString::to_string).collect();
        let at = root.path().display();
        assert_eq!(
            said,
            [
                format!("cannot read {at}/gone.log: No such file or directory (os error 2)"),
                format!("no file matches {at}/*.txt"),
                format!("no *.log below {at}/empty"),
            ]
        );
    }

    #[test]
    fn no_path_is_standard_input_or_at_a_terminal_the_node() {
        assert!(Plan::new(&[], false).stdin);
        assert!(Plan::new(&["-".into()], true).stdin);
        assert!(!Plan::new(&[], true).stdin);
    }
}
