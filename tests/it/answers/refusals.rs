//! Requests that are refused whole, for their size or for one document in them.

use serde_json::{Value, json};
use skidder::event::Verdict;
use skidder::ship::elasticsearch::Store;

use super::{Output, batch, batch_of, settings, stream, with_folder};
use crate::support::fake::{Behaviour, Fake};

/// 413 as Elasticsearch gives it: without a body, above this many bytes.
fn limited(fake: &Fake, most: usize) {
    fake.rule(move |seen| match seen.bytes > most {
        true => Behaviour::Answer(413, Vec::new(), String::new()),
        false => Behaviour::Accept,
    });
}

#[tokio::test(start_paused = true)]
async fn a_413_makes_bodies_smaller_and_is_remembered() {
    let fake = Fake::new();
    limited(&fake, 100_000);
    let target = stream("logs-a-default");
    let mut output = Output::start(&fake, settings());
    output.send(batch_of(0, &target, 0..400, &"x".repeat(1_000))).await;
    assert_eq!(output.next().await.1, [Verdict::Shipped; 400]);
    let limit = output.state.now().body_limit.unwrap();
    assert!((50_000..=100_000).contains(&limit), "{limit}");

    let before = fake.requests();
    output.send(batch_of(1, &target, 400..800, &"x".repeat(1_000))).await;
    assert_eq!(output.next().await.1, [Verdict::Shipped; 400]);
    assert!(fake.model().seen[before..].iter().all(|seen| seen.bytes <= 100_000));
    assert_eq!(fake.documents("logs-a-default").len(), 800);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_hangs_up_on_large_bodies_is_got_past() {
    let fake = Fake::new();
    fake.rule(|seen| if seen.bytes > 100_000 { Behaviour::Reset } else { Behaviour::Accept });
    let output = Output::start(&fake, settings());
    output.send(batch_of(0, &stream("logs-a-default"), 0..400, &"x".repeat(1_000))).await;
    let verdicts = output.finish().await;
    assert_eq!(verdicts[&0], [Verdict::Shipped; 400]);
    assert!(fake.requests() < 30, "{}", fake.requests());
}

#[tokio::test(start_paused = true)]
async fn one_document_that_is_too_large_is_cut_to_fit() {
    let fake = Fake::new();
    limited(&fake, 100_000);
    let target = stream("logs-a-default");
    let output = Output::start(&fake, settings());
    let mut large = batch_of(0, &target, [7], &"é\n".repeat(60_000));
    large.items[0].bytes = 180_040;
    output.send(large).await;
    drop(output.batches);
    let mut settled = output.settled;
    let settled = settled.recv().await.unwrap();
    assert_eq!(settled.verdicts, [Verdict::Shipped]);

    let stored = fake.documents("logs-a-default").remove(0);
    let message = stored["message"].as_str().unwrap();
    assert!(message.starts_with("é\né\n") && message.len() > 30_000);
    assert_eq!(stored["log"], json!({ "offset": 7, "flags": ["truncated"] }));
    let lost = 180_000 - message.len();
    assert_eq!(settled.batch.items[0].bytes as usize, 180_040 - lost, "what was cut is not acknowledged");
    assert_eq!(
        output.metrics.bytes.get_or_create(&super::ResultLabel { result: "truncated" }).get(),
        lost as u64
    );
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_takes_nothing_shreds_nothing() {
    let fake = Fake::new();
    limited(&fake, 0);
    let target = stream("logs-a-default");
    let mut output = Output::start(&fake, settings());
    output.send(batch(0, &target, 0..1_000)).await;
    let state = output.until(|state| !state.held.is_empty()).await;
    assert!(state.held[0].why.contains("413"), "{state:?}");
    fake.rule(|_| Behaviour::Accept);
    assert_eq!(output.next().await.1, [Verdict::Shipped; 1_000]);
    assert!(fake.documents("logs-a-default").iter().all(|document| document["message"] == "a line"));
}

#[tokio::test(start_paused = true)]
async fn one_document_that_spoils_a_request_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    fake.rule(|seen| match seen.lines.iter().any(|(_, document)| document["number"] == 333) {
        true => Behaviour::error(400, "illegal_argument_exception", "Malformed action/metadata line"),
        false => Behaviour::Accept,
    });
    let mut output = Output::start(&fake, with_folder(folder.path()));
    output.send(batch(0, &stream("logs-a-default"), 0..1_000)).await;
    let (_, verdicts) = output.next().await;
    let refused: Vec<usize> = (0..1_000).filter(|index| verdicts[*index] != Verdict::Shipped).collect();
    assert_eq!((refused.as_slice(), verdicts[333]), ([333].as_slice(), Verdict::DeadLetter));
    assert!(fake.requests() < 40, "{}", fake.requests());
    let mut ids = Vec::new();
    Store::new(folder.path(), 1 << 20).read(|letter| ids.extend(letter.id)).unwrap();
    assert_eq!(ids, ["00333"]);
}

#[tokio::test(start_paused = true)]
async fn a_parameter_that_is_not_known_is_left_out() {
    let fake = Fake::new();
    fake.rule(|seen| match seen.path.contains("require_data_stream") {
        true => Behaviour::error(
            400,
            "illegal_argument_exception",
            "request [/logs-a-default/_bulk] contains unrecognized parameter: [require_data_stream]",
        ),
        false => Behaviour::Accept,
    });
    let target = stream("logs-a-default");
    let mut output = Output::start(&fake, settings());
    for sequence in 0..10 {
        output.send(batch(sequence, &target, [sequence as usize])).await;
        output.next().await;
    }
    assert_eq!(fake.requests(), 11);
    assert!(fake.documents("logs-a-default").iter().all(Value::is_object));
}
