//! Which files are meant: paths, globs, folders, standard input; and which of them are generations of one log.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;

/// What is to be read.
#[derive(Debug, Default)]
pub struct Plan {
    /// Standard input is to be read, too (`-`, or no path at all).
    pub stdin: bool,
    /// The logs, in the order of the arguments, those of a folder or glob by name.
    pub logs: Vec<Log>,
    /// What was asked for and cannot be had. The run goes on without it, and ends with 1.
    pub missing: Vec<Missing>,
}

/// One log: the files of one container's instance, or one plain file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The name by which the live file (else the newest) was found: a link's name tells the container's id.
    pub name: PathBuf,
    /// Its generations, oldest first, links resolved; the live file, where there is one, is the last.
    pub files: Vec<PathBuf>,
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
    /// A glob that no file matches.
    #[error("no file matches {0}")]
    Glob(String),
    /// A folder without a log.
    #[error("no *.log below {}", .0.display())]
    Folder(PathBuf),
}

impl Plan {
    /// Looks up what the arguments mean. A path that exists is meant as it is, else one with `*`, `?`, `[` or `{` is a
    /// glob; of a folder all `*.log` below it are meant, with their rotated generations. A container's live log, named
    /// as the kubelet or Docker names it, brings its rotated generations along.
    pub fn new(paths: &[PathBuf]) -> Self {
        let mut plan = Self { stdin: paths.is_empty(), ..Self::default() };
        let mut seen = HashSet::new();
        for path in paths {
            if path == Path::new("-") {
                plan.stdin = true;
                continue;
            }
            match found(path) {
                Ok(names) => plan.take(names, &mut seen),
                Err(missing) => plan.missing.push(missing),
            }
        }
        plan
    }

    /// Groups files into logs and adds those that are not there yet.
    fn take(&mut self, names: Vec<PathBuf>, seen: &mut HashSet<PathBuf>) {
        let mut logs: BTreeMap<PathBuf, BTreeMap<Generation, (PathBuf, PathBuf)>> = BTreeMap::new();
        for name in names {
            let file = match fs::canonicalize(&name) {
                Ok(file) => file,
                Err(source) => {
                    self.missing.push(Missing::Path { path: name, source });
                    continue;
                }
            };
            let (log, generation) = generation(&file);
            let is_zipped = |file: &Path| file.extension().is_some_and(|extension| extension == "gz");
            match logs.entry(log).or_default().entry(generation) {
                Entry::Vacant(place) => drop(place.insert((name, file))),
                // While `x` and `x.gz` are both there, the kubelet is still writing the latter.
                Entry::Occupied(mut place) if is_zipped(&place.get().1) => drop(place.insert((name, file))),
                Entry::Occupied(_) => {}
            }
        }
        for (_, generations) in logs {
            let Some((_, (name, _))) = generations.last_key_value() else { continue };
            let name = name.clone();
            let files: Vec<_> = generations.into_values().map(|(_, file)| file).collect();
            let new: Vec<_> = files.into_iter().filter(|file| seen.insert(file.clone())).collect();
            if !new.is_empty() {
                self.logs.push(Log { name, files: new });
            }
        }
    }
}

/// The names of the files that an argument means.
fn found(path: &Path) -> Result<Vec<PathBuf>, Missing> {
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(source) => {
            let text = path.to_string_lossy();
            return match source.kind() {
                io::ErrorKind::NotFound if text.contains(['*', '?', '[', '{']) => matching(&text),
                _ => Err(Missing::Path { path: path.to_owned(), source }),
            };
        }
    };
    if !kind.is_dir() {
        return Ok(with_generations(path));
    }
    let mut files = Vec::new();
    walk(path, &mut files).map_err(|source| Missing::Path { path: path.to_owned(), source })?;
    files.retain(|file| generation(file).0.extension().is_some_and(|extension| extension == "log"));
    if files.is_empty() {
        return Err(Missing::Folder(path.to_owned()));
    }
    // Links first: their names tell the container's id, and the first name of a file is the one that is kept.
    files.sort_by_key(|file| (!file.is_symlink(), file.clone()));
    Ok(files.iter().flat_map(|file| with_generations(file)).collect())
}

/// The files that a glob matches; `*` does not cross a `/`, `**` does.
fn matching(text: &str) -> Result<Vec<PathBuf>, Missing> {
    let none = || Missing::Glob(text.to_owned());
    let text = text.strip_prefix("./").unwrap_or(text);
    let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|_| none())?.compile_matcher();
    let is_fixed = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let base: PathBuf = Path::new(text).components().take_while(is_fixed).collect();
    let start = if base.as_os_str().is_empty() { Path::new(".") } else { &base };
    let mut files = Vec::new();
    walk(start, &mut files).map_err(|_| none())?;
    let named = |file: PathBuf| file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
    let mut files: Vec<_> = files.into_iter().map(named).filter(|file| glob.is_match(file)).collect();
    files.sort();
    if files.is_empty() {
        return Err(none());
    }
    Ok(files.iter().flat_map(|file| with_generations(file)).collect())
}

/// All files below a folder, links to files included, links to folders not followed.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_link = path.is_symlink();
        match fs::metadata(&path) {
            Ok(kind) if kind.is_file() => files.push(path),
            // A folder that vanished or may not be read hides only itself.
            Ok(kind) if kind.is_dir() && !is_link => drop(walk(&path, files)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The file, and, when it is a container's live log, its rotated generations.
fn with_generations(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    let Ok(file) = fs::canonicalize(path) else { return names };
    let (log, age) = generation(&file);
    if age != Generation::Live || !is_container_log(&file) {
        return names;
    }
    let siblings = file.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let siblings =
        siblings.map(|entry| entry.path()).filter(|other| *other != file && generation(other).0 == log);
    names.extend(siblings);
    names
}

/// `…/<namespace>_<pod>_<uid>/<container>/<n>.log`, or `<64 hex>-json.log`.
fn is_container_log(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".log").unwrap_or_default();
    let is_kubelets = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit()) && {
        let pod = file.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default();
        pod.to_string_lossy().matches('_').count() == 2
    };
    is_kubelets || stem.strip_suffix("-json").is_some_and(|id| id.len() == 64)
}

/// How old a file of a log is, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Generation {
    /// `app.log.2`: the larger, the older.
    Numbered(Reverse<u32>),
    /// `0.log.20261122-093800`, `app.log-20261122`: by their dates.
    Dated(String),
    /// `app.log`.
    Live,
}

/// The path of the live file and which generation this one is, from its name alone; `.gz` says nothing.
fn generation(file: &Path) -> (PathBuf, Generation) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let (stem, generation) = match name.rsplit_once(".log") {
        Some((stem, suffix)) => match age(suffix) {
            Some(generation) => (format!("{stem}.log"), generation),
            None => (name.to_owned(), Generation::Live),
        },
        None => (name.to_owned(), Generation::Live),
    };
    (file.with_file_name(stem), generation)
}

/// What stands after `.log`.
fn age(suffix: &str) -> Option<Generation> {
    let is_date =
        |text: &str| text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match suffix.split_at_checked(1)? {
        ("." | "-", date) if is_date(date) => Some(Generation::Dated(date.to_owned())),
        (".", number) => Some(Generation::Numbered(Reverse(number.parse().ok()?))),
        _ => None,
    }
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
        let below = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        plan.logs.iter().map(|log| log.files.iter().map(below).collect()).collect()
    }

    #[test]
    fn a_folder_is_all_logs_below_it_with_their_generations() {
        let root = tempfile::tempdir().unwrap();
        let pod = "pods/shop_web-1_6d0f/web";
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
        let link = root.path().join("containers/web-1_shop_web-abc.log");
        std::os::unix::fs::symlink(format!("../{pod}/1.log"), &link).unwrap();
        let plan = Plan::new(&[root.path().to_owned()]);
        assert_eq!(
            logs(root.path(), &plan),
            [
                vec!["app.log.10.gz", "app.log.2.gz", "app.log.1", "app.log"],
                vec![
                    &format!("{pod}/0.log.20261122-092130.gz"),
                    &format!("{pod}/0.log.20261122-093800"),
                    &format!("{pod}/0.log")
                ],
                vec![&format!("{pod}/1.log")],
            ]
        );
        assert_eq!(plan.logs[2].name, link);
        assert!(plan.missing.is_empty() && !plan.stdin);
    }

    #[test]
    fn a_containers_log_brings_its_generations_and_a_plain_file_does_not() {
        let root = tempfile::tempdir().unwrap();
        touch(
            root.path(),
            &[
                "shop_web-1_6d0f/web/0.log",
                "shop_web-1_6d0f/web/0.log.20261122-093800",
                "app.log",
                "app.log.1",
            ],
        );
        let paths = ["app.log", "shop_web-1_6d0f/web/0.log"].map(|file| root.path().join(file));
        assert_eq!(
            logs(root.path(), &Plan::new(&paths)),
            [vec!["app.log"], vec!["shop_web-1_6d0f/web/0.log.20261122-093800", "shop_web-1_6d0f/web/0.log"]]
        );
        let old = [root.path().join("shop_web-1_6d0f/web/0.log.20261122-093800")];
        assert_eq!(logs(root.path(), &Plan::new(&old)).concat().len(), 1);
    }

    #[test]
    fn globs_and_what_is_named_twice() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["a/x.log", "a/b/y.log", "c/z.log"]);
        let glob = |text: &str| PathBuf::from(format!("{}/{text}", root.path().display()));
        assert_eq!(logs(root.path(), &Plan::new(&[glob("*/*.log")])), [["a/x.log"], ["c/z.log"]]);
        let plan = Plan::new(&[glob("c/z.log"), glob("**/*.log")]);
        assert_eq!(logs(root.path(), &plan), [["c/z.log"], ["a/b/y.log"], ["a/x.log"]]);
    }

    #[test]
    fn what_is_missing_is_named_and_the_rest_is_read() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["a.log", "empty/readme"]);
        let paths = ["gone.log", "*.txt", "empty", "a.log"].map(|name| root.path().join(name));
        let plan = Plan::new(&paths);
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
    fn no_path_is_standard_input() {
        assert!(Plan::new(&[]).stdin);
        assert!(Plan::new(&["-".into()]).stdin);
    }
}
