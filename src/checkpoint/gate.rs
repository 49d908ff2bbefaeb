//! The gate before the output: what must be durable is durable before its batch leaves.

use std::mem;

use tokio::sync::mpsc;

use super::keeper::Keeper;
use crate::event::Batch;

/// Hands batches on in the order in which they come. One that holds records waits until they are durable, and those
/// behind it wait too. The records are taken out of it.
///
/// Ends when the reader or the output does, or when the keeper has ended and a batch that needs it comes.
pub async fn gate(mut input: mpsc::Receiver<Batch>, output: mpsc::Sender<Batch>, keeper: Keeper) {
    while let Some(mut batch) = input.recv().await {
        let records = mem::take(&mut batch.records);
        if !records.is_empty() && keeper.durable(records).await.is_err() {
            return;
        }
        if output.send(batch).await.is_err() {
            return;
        }
    }
}
