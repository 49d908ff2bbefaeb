//! A disk in memory that crashes, fills up and fails as real ones do.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;

/// A handle to the disk, so that a test can look at it while a store owns another.
#[derive(Clone, Debug, Default)]
pub(super) struct Wreck(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    inodes: Vec<Inode>,
    /// The folder as processes see it.
    names: BTreeMap<String, usize>,
    /// The folder as a power loss leaves it.
    synced_names: BTreeMap<String, usize>,
    /// Bytes and calls until everything fails for ever; `None`: never.
    pub(super) steps: Option<usize>,
    /// Bytes that all files may take together; `None`: no limit.
    pub(super) space: Option<usize>,
    /// One call in so many fails; `None`: none.
    pub(super) flaky: Option<u32>,
    pub(super) random: Option<fastrand::Rng>,
    /// How often a file was synced.
    pub(super) syncs: usize,
    /// How many calls and bytes there were.
    pub(super) spent: usize,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What a power loss leaves at least.
    synced: Vec<u8>,
    /// A sync failed: the kernel has dropped the unwritten bytes, and later syncs succeed without them.
    dropped: bool,
}

/// How a machine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// `kill -9`: what was written stays.
    Process,
    /// Power loss: of what was not synced anything may be missing.
    Machine,
}

impl Wreck {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk that fails for ever after so many steps.
    pub(super) fn crashing_after(steps: usize) -> Self {
        let disk = Self::default();
        disk.state().steps = Some(steps);
        disk
    }

    /// A disk of which one call in `one_in` fails.
    pub(super) fn flaky(one_in: u32, seed: u64) -> Self {
        let disk = Self::default();
        disk.state().flaky = Some(one_in);
        disk.state().random = Some(fastrand::Rng::with_seed(seed));
        disk
    }

    /// A disk that holds one file.
    pub(super) fn holding(name: &str, bytes: &[u8]) -> Self {
        let mut disk = Self::default();
        let _ = disk.write(name, bytes);
        disk
    }

    /// All that is there survives a power loss.
    pub(super) fn sync_all(&self) {
        let mut state = self.state();
        state.synced_names = state.names.clone();
        state.inodes.iter_mut().for_each(|inode| inode.synced = inode.bytes.clone());
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The disks that may be found after each kind of death, all sound again.
    pub(super) fn survivors(&self) -> Vec<(Death, Self)> {
        let now = self.state().clone();
        let mut all = vec![(Death::Process, now.revived(&now.names, |inode| inode.bytes.clone()))];
        for names in [&now.names, &now.synced_names] {
            for left in [Inode::nothing_more, Inode::half, Inode::zeros, Inode::all] {
                all.push((Death::Machine, now.revived(names, left)));
            }
        }
        all
    }
}

impl Inode {
    fn nothing_more(&self) -> Vec<u8> {
        self.synced.clone()
    }

    fn all(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn half(&self) -> Vec<u8> {
        match self.bytes.strip_prefix(&*self.synced) {
            Some(more) => [&self.synced, &more[..more.len() / 2]].concat(),
            None => self.synced.clone(),
        }
    }

    /// The length was written, the bytes were not.
    fn zeros(&self) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        bytes.resize(bytes.len().max(self.bytes.len()), 0);
        bytes
    }
}

impl State {
    fn revived(&self, names: &BTreeMap<String, usize>, left: impl Fn(&Inode) -> Vec<u8>) -> Wreck {
        let revive = |(at, inode)| {
            let named = names.values().any(|named| *named == at);
            let bytes = if named { left(inode) } else { Vec::new() };
            Inode { synced: bytes.clone(), bytes, dropped: false }
        };
        Wreck(Arc::new(Mutex::new(Self {
            inodes: self.inodes.iter().enumerate().map(revive).collect(),
            names: names.clone(),
            synced_names: names.clone(),
            ..Self::default()
        })))
    }

    /// One call that may fail.
    fn step(&mut self) -> io::Result<()> {
        self.spend(1).map_err(|_| io::Error::other("crashed"))?;
        let fails =
            self.flaky.zip(self.random.as_mut()).is_some_and(|(one_in, random)| random.u32(..one_in) == 0);
        if fails { Err(io::Error::other("the disk is flaky")) } else { Ok(()) }
    }

    /// Takes `wanted` steps; when fewer are left, `Err` of those.
    fn spend(&mut self, wanted: usize) -> Result<(), usize> {
        let left = self.steps.unwrap_or(usize::MAX);
        let taken = wanted.min(left);
        self.spent += taken;
        self.steps = self.steps.map(|steps| steps - taken);
        if taken < wanted { Err(taken) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add(&mut self, inode: usize, bytes: &[u8]) -> io::Result<()> {
        let used: usize = self.names.values().map(|&inode| self.inodes[inode].bytes.len()).sum();
        let fits = self.space.map_or(bytes.len(), |space| bytes.len().min(space.saturating_sub(used)));
        let taken = match self.spend(fits) {
            Ok(()) => fits,
            Err(taken) => taken,
        };
        self.inodes[inode].bytes.extend_from_slice(&bytes[..taken]);
        match () {
            () if taken < fits => Err(io::Error::other("crashed")),
            () if fits < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            () => Ok(()),
        }
    }
}

impl Disk for Wreck {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let state = self.state();
        Ok(state.find(name).ok().map(|inode| state.inodes[inode].bytes.clone()))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let inode = state.find(name).unwrap_or_else(|_| {
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.names.insert(name.to_owned(), inode);
            inode
        });
        // What is written over is dirty again, so that the next sync counts.
        state.inodes[inode].dropped = false;
        state.inodes[inode].bytes.clear();
        state.add(inode, bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.find(name)?;
        if let Err(error) = state.step() {
            let half = bytes.len() / 2;
            state.add(inode, &bytes[..half])?;
            return Err(error);
        }
        state.add(inode, bytes)
    }

    fn cut(&mut self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let inode = state.find(name)?;
        state.inodes[inode].bytes.truncate(len as usize);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.find(name)?;
        if let Err(error) = state.step() {
            state.inodes[inode].dropped = true;
            return Err(error);
        }
        state.syncs += 1;
        let inode = &mut state.inodes[inode];
        if !inode.dropped {
            inode.synced = inode.bytes.clone();
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let inode = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn set_aside(&mut self, name: &str, aside: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let inode = state.find(name)?;
        state.names.entry(aside.to_owned()).or_insert(inode);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.synced_names = state.names.clone();
        Ok(())
    }
}
