//! What the reader does for files that have lost their names: it holds them, has them copied to the spool, reads them
//! from there, and gives up what there is no room for.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tracing::{info, warn};

use super::super::outlet::Outlet;
use super::super::source::Source;
use super::Reader;
use crate::discover::Found;
use crate::event::{Origin, Rest, SourceId, SourceKey};
use crate::spool::{Copied, CopyState, Held, Kept, Log, Order, PATIENCE, Spool, Step, Stock, decide};
use crate::tail::{Copying, Nameless};

/// How many copies are made at the same time: the others can still be delivered meanwhile.
const SLOTS: usize = 1;

/// The reader's side of the spool.
pub struct Holding {
    spool: Spool,
    /// `held_files.max_bytes`
    limit: u64,
    /// What the last agent left, until its logs are found.
    stock: BTreeMap<SourceKey, (Log, Vec<Rest>)>,
    /// Copies failed when last tried.
    is_troubled: bool,
}

impl Holding {
    /// A side of `spool` that has what the last agent left.
    pub fn new(spool: Spool, limit: u64, stock: Stock) -> Self {
        for (aside, error) in &stock.damaged {
            warn!("a file of the spool is damaged: {error}; it is kept as {}", aside.display());
        }
        let mut kept = stock.kept;
        kept.sort_by_key(|kept| kept.at);
        let mut by_source: BTreeMap<SourceKey, (Log, Vec<Rest>)> = BTreeMap::new();
        for Kept { log, rest, .. } in kept {
            by_source.entry(log.source.clone()).or_insert_with(|| (log, Vec::new())).1.push(rest);
        }
        Self { spool, limit, stock: by_source, is_troubled: false }
    }

    /// What the last agent left of a log, oldest first.
    pub fn take(&mut self, source: &SourceKey) -> Vec<Rest> {
        self.stock.remove(source).map(|(_, rests)| rests).unwrap_or_default()
    }

    /// What the last agent left of logs that were not found.
    pub fn unclaimed(&self) -> impl Iterator<Item = &Log> {
        self.stock.values().map(|(log, _)| log)
    }
}

impl<O: Outlet> Reader<O> {
    /// Holds files that have lost their names, with the help of a spool.
    pub fn set_holding(&mut self, holding: Holding) {
        self.holding_files = Some(holding);
    }

    /// Logs of which nothing is left but what the spool has.
    pub(super) fn discover_unclaimed(&mut self, now: Instant) {
        let Some(holding) = &self.holding_files else { return };
        let logs: Vec<Log> = holding.unclaimed().cloned().collect();
        for log in logs {
            let Log { source, path, shown, container_id, block } = log;
            info!(%source, "its files are gone; what the spool has of it is shipped");
            let found = Found::gone(source, path, shown, container_id, block);
            self.discover_gone(found, now);
        }
    }

    /// Logs that have gone since the reader before this one has ended, which held them.
    pub(super) fn discover_nameless(&mut self, now: Instant) {
        for log in self.baton.nameless() {
            self.discover_gone(log, now);
        }
        self.baton.let_go();
    }

    /// Its block is that of a configuration which may have had more of them.
    fn discover_gone(&mut self, found: Found, now: Instant) {
        let block = found.block.min(self.settings.blocks.len().saturating_sub(1));
        self.discovered(Found { block, ..found }, now);
    }

    /// A round over all files held. At the `end` of the agent nothing is waited for.
    pub(super) fn hold(&mut self, now: Instant, end: bool) {
        self.take_copies(now);
        let Some(mut holding) = self.holding_files.take() else { return };
        let mut held = Vec::new();
        for source in self.sources.values_mut() {
            if let Some((generation, offset)) = self.outlet.remembered(source.id) {
                source.chain.acknowledged(&generation, offset);
            }
            source.chain.look(now, end);
            // Before any copy is ordered: what the checkpoint does not know of a log was settled long ago.
            source.tell_records(&mut self.outlet, now);
            let id = source.id;
            held.extend(source.chain.nameless().map(|nameless| held_of(id, &nameless, now, end)));
        }
        let all = held.iter().map(|held| held.bytes).sum();
        let slots = if end { usize::MAX } else { SLOTS.saturating_sub(holding.spool.under_way()) };
        // Asking the disk is for when there is something to ask for.
        let room = if held.is_empty() { holding.limit } else { holding.spool.room(holding.limit, all) };
        for step in decide(held, room, slots, now) {
            match step {
                Step::Copy(source, ordinal) => self.copy(&mut holding, source, ordinal, now),
                Step::GiveUp(source, ordinal) => {
                    if let Some(source) = self.sources.get_mut(&source) {
                        source.chain.give_up(ordinal);
                    }
                }
            }
        }
        for source in self.sources.values_mut() {
            // What was given up.
            source.tell_records(&mut self.outlet, now);
            remove_discarded(source);
        }
        self.holding_files = Some(holding);
    }

    /// What became of copies that were ordered. Returns whether there was any.
    pub(super) fn take_copies(&mut self, now: Instant) -> bool {
        let Some(holding) = &mut self.holding_files else { return false };
        let before = holding.spool.under_way();
        while let Some(Copied { source, ordinal, rest }) = holding.spool.copied() {
            match &rest {
                Ok(_) => holding.is_troubled = false,
                Err(error) => {
                    if !std::mem::replace(&mut holding.is_troubled, true) {
                        warn!("copying to the spool: {error}; the files are held open, it is tried again");
                    }
                }
            }
            match (self.sources.get_mut(&source), rest.ok()) {
                (Some(source), rest) => source.chain.copied(ordinal, rest, now),
                (None, Some(rest)) => remove(&rest.path),
                (None, None) => {}
            }
        }
        holding.spool.under_way() < before
    }

    /// Whether a copy is being made.
    pub(super) fn is_copying(&self) -> bool {
        self.holding_files.as_ref().is_some_and(|holding| holding.spool.under_way() > 0)
    }

    fn copy(&mut self, holding: &mut Holding, id: SourceId, ordinal: u32, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        match source.chain.original(ordinal, now) {
            Ok(Some((original, record))) => {
                let log = log_of(&source.found);
                holding.spool.copy(Order { source: id, ordinal, log, record, original });
            }
            Ok(None) => {}
            Err(error) => warn!("copying {} to the spool: {error}", source.found.shown.display()),
        }
    }
}

/// Removes the copies of a source that are not needed any more.
pub(super) fn remove_discarded(source: &mut Source) {
    source.chain.take_discarded().iter().for_each(|copy| remove(copy));
}

fn remove(copy: &Path) {
    if let Err(error) = Spool::remove(copy) {
        warn!("removing {}: {error}", copy.display());
    }
}

fn held_of(source: SourceId, nameless: &Nameless, now: Instant, end: bool) -> Held {
    let Nameless { ordinal, since, bytes, is_copied, copying } = *nameless;
    let copy = match copying {
        _ if is_copied => CopyState::Done,
        Copying::UnderWay => CopyState::UnderWay,
        Copying::NotYet | Copying::Failed { .. } if end => CopyState::NotYet { after: now },
        Copying::NotYet => CopyState::NotYet { after: since + PATIENCE },
        Copying::Failed { again } => CopyState::NotYet { after: again },
    };
    Held { source, ordinal, since, bytes, copy }
}

fn log_of(found: &Found) -> Log {
    let container_id = match &found.origin {
        Origin::Pod { container_id, .. } => container_id.clone(),
        _ => None,
    };
    Log {
        source: found.key.clone(),
        path: found.path.clone(),
        shown: found.shown.clone(),
        container_id,
        block: found.block,
    }
}
