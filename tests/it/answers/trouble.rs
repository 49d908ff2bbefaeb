//! A cluster that is busy, away, or answers nonsense.

use std::collections::BTreeMap;
use std::time::Duration;

use skidder::event::Verdict;
use skidder::ship::elasticsearch::{Health, Settings};
use tokio::time::Instant;

use super::{Output, batch, pass, settings, stream};
use crate::support::fake::{Behaviour, Fake, item_error};

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_503_are_met_with_patience() {
    let fake = Fake::new();
    fake.rule(|_| {
        Behaviour::error(
            503,
            "cluster_block_exception",
            "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered]",
        )
    });
    let output = Output::start(&fake, Settings { in_flight: 8, ..settings() });
    for sequence in 0..50 {
        let target = stream(&format!("logs-{}-default", sequence % 5));
        output.send(batch(sequence, &target, [sequence as usize])).await;
    }
    pass(Duration::from_secs(600)).await;
    // Ten seconds at most between two, five on average: one request at a time, whatever waits.
    let tries = fake.requests();
    assert!((60..=220).contains(&tries), "{tries} requests in ten minutes");
    let longest = fake.model().seen.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
    assert!(longest <= Duration::from_secs(10), "{longest:?}");
    let Health::Trouble { why, .. } = output.state.now().health else { panic!("healthy") };
    assert!(why.contains("state not recovered"), "{why}");
    assert!(output.state.now().ready().is_err());

    fake.rule(|_| Behaviour::Accept);
    let verdicts = output.finish().await;
    assert_eq!(verdicts.len(), 50);
    assert!(verdicts.values().flatten().all(|verdict| *verdict == Verdict::Shipped));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let fake = Fake::new();
    let headers = vec![("retry-after", "42".to_owned())];
    fake.script([Behaviour::Answer(429, headers, String::new())]);
    let start = Instant::now();
    let output = Output::start(&fake, settings());
    output.send(batch(0, &stream("logs-a-default"), [1])).await;
    output.finish().await;
    let waited = fake.model().seen[1].at - start;
    assert!((42..44).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_none_double_nothing() {
    for behaviour in Behaviour::LOST.into_iter().chain([Behaviour::Reset]) {
        let stores = !matches!(behaviour, Behaviour::Reset);
        let fake = Fake::new();
        fake.script([behaviour.clone(), behaviour]);
        let mut output = Output::start(&fake, settings());
        output.send(batch(0, &stream("logs-a-default"), 0..10)).await;
        let expected = if stores { Verdict::Duplicate } else { Verdict::Shipped };
        assert_eq!(output.next().await.1, [expected; 10]);
        assert_eq!(fake.documents("logs-a-default").len(), 10);
        assert_eq!(output.state.now().health, Health::Sending);
    }
}

/// A thousand agents that come back after an outage do not come back at once.
#[tokio::test(start_paused = true)]
async fn agents_spread_out_after_an_outage() {
    let fake = Fake::new();
    fake.rule(|_| Behaviour::error(503, "x", "down"));
    let start = Instant::now();
    let mut outputs = Vec::new();
    for agent in 0..200 {
        let output = Output::start(&fake, settings());
        output.send(batch(0, &stream("logs-a-default"), [agent])).await;
        outputs.push(output);
    }
    pass(Duration::from_secs(300)).await;
    fake.rule(|_| Behaviour::Accept);
    let before = fake.requests();
    for output in outputs {
        output.finish().await;
    }
    let mut seconds = BTreeMap::<u64, usize>::new();
    for seen in &fake.model().seen[before..] {
        *seconds.entry((seen.at - start).as_secs()).or_default() += 1;
    }
    let busiest = seconds.values().max().unwrap();
    assert!(*busiest < 60 && seconds.len() >= 8, "{seconds:?}");
}

/// Nor do they all at once ask for their template when they start together.
#[tokio::test(start_paused = true)]
async fn agents_spread_out_when_they_set_up() {
    const JITTER: Duration = Duration::from_secs(1);
    let fake = Fake::new();
    let start = Instant::now();
    let mut outputs = Vec::new();
    for agent in 0..200 {
        let settings = Settings { setup: true, setup_jitter: JITTER, ..settings() };
        let output = Output::start(&fake, settings);
        output.send(batch(0, &stream("logs-a-default"), [agent])).await;
        outputs.push(output);
    }
    for output in outputs {
        output.finish().await;
    }
    // The template comes before the first document, so when that came tells of both.
    let mut tenths = BTreeMap::<u128, usize>::new();
    for seen in &fake.model().seen {
        let after = seen.at - start;
        assert!(after <= JITTER, "{after:?}");
        *tenths.entry(after.as_millis() / 100).or_default() += 1;
    }
    assert_eq!(tenths.values().sum::<usize>(), 200);
    assert!(tenths.len() >= 9 && tenths.values().all(|count| *count < 50), "{tenths:?}");
    let puts = fake.model().others.iter().filter(|request| request.starts_with("PUT")).count();
    assert_eq!(puts, 2, "whoever comes later finds it there");
}

#[tokio::test(start_paused = true)]
async fn dropped_it_breaks_off() {
    let fake = Fake::new();
    fake.rule(|_| Behaviour::Slow(Duration::from_secs(5)));
    let output = Output::start(&fake, settings());
    output.send(batch(0, &stream("logs-a-default"), [1])).await;
    pass(Duration::from_secs(1)).await;
    output.running.abort();
    assert!(output.running.await.unwrap_err().is_cancelled());
    let mut settled = output.settled;
    assert!(settled.recv().await.is_none(), "nothing is settled that was not answered");
}

/// All of it at once, at random, for many batches of several targets.
#[tokio::test(start_paused = true)]
async fn whatever_happens_each_document_is_stored_once() {
    let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SKIDDER_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let fake = Fake::new();
    let mut answer = move || match random.u8(0..20) {
        0 => Behaviour::Reset,
        1 => Behaviour::Lost,
        2 => Behaviour::Silent,
        3 => Behaviour::Cut,
        4 => Behaviour::Garbage,
        5 => Behaviour::Short,
        6 => Behaviour::error(429, "es_rejected_execution_exception", "busy"),
        7 => Behaviour::error(503, "x", "away"),
        8 => Behaviour::error(401, "security_exception", "who are you"),
        9 => Behaviour::Slow(Duration::from_secs(3)),
        10 => Behaviour::Answer(404, Vec::new(), "no such place".into()),
        11 => Behaviour::Endless,
        12..=15 => {
            let (every, kind) = (random.usize(2..5), random.u8(0..4));
            Behaviour::items(move |index, document| match (index % every == 0, kind) {
                (false, _) => None,
                (_, 0) => item_error(429, "es_rejected_execution_exception", "busy"),
                (_, 1) => item_error(403, "security_exception", "not yours"),
                (_, 2) => item_error(429, "cluster_block_exception", "flood-stage"),
                // In the safe shape it is taken.
                _ if document.get("error").is_some() => None,
                _ => item_error(400, "document_parsing_exception", "failed to parse field [json.code]"),
            })
        }
        _ => Behaviour::Accept,
    };
    let mut rolls = fastrand::Rng::with_seed(seed.rotate_left(9));
    fake.rule(move |_| match rolls.u8(0..8) {
        0 => Behaviour::RollsOver(Box::new(answer())),
        _ => answer(),
    });
    let output = Output::start(&fake, Settings { in_flight: 4, ..settings() });
    let mut next = 0;
    let mut random = fastrand::Rng::with_seed(!seed);
    for sequence in 0..300 {
        let target = stream(&format!("logs-{}-default", random.u8(0..4)));
        let count = random.usize(0..30);
        output.send(batch(sequence, &target, next..next + count)).await;
        next += count;
    }
    let verdicts = output.finish().await;
    assert_eq!(verdicts.len(), 300);
    assert_eq!(verdicts.values().map(Vec::len).sum::<usize>(), next);
    let arrived = |verdict: &Verdict| matches!(verdict, Verdict::Shipped | Verdict::Duplicate);
    assert!(verdicts.values().flatten().all(arrived));
    let stored: usize = fake.model().stored.values().map(BTreeMap::len).sum();
    assert_eq!(stored, next, "once over all indices of each stream");
    assert!(fake.model().rollovers.values().sum::<usize>() > 20);
}
