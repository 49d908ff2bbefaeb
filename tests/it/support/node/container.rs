//! A container of a pod: CRI lines, and the kubelet's way with their files.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use skidder::event::Stream;

use super::{Clock, Node, Written, container_id, create, gzip, with_suffix};

/// A container that runs. Dropping it leaves its files where they are.
pub struct Container {
    clock: Clock,
    /// `containers/`.
    links: PathBuf,
    /// `pods/<namespace>_<pod>_<uid>/<container>/`.
    folder: PathBuf,
    /// `<pod>_<namespace>_<container>`, how links begin.
    name: String,
    instance: u32,
    /// Of the instance before too, as long as its files are there.
    former_link: Option<PathBuf>,
    link: Option<PathBuf>,
    /// What the runtime writes to, whatever it is called by now.
    live: File,
    written: Written,
}

/// The rest of a line that is not on the disk yet.
#[must_use = "a half line has a rest"]
pub struct Half(Vec<u8>);

impl Container {
    pub(super) fn start(node: &Node, [namespace, pod, uid, container]: [&str; 4]) -> Self {
        let folder = node.path().join("pods").join(format!("{namespace}_{pod}_{uid}")).join(container);
        fs::create_dir_all(&folder).expect("folder of a container");
        let links = node.path().join("containers");
        let name = format!("{pod}_{namespace}_{container}");
        let live = create(&folder.join("0.log"));
        let (clock, written) = (node.clock.clone(), node.written.clone());
        let (former_link, link) = (None, None);
        let mut new = Self { clock, links, folder, name, instance: 0, former_link, link, live, written };
        new.link();
        new
    }

    /// The live file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.instance))
    }

    /// The link to it in `containers/`.
    pub fn link_path(&self) -> &Path {
        self.link.as_deref().expect("a link")
    }

    /// The container's files by name, live and rotated, of all instances.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).expect("folder of a container");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The program writes a line to standard output.
    pub fn out(&mut self, text: &str) {
        self.line(Stream::Stdout, text);
    }

    /// The program writes a line to standard error.
    pub fn err(&mut self, text: &str) {
        self.line(Stream::Stderr, text);
    }

    /// A whole line.
    pub fn line(&mut self, stream: Stream, text: impl AsRef<[u8]>) {
        let line = self.render(stream, false, text.as_ref());
        self.raw(&line);
    }

    /// A part of a line; the next [`Container::part`] or [`Container::line`] of the stream goes on with it.
    pub fn part(&mut self, stream: Stream, text: impl AsRef<[u8]>) {
        let line = self.render(stream, true, text.as_ref());
        self.raw(&line);
    }

    /// The first half of a line's bytes, as a reader may catch them.
    pub fn half(&mut self, stream: Stream, text: impl AsRef<[u8]>) -> Half {
        let mut line = self.render(stream, false, text.as_ref());
        let rest = line.split_off(line.len() / 2);
        self.raw(&line);
        Half(rest)
    }

    /// The rest of it.
    pub fn finish(&mut self, half: Half) {
        self.raw(half.0);
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.written.write(&self.live, bytes.as_ref());
    }

    /// The kubelet rotates and keeps `max_files` in all: surplus pruned, the former compressed, renamed, reopened.
    pub fn rotate(&mut self, max_files: usize) {
        self.tidy(max_files);
        self.rename();
        self.reopen();
    }

    /// The first half of a rotation: unlinks what is too much and compresses what was rotated before.
    pub fn tidy(&mut self, max_files: usize) {
        let rotated = self.rotated();
        // One is live and one is about to be rotated.
        let surplus = rotated.len().saturating_sub(max_files.saturating_sub(2));
        for path in &rotated[..surplus] {
            fs::remove_file(path).expect("surplus file");
        }
        for path in rotated[surplus..].iter().filter(|path| path.extension().is_none_or(|end| end != "gz")) {
            gzip(path, &with_suffix(path, ".tmp"), &with_suffix(path, ".gz"));
        }
    }

    /// The live file is renamed; until [`Container::reopen`] the runtime goes on writing to it. Gives its new path.
    pub fn rename(&mut self) -> PathBuf {
        let rotated = with_suffix(&self.path(), &format!(".{}", self.clock.suffix()));
        fs::rename(self.path(), &rotated).expect("live file");
        rotated
    }

    /// The runtime opens a new file.
    pub fn reopen(&mut self) {
        self.live = create(&self.path());
    }

    /// The runtime failed to reopen: the kubelet takes the rename back.
    pub fn rename_back(&mut self, rotated: &Path) {
        fs::rename(rotated, self.path()).expect("rotated file");
    }

    /// The program ends and is started again: a next instance with a file, an id and a link of its own. The one
    /// before stays, all older ones go.
    pub fn restart(&mut self) {
        self.restart_unlinked();
        self.link();
    }

    /// The same up to the link: it may come as late as after the container's end.
    pub fn restart_unlinked(&mut self) {
        for path in self.paths().into_iter().filter(|path| instance(path) < self.instance) {
            fs::remove_file(path).expect("file of an old instance");
        }
        self.instance += 1;
        if let Some(old) = std::mem::replace(&mut self.former_link, self.link.take()) {
            fs::remove_file(old).expect("link of an old instance");
        }
        self.live = create(&self.path());
    }

    /// The link of an instance that has none, with its id. Gives the id.
    pub fn link(&mut self) -> String {
        let id = container_id();
        let link = self.links.join(format!("{}-{id}.log", self.name));
        symlink(self.path(), &link).expect("link");
        self.link = Some(link);
        id
    }

    /// The id of the container's instance, as its link has it.
    pub fn id(&self) -> String {
        let name = self.link_path().file_stem().expect("name of a link").to_string_lossy();
        name.rsplit('-').next().expect("id in the name").to_owned()
    }

    /// The pod is deleted: links, files and folder go.
    pub fn delete(self) {
        for link in self.former_link.iter().chain(&self.link) {
            fs::remove_file(link).expect("link");
        }
        fs::remove_dir_all(self.folder.parent().expect("folder of the pod")).expect("folder of the pod");
    }

    /// A line, or a part of one, as the runtime writes it just now.
    pub fn render(&self, stream: Stream, partial: bool, text: &[u8]) -> Vec<u8> {
        let tag = if partial { "P" } else { "F" };
        let mut line = format!("{} {} {tag} ", self.clock.stamp(), stream.name()).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        line
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files().iter().map(|name| self.folder.join(name)).collect()
    }

    /// The rotated files of this instance, the oldest first.
    pub fn rotated(&self) -> Vec<PathBuf> {
        let live = self.path();
        let mut paths = self.paths();
        paths.retain(|path| instance(path) == self.instance && *path != live);
        paths
    }
}

/// Which instance of its container a file is of.
fn instance(path: &Path) -> u32 {
    let name = path.file_name().expect("name of a log file").to_string_lossy();
    name.split('.').next().and_then(|number| number.parse().ok()).expect("number of an instance")
}
