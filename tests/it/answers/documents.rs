//! Verdicts of single documents, mixed in one answer.

use std::time::Duration;

use serde_json::Value;
use skidder::event::{Batch, Verdict};
use skidder::ship::elasticsearch::{Settings, Store};
use tokio::time::Instant;

use super::{Output, batch, pass, settings, stream, with_folder};
use crate::support::fake::{Behaviour, Fake, item_error};

fn number(document: &Value) -> u64 {
    // In the safe shape it stands in the text of what was refused.
    document["number"].as_u64().unwrap_or_else(|| {
        let original: Value = serde_json::from_str(document["event"]["original"].as_str().unwrap()).unwrap();
        original["number"].as_u64().unwrap()
    })
}

fn is_safe(document: &Value) -> bool {
    document.get("error").is_some()
}

#[tokio::test(start_paused = true)]
async fn one_verdict_each_in_a_mixed_answer() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let target = stream("logs-a-default");
    fake.script([Behaviour::Accept]);
    let mut output = Output::start(&fake, with_folder(folder.path()));
    output.send(batch(0, &target, [1])).await;
    assert_eq!(output.next().await, (0, vec![Verdict::Shipped]));

    fake.script([Behaviour::items(|_, document| match number(document) {
        2 => {
            item_error(429, "es_rejected_execution_exception", "rejected execution of coordinating operation")
        }
        3 => item_error(503, "unavailable_shards_exception", "primary shard is not active"),
        4 | 5 => {
            item_error(400, "document_parsing_exception", "failed to parse field [json.code] of type [long]")
        }
        _ => None,
    })]);
    fake.rule(|_| {
        Behaviour::items(|_, document| match (number(document), is_safe(document)) {
            (5, true) => item_error(400, "illegal_argument_exception", "no shape will do"),
            _ => None,
        })
    });
    output.send(batch(1, &target, [1, 2, 3, 4, 5, 6])).await;
    let (_, verdicts) = output.next().await;
    use Verdict::{DeadLetter, Duplicate, Shipped};
    assert_eq!(verdicts, [Duplicate, Shipped, Shipped, Shipped, DeadLetter, Shipped]);
    assert_eq!(
        ["shipped", "duplicate", "dead_letter", "dropped"].map(|result| output.events(result)),
        [5, 1, 1, 0]
    );

    let sent: Vec<Vec<u64>> = fake.model().seen[1..]
        .iter()
        .map(|seen| seen.lines.iter().map(|(_, document)| number(document)).collect())
        .collect();
    assert_eq!(sent, [vec![1, 2, 3, 4, 5, 6], vec![2, 3, 4, 5]], "only what failed is sent again");
    let safe = fake.model().stored["logs-a-default"]["00004"].clone();
    assert_eq!(safe["message"], "a line");
    assert_eq!(safe["error"]["type"], "document_parsing_exception");
    let action = fake.model().seen[2].lines[2].0.clone();
    assert_eq!(action["create"]["pipeline"], "_none");

    let mut letters = Vec::new();
    Store::new(folder.path(), 1 << 20).read(|letter| letters.push(letter)).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].id.as_deref(), letters[0].kind.as_str()),
        (Some("00005"), "document_parsing_exception")
    );
    assert!(letters[0].document.get().contains("\"json\":{\"code\":\"abc\"}"), "as it was first sent");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_beside_ten_thousand_costs_one_request_more() {
    let fake = Fake::new();
    let target = stream("logs-a-default");
    fake.rule(|_| {
        Behaviour::items(|_, document| {
            let odd = !is_safe(document) && number(document) == 777;
            odd.then(|| item_error(400, "mapper_parsing_exception", "failed to parse field [json.code]"))?
        })
    });
    let output = Output::start(&fake, settings());
    for part in 0..5 {
        output.send(batch(part, &target, part as usize * 2_000..(part as usize + 1) * 2_000)).await;
    }
    let verdicts = output.finish().await;
    assert!(verdicts.values().flatten().all(|verdict| *verdict == Verdict::Shipped));
    assert_eq!(fake.documents("logs-a-default").len(), 10_000);
    assert_eq!(fake.requests(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_written_holds_only_its_target() {
    let fake = Fake::new();
    for (status, kind, reason) in [
        (403, "security_exception", "action [indices:data/write/bulk[s]] is unauthorized for API key"),
        (404, "index_not_found_exception", "no such index and [require_data_stream] request flag is [true]"),
        (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)];"),
        (400, "illegal_argument_exception", "pipeline with id [nope] does not exist"),
        (400, "validation_exception", "this cluster currently has [9]/[9] maximum normal shards open;"),
    ] {
        let (closed, open) = (stream("logs-closed-default"), stream("logs-open-default"));
        fake.rule(move |seen| match seen.target() {
            "logs-closed-default" => Behaviour::items(move |_, _| item_error(status, kind, reason)),
            _ => Behaviour::Accept,
        });
        let before = fake.requests();
        let mut output = Output::start(&fake, Settings { held_bytes: 200, ..settings() });
        output.send(batch(0, &closed, [1, 2])).await;
        output.until(|state| !state.held.is_empty()).await;
        for sequence in 1..20 {
            output.send(batch(sequence, &open, [sequence as usize])).await;
            assert_eq!(output.next().await.0, sequence, "{kind}");
        }
        let state = output.state.now();
        assert_eq!(state.held.len(), 1, "{kind}");
        assert!(state.held[0].why.contains(reason), "{state:?}");
        assert!(state.is_full(&closed) && !state.is_full(&open), "{state:?}");
        assert!(state.ready().is_ok(), "one target's trouble is not the agent's");

        pass(Duration::from_secs(600)).await;
        let tries = fake.requests() - before - 19;
        assert!((60..=250).contains(&tries), "{kind}: {tries} tries in ten minutes");
        fake.rule(|_| Behaviour::Accept);
        assert_eq!(output.next().await, (0, vec![Verdict::Shipped; 2]), "{kind}");
        assert!(output.state.now().held.is_empty());
        fake.model().stored.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_template_that_was_not_allowed_is_installed_once_it_is() {
    for status in [401, 403, 503] {
        let fake = Fake::new();
        fake.model().refuse_templates = Some(status);
        let words = "no such index [x] and the index creation request requires a data stream";
        let missing = Behaviour::items(move |_, _| item_error(404, "index_not_found_exception", words));
        let until = missing.clone();
        fake.rule(move |_| until.clone());
        let mut output = Output::start(&fake, Settings { setup: true, ..settings() });
        output.send(batch(0, &stream("logs-a-default"), [1])).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(fake.requests() > 0, status == 403, "only a missing privilege is gone on without");

        fake.model().refuse_templates = None;
        fake.script([missing]);
        fake.rule(|_| Behaviour::Accept);
        assert_eq!(output.next().await.1, [Verdict::Shipped], "{status}");
        assert!(fake.model().templates.contains_key("/_index_template/skidder-logs-a-default"), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_flood_stage_it_asks_rarely() {
    let fake = Fake::new();
    let reason = "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]";
    fake.rule(move |_| Behaviour::items(move |_, _| item_error(429, "cluster_block_exception", reason)));
    let mut output = Output::start(&fake, settings());
    output.send(batch(0, &stream("logs-a-default"), 0..10)).await;
    let state = output.until(|state| !state.held.is_empty()).await;
    assert!(state.held[0].why.contains("flood-stage"));
    pass(Duration::from_secs(3_600)).await;
    let tries = fake.requests();
    assert!((60..=200).contains(&tries), "{tries} tries in an hour");
    fake.rule(|_| Behaviour::Accept);
    assert_eq!(output.next().await.1, [Verdict::Shipped; 10]);
}

#[tokio::test(start_paused = true)]
async fn the_failure_store_has_it() {
    let fake = Fake::new();
    let body = r#"{"errors":false,"items":[{"create":{"status":201,"failure_store":"used"}}]}"#;
    fake.script([Behaviour::Answer(200, Vec::new(), body.into())]);
    let mut output = Output::start(&fake, settings());
    output.send(batch(0, &stream("logs-a-default"), [1])).await;
    assert_eq!(output.next().await.1, [Verdict::Shipped]);
    assert_eq!(output.metrics.failure_store.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_documents_waits_for_nothing() {
    let fake = Fake::new();
    fake.rule(|_| Behaviour::Reset);
    let mut output = Output::start(&fake, settings());
    output.send(batch(0, &stream("logs-a-default"), [1])).await;
    output.send(Batch { sequence: 1, ..Batch::default() }).await;
    assert_eq!(output.next().await, (1, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn without_a_folder_the_refused_are_dropped_and_counted() {
    let fake = Fake::new();
    fake.rule(|_| Behaviour::items(|index, _| (index == 0).then(|| item_error(400, "x", "y"))?));
    let mut output = Output::start(&fake, settings());
    output.send(batch(0, &stream("logs-a-default"), [1, 2])).await;
    assert_eq!(output.next().await.1, [Verdict::Dropped, Verdict::Shipped]);
    assert_eq!(output.events("dropped"), 1);
    assert!(output.state.now().last_error.unwrap().what.contains("no data_dir"));
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_stay_below_the_bound() {
    const PAUSE: Duration = Duration::from_millis(100);
    let fake = Fake::new();
    fake.rule(|_| Behaviour::Slow(PAUSE));
    let output = Output::start(&fake, Settings { in_flight: 3, ..settings() });
    let target = stream("logs-a-default");
    for sequence in 0..60 {
        output.send(batch(sequence, &target, [sequence as usize])).await;
    }
    output.finish().await;
    let came: Vec<Instant> = fake.model().seen.iter().map(|seen| seen.at).collect();
    let at_once = |at: &Instant| came.iter().filter(|other| *other <= at && *at < **other + PAUSE).count();
    assert_eq!(came.iter().map(at_once).max(), Some(3));
}
