//! The corpus as the log files of a node, under the names of the sample node's pods.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Generator, Shape};

/// The sample node: its pods' folders, and what its kubelet says of them.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/node");

/// A node's folder; it goes when this is dropped.
pub struct Node {
    folder: TempDir,
    /// The log files.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
    /// Their events.
    pub events: u64,
}

impl Node {
    /// A node with the logs of so many containers, together at least `length` bytes. Beyond the sample's own, its pods
    /// get more containers.
    pub fn new(containers: usize, length: u64) -> io::Result<Self> {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut node = Self { folder, files: Vec::new(), bytes: 0, events: 0 };
        for number in 0..containers {
            let path = node.log(number)?;
            node.write(path, length / containers as u64, number as u64)?;
        }
        Ok(node)
    }

    /// Adds the logs of so many containers that have said one line each.
    pub fn add_quiet(&mut self, containers: usize) -> io::Result<()> {
        let before = self.files.len();
        for number in before..before + containers {
            let path = self.log(number)?;
            self.write(path, 1, number as u64)?;
        }
        Ok(())
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration that reads all of it and knows its pods, and these lines of YAML.
    pub fn configuration(&self, more: &str) -> String {
        let folder = self.path().display();
        format!(
            "node_name: node-1\ndata_dir: {folder}/data\nhttp: {{ listen: \"127.0.0.1:0\" }}\nlog: {{ level: warn }}\n\
             files: [{{ include: [\"{folder}/pods/*/*/*.log\"] }}]\n\
             kubernetes: {{ kubelet: {{ url: {SAMPLE}/pods.json }} }}\n{more}\n"
        )
    }

    /// The log of one container, in a folder that is there.
    fn log(&self, number: usize) -> io::Result<PathBuf> {
        let sample = sample_containers()?;
        let mut folder = self.path().join("pods").join(&sample[number % sample.len()]);
        if number >= sample.len() {
            folder.set_file_name(format!("more-{number}"));
        }
        fs::create_dir_all(&folder)?;
        Ok(folder.join("0.log"))
    }

    fn write(&mut self, path: PathBuf, length: u64, seed: u64) -> io::Result<()> {
        let mut generator = Generator::new(Shape::Cri, seed);
        let (mut file, mut event) = (BufWriter::new(File::create(&path)?), Vec::new());
        let mut written = 0;
        while written < length {
            event.clear();
            generator.write_event(&mut event);
            file.write_all(&event)?;
            written += event.len() as u64;
        }
        file.flush()?;
        self.bytes += written;
        self.events += generator.events;
        self.files.push(path);
        Ok(())
    }
}

/// `pod/container` of all containers of the sample node, in the order of their names.
fn sample_containers() -> io::Result<Vec<PathBuf>> {
    let pods = Path::new(SAMPLE).join("pods");
    let mut containers = Vec::new();
    for pod in fs::read_dir(&pods)? {
        let pod = pod?;
        for container in fs::read_dir(pod.path())? {
            containers.push(Path::new(&pod.file_name()).join(container?.file_name()));
        }
    }
    containers.sort();
    Ok(containers)
}
