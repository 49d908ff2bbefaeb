//! What a restart finds: the checkpoint on a real disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "fixtures of tests, which the lint does not know as such"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use skidder::checkpoint::{Keeper, Saved, Store, gate};
use skidder::event::{Batch, GenerationKey, Receipt, Record, SourceId, SourceKey, Stream};
use tempfile::TempDir;
use tokio::sync::mpsc;

const KEY: GenerationKey = GenerationKey([3; 9]);

fn name(source: u32) -> SourceKey {
    SourceKey(Arc::from(format!("pod/0a1b/web/{source}")))
}

fn generation(source: u32) -> Record {
    Record::Generation {
        source: name(source),
        key: KEY,
        head_len: 64,
        head: 1,
        device: 2,
        inode: 3,
        start: 0,
        size: 0,
    }
}

fn cut(source: u32, offset: u64) -> Record {
    Record::Cut { source: name(source), key: KEY, offset, stream: Stream::Stderr }
}

/// The batch that moves a source on to `1000 × (index + 1)`.
fn batch(source: u32, index: u64, records: Vec<Record>) -> Batch {
    let offset = 1_000 * (index + 1);
    let receipt =
        Receipt { source: SourceId(source), key: name(source), index, generation: KEY, offset, anchor: 0 };
    Batch { sequence: index, receipts: vec![receipt], records, ..Batch::default() }
}

fn offset(saved: &Saved, source: u32) -> Option<u64> {
    Some(saved.sources.get(&name(source))?.position?.offset)
}

/// An agent with one source: batches go through the gate, an output settles them in the order that `settle` gives,
/// then the agent stops in good order.
async fn agent(data_dir: &Path, batches: Vec<Batch>, settle: impl FnOnce(Vec<Batch>) -> Vec<Batch>) {
    let (store, _) = Store::open(data_dir).unwrap();
    let (keeper, thread) = Keeper::start(store, Duration::from_millis(1), |_| {}).unwrap();
    let (reader, input) = mpsc::channel(batches.len());
    let (output, mut shipper) = mpsc::channel(batches.len());
    for batch in batches {
        reader.send(batch).await.unwrap();
    }
    drop(reader);
    gate(input, output, keeper.clone()).await;
    let mut left = Vec::new();
    while let Some(batch) = shipper.recv().await {
        left.push(batch);
    }
    for batch in settle(left) {
        keeper.settled(batch.receipts);
    }
    keeper.flush_and_stop().await.unwrap();
    thread.join().unwrap();
}

#[tokio::test]
async fn a_restart_goes_on_where_delivery_ended() {
    let folder = TempDir::new().unwrap();
    let batches =
        |from| (from..from + 8).map(|index| batch(1, index, vec![generation(1), cut(1, 9_500)])).collect();
    agent(folder.path(), batches(0), |mut batches| {
        // The third is never answered, the others out of order.
        batches.remove(2);
        batches.reverse();
        batches
    })
    .await;
    let (_, saved) = Store::open(folder.path()).unwrap();
    assert_eq!(offset(&saved, 1), Some(2_000));
    assert_eq!(saved.sources[&name(1)].cuts.len(), 1);

    agent(folder.path(), batches(0), |batches| batches).await;
    assert_eq!(offset(&Store::open(folder.path()).unwrap().1, 1), Some(8_000));
}

#[tokio::test]
async fn what_left_through_the_gate_is_remembered_without_a_good_end() {
    let folder = TempDir::new().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let (keeper, _thread) = Keeper::start(store, Duration::from_secs(3_600), |_| {}).unwrap();
    let (reader, input) = mpsc::channel(1);
    let (output, mut shipper) = mpsc::channel(1);
    let gate = tokio::spawn(gate(input, output, keeper));
    reader.send(batch(1, 0, vec![generation(1), cut(1, 900)])).await.unwrap();
    shipper.recv().await.unwrap();
    // The agent still runs: what is on the disk now is what a `kill -9` leaves.
    let (_, saved) = Store::open(folder.path()).unwrap();
    assert_eq!((offset(&saved, 1), saved.sources[&name(1)].cuts[0].offset), (None, 900));
    gate.abort();
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_what_can_be_read_is_kept() {
    let folder = TempDir::new().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    store.append(&[generation(1), generation(2), generation(3)], true).unwrap();
    drop(store);
    let path = folder.path().join("checkpoint");
    let mut bytes = fs::read(&path).unwrap();
    let damaged = bytes.windows(16).position(|window| window == b"pod/0a1b/web/2\",").unwrap();
    bytes[damaged..damaged + 10].fill(0);
    fs::write(&path, &bytes).unwrap();

    let (store, saved) = Store::open(folder.path()).unwrap();
    assert_eq!(saved.sources.keys().cloned().collect::<Vec<_>>(), [name(1), name(3)]);
    let damage = store.damage().unwrap().clone();
    assert!(damage.aside.starts_with("checkpoint.damaged-2"), "{damage}");
    assert_eq!(fs::read(folder.path().join(&damage.aside)).unwrap(), bytes, "not deleted");
    assert_eq!(
        damage.to_string(),
        format!(
            "the checkpoint was damaged: 1 lines could not be read, 2 files are still known; it is kept as {}",
            damage.aside
        )
    );
    drop(store);
    assert!(Store::open(folder.path()).unwrap().0.damage().is_none(), "said once");
}

#[test]
fn a_file_torn_by_a_power_loss_goes_on() {
    let folder = TempDir::new().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    store.append(&[generation(1)], true).unwrap();
    drop(store);
    let path = folder.path().join("checkpoint");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0; 4_096]);
    fs::write(&path, &bytes).unwrap();
    let (mut store, saved) = Store::open(folder.path()).unwrap();
    assert_eq!((saved.sources.len(), store.damage()), (1, None));
    store.append(&[generation(2)], true).unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().1.sources.len(), 2);
}

#[test]
fn a_data_dir_that_cannot_be_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file).unwrap_err().to_string();
    assert!(error.starts_with(&format!("making data_dir {}: ", file.display())), "{error}");
    assert!(error.ends_with("; make it writable for the agent or set another"), "{error}");

    fs::create_dir(folder.path().join("checkpoint")).unwrap();
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("reading {}/checkpoint: ", folder.path().display())), "{error}");
}
