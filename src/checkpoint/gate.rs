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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::runtime;
    use tokio::task::yield_now;

    use super::super::store::Store;
    use super::super::wreck::Wreck;
    use super::*;
    use crate::event::{Record, SourceKey};

    fn batch(sequence: u64, records: usize) -> Batch {
        let forget =
            |number| Record::Forget { source: SourceKey(Arc::from(format!("file/{sequence}/{number}"))) };
        Batch { sequence, records: (0..records).map(forget).collect(), ..Batch::default() }
    }

    fn keeper(disk: &Wreck) -> Keeper {
        let (store, _) = Store::open_on(disk.clone(), Path::new("/data"), Timestamp::UNIX_EPOCH).unwrap();
        Keeper::start(store, Duration::from_secs(1), |_| {}).unwrap().0
    }

    #[test]
    fn batches_behind_one_that_waits_for_the_disk_wait_too() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let disk = Wreck::default();
        let (input, gate_input) = mpsc::channel(8);
        let (gate_output, mut output) = mpsc::channel(8);
        let gate = runtime.spawn(gate(gate_input, gate_output, keeper(&disk)));
        // Lets every task do what it can without the disk.
        let settle = || {
            runtime.block_on(async {
                for _ in 0..20 {
                    yield_now().await;
                }
            });
        };

        input.try_send(batch(0, 0)).unwrap();
        settle();
        assert_eq!(output.try_recv().map(|batch| batch.sequence), Ok(0), "nothing to wait for");

        // While this is held the disk hangs.
        let hanging = disk.state();
        for (sequence, records) in [(1, 2), (2, 0), (3, 1)] {
            input.try_send(batch(sequence, records)).unwrap();
        }
        settle();
        assert!(output.try_recv().is_err(), "a batch left before its records were durable");
        drop(hanging);

        drop(input);
        runtime.block_on(gate).unwrap();
        let left: Vec<_> = std::iter::from_fn(|| output.try_recv().ok()).collect();
        assert_eq!(left.iter().map(|batch| batch.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(left.iter().all(|batch| batch.records.is_empty()), "they are the checkpoint's now");
    }

    #[tokio::test]
    async fn without_a_keeper_nothing_passes_that_needs_it() {
        let keeper = keeper(&Wreck::default());
        keeper.clone().flush_and_stop().await.unwrap();
        let (input, gate_input) = mpsc::channel(8);
        let (gate_output, mut output) = mpsc::channel(8);
        for (sequence, records) in [(0, 0), (1, 1), (2, 0)] {
            input.send(batch(sequence, records)).await.unwrap();
        }
        gate(gate_input, gate_output, keeper).await;
        assert_eq!(output.recv().await.map(|batch| batch.sequence), Some(0));
        assert!(output.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_forgetful_keeper_lets_all_pass() {
        let (input, gate_input) = mpsc::channel(8);
        let (gate_output, mut output) = mpsc::channel(8);
        input.send(batch(7, 3)).await.unwrap();
        drop(input);
        gate(gate_input, gate_output, Keeper::forgetful()).await;
        assert_eq!(output.recv().await.map(|batch| batch.sequence), Some(7));
    }
}
