//! What the store asks of a file system: few and small steps, so that a test can stop between any two.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The files of one folder, by name.
pub trait Disk {
    /// All bytes of a file; `None` when there is none.
    ///
    /// # Errors
    /// As the file system gives them; so for all methods.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Writes a file anew, all of it.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Adds to the end of a file that exists. When it fails a part may have been added.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to a length.
    fn cut(&mut self, name: &str, len: u64) -> io::Result<()>;
    /// Returns when the file's bytes survive a power loss. When it fails, nothing is known of the bytes written
    /// since the last success, and asking again proves nothing: the kernel may have dropped them.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Renames a file, over another.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name, where there is none of that name.
    fn set_aside(&mut self, name: &str, aside: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Returns when all renames survive a power loss.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A folder of the real file system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            // Else a power loss could take the new folder with all that was made durable in it.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Self { path: path.to_path_buf() })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Disk for Folder {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.at(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.at(name), bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().append(true).open(self.at(name))?.write_all(bytes)
    }

    fn cut(&mut self, name: &str, len: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.at(name))?.set_len(len)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        File::open(self.at(name))?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn set_aside(&mut self, name: &str, aside: &str) -> io::Result<()> {
        // A second name needs no space and leaves the first; where the file system has none, a copy.
        fs::hard_link(self.at(name), self.at(aside)).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => fs::copy(self.at(name), self.at(aside)).map(drop),
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
