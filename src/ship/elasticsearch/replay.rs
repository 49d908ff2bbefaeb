//! Sends dead letters again, once what refused them is mended.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::client::ClientError;
use super::dead_letters::{Store, StoreError};
use super::settings::Settings;
use super::state::StateHandle;
use crate::event::Verdict;
use crate::observe::Metrics;

/// What became of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Stored now.
    pub shipped: usize,
    /// Stored already.
    pub duplicates: usize,
    /// Refused again, and kept again.
    pub refused: usize,
    /// Refused again and not kept: the folder is full.
    pub dropped: usize,
    /// Lines that were no letters.
    pub spoilt: usize,
}

/// Why a replay cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no `data_dir`, so there are no dead letters.
    #[error("there is no data_dir, so no dead letters are kept")]
    NoFolder,
    /// The folder refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file refuses.
    #[error("cannot read dead letters: {0}")]
    Io(#[from] io::Error),
    /// There is no way to the cluster.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Sends all dead letters of `settings.data_dir` as they were first sent. Those refused again become dead letters
/// again. Broken off, it loses nothing: what was not done is taken up by the next.
///
/// # Errors
/// [`ReplayError`].
pub async fn replay(
    settings: Settings,
    metrics: Arc<Metrics>,
    state: StateHandle,
) -> Result<Replayed, ReplayError> {
    let data_dir = settings.data_dir.as_deref().ok_or(ReplayError::NoFolder)?;
    let store = Store::new(data_dir, settings.dead_letter_bytes);
    let mut replayed = Replayed::default();
    for taken in store.take()? {
        let (batches, spoilt) = taken.batches()?;
        replayed.spoilt += spoilt;
        let (send, receive) = mpsc::channel(batches.len().max(1));
        for batch in batches {
            // The channel holds them all.
            let _ = send.try_send(batch);
        }
        drop(send);
        let (settled, mut verdicts) = mpsc::unbounded_channel();
        super::run(settings.clone(), receive, settled, Arc::clone(&metrics), state.clone()).await?;
        while let Some(settled) = verdicts.recv().await {
            for verdict in settled.verdicts {
                *match verdict {
                    Verdict::Shipped => &mut replayed.shipped,
                    Verdict::Duplicate => &mut replayed.duplicates,
                    Verdict::DeadLetter => &mut replayed.refused,
                    Verdict::Dropped => &mut replayed.dropped,
                } += 1;
            }
        }
        taken.done()?;
    }
    Ok(replayed)
}
