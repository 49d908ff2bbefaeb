//! An id is unique within one backing index only: what may be stored already is looked up before it is sent again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skidder::event::{Batch, Record, Verdict};
use skidder::observe::metrics::ResultLabel;
use skidder::ship::elasticsearch::{Memory, Settings};

use super::{Output, batch, pass, settings, stream};
use crate::support::fake::{Behaviour, Fake};

const STREAM: &str = "logs-a-default";

impl Output {
    fn lookups(&self) -> [u64; 3] {
        ["found", "absent", "failed"]
            .map(|result| self.metrics.lookups.get_or_create(&ResultLabel { result }).get())
    }
}

/// What an earlier run left behind, and where what is kept from now on goes.
fn memory(indices: &[&str]) -> (Memory, Arc<Mutex<Vec<Record>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&kept);
    let keep = move |record| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        into.lock().unwrap().push(record);
        Box::pin(std::future::ready(()))
    };
    let indices = indices.iter().map(|&index| Arc::from(index)).collect();
    let streams = BTreeMap::from([(Arc::from(STREAM), indices)]);
    (Memory { streams, keep: Arc::new(keep) }, kept)
}

fn with(memory: Memory) -> Settings {
    Settings { memory, ..settings() }
}

fn record(indices: &[&str]) -> Record {
    Record::Stream { name: STREAM.into(), indices: indices.iter().map(|&index| index.into()).collect() }
}

fn sent_before(batch: Batch) -> Batch {
    Batch { sent_before: true, ..batch }
}

fn gets(fake: &Fake) -> usize {
    fake.model().others.iter().filter(|request| request.contains("/_mget")).count()
}

#[tokio::test(start_paused = true)]
async fn a_rollover_between_a_lost_answer_and_its_retry() {
    for behaviour in Behaviour::LOST {
        let fake = Fake::new();
        let mut output = Output::start(&fake, settings());
        output.send(batch(0, &stream(STREAM), 0..5)).await;
        output.next().await;
        fake.script([Behaviour::RollsOver(Box::new(behaviour))]);
        output.send(batch(1, &stream(STREAM), 5..15)).await;
        assert_eq!(output.next().await.1, [Verdict::Duplicate; 10]);
        assert_eq!(fake.documents(STREAM).len(), 15);
        assert_eq!(output.lookups(), [10, 0, 0]);
        // From then on the new index is looked in first.
        output.send(batch(2, &stream(STREAM), 15..16)).await;
        assert_eq!(output.next().await.1, [Verdict::Shipped]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_not_there_is_created_after_a_restart() {
    let fake = Fake::new();
    let (known, kept) = memory(&[STREAM]);
    let before = Output::start(&fake, with(Memory { streams: BTreeMap::new(), ..known.clone() }));
    before.send(batch(0, &stream(STREAM), 0..6)).await;
    before.finish().await;
    // Nobody was there before the first: kept before it was sent, and its index once it was named.
    assert_eq!(*kept.lock().unwrap(), [record(&[]), record(&[STREAM])]);
    assert_eq!(gets(&fake), 0);

    fake.roll_over(STREAM);
    fake.roll_over(STREAM);
    let mut after = Output::start(&fake, with(known));
    after.send(sent_before(batch(0, &stream(STREAM), 0..10))).await;
    let (_, verdicts) = after.next().await;
    assert_eq!(verdicts[..6], [Verdict::Duplicate; 6]);
    assert_eq!(verdicts[6..], [Verdict::Shipped; 4]);
    assert_eq!((fake.documents(STREAM).len(), after.lookups()), (10, [6, 4, 0]));
    assert_eq!(kept.lock().unwrap().last(), Some(&record(&[STREAM, "logs-a-default-000003"])));
    // What no earlier run can have sent is sent without a question.
    let asked = gets(&fake);
    after.send(batch(1, &stream(STREAM), 10..20)).await;
    assert_eq!(after.next().await.1, [Verdict::Shipped; 10]);
    assert_eq!(gets(&fake), asked);
}

#[tokio::test(start_paused = true)]
async fn without_the_privilege_it_is_sent_again_and_counted() {
    let fake = Fake::new();
    let mut output = Output::start(&fake, with(memory(&[STREAM]).0));
    fake.model().refuse_lookups = Some(403);
    output.send(sent_before(batch(0, &stream(STREAM), 0..10))).await;
    assert_eq!(output.next().await.1, [Verdict::Shipped; 10]);
    assert_eq!(output.lookups(), [0, 0, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_in_trouble_is_asked_again() {
    let fake = Fake::new();
    fake.script([Behaviour::RollsOver(Box::new(Behaviour::Lost))]);
    let mut output = Output::start(&fake, settings());
    fake.model().refuse_lookups = None;
    let wait = fake.clone();
    output.send(batch(0, &stream(STREAM), 0..10)).await;
    while wait.requests() == 0 {
        tokio::task::yield_now().await;
    }
    fake.model().refuse_lookups = Some(503);
    pass(Duration::from_secs(600)).await;
    let asked = fake.model().others.len();
    assert!((60..=220).contains(&asked), "{asked} look-ups in ten minutes");
    assert_eq!(fake.requests(), 1, "nothing is sent unseen");
    fake.model().refuse_lookups = None;
    assert_eq!(output.next().await.1, [Verdict::Duplicate; 10]);
    assert_eq!(fake.documents(STREAM).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn without_ids_nothing_is_asked() {
    let fake = Fake::new();
    let settings = Settings { document_ids: false, ..with(memory(&[STREAM]).0) };
    let mut output = Output::start(&fake, settings);
    output.send(sent_before(batch(0, &stream(STREAM), 0..10))).await;
    assert_eq!(output.next().await.1, [Verdict::Shipped; 10]);
    assert!(fake.model().others.iter().all(|request| request == "GET /"), "{:?}", fake.model().others);
}
