use prometheus_client::encoding::EncodeMetric;

use super::*;
use crate::event::Item;

const SECOND: i64 = 1_000_000_000;

fn owner(pod: &str) -> Owner {
    Owner { namespace: "shop".into(), pod: pod.into(), container: "web".into() }
}

fn batch(sequence: u64, oldest: i64, items: &[(u32, u32)]) -> Batch {
    let item = |&(source, bytes)| Item { start: 0, document: 0, source: SourceId(source), bytes };
    let items = items.iter().map(item).collect();
    Batch { sequence, oldest: Some(oldest), items, ..Batch::default() }
}

#[test]
fn the_account_adds_up_and_the_metrics_with_it() {
    let metrics = Metrics::default();
    let backlog = Backlog::new(&metrics, false);
    let account = backlog.open(SourceId(1), owner("a"));
    account.grew(1_000);
    account.read(700, 7);
    account.ended(Fate::Lost, 50);
    account.ended(Fate::Truncated, 5);
    let batch = batch(0, SECOND, &[(1, 100), (1, 200), (1, 30), (1, 40), (9, 1)]);
    backlog.left(&batch);
    let verdicts =
        [Verdict::Shipped, Verdict::Duplicate, Verdict::DeadLetter, Verdict::Dropped, Verdict::Shipped];
    backlog.settled(&Settled { batch, verdicts: verdicts.to_vec() });
    let (acknowledged, dropped, dead_letter, truncated, lost) = (300, 40, 30, 5, 50);
    let expected =
        Accounts { written: 1_000, acknowledged, dropped, dead_letter, truncated, lost, pending: 575 };
    assert_eq!(account.accounts(), expected);
    assert_eq!(backlog.total(), expected);
    let bytes = |result| metrics.bytes.get_or_create(&ResultLabel { result }).get();
    assert_eq!(bytes("acknowledged"), 301, "a source whose account is closed counts too");
    assert_eq!(["dropped", "dead_letter", "truncated", "lost"].map(bytes), [40, 30, 5, 50]);
    assert_eq!((metrics.read_bytes.get(), metrics.read_lines.get()), (700, 7));
}

#[test]
fn lag_and_age_rise_while_nothing_moves_and_clear_by_themselves() {
    let metrics = Metrics::default();
    let backlog = Backlog::new(&metrics, false);
    let account = backlog.open(SourceId(1), owner("a"));
    let measured = |now: i64| {
        backlog.measure(now * SECOND);
        (metrics.lag_bytes.get(), metrics.oldest_unshipped_seconds.get())
    };
    assert_eq!(measured(100), (0, 0.0));
    account.grew(10);
    account.holds(Some(90 * SECOND));
    assert_eq!(measured(100), (10, 10.0));
    let (first, second) = (batch(0, 90 * SECOND, &[(1, 10)]), batch(1, 95 * SECOND, &[(1, 20)]));
    backlog.left(&first);
    account.holds(None);
    account.grew(20);
    backlog.left(&second);
    assert_eq!(measured(3_690), (30, 3_600.0));
    let verdicts = vec![Verdict::Shipped];
    backlog.settled(&Settled { batch: second, verdicts: verdicts.clone() });
    assert_eq!(measured(3_690), (10, 3_600.0));
    backlog.settled(&Settled { batch: first, verdicts });
    assert_eq!(measured(3_690), (0, 0.0));
}

#[test]
fn an_event_from_the_future_is_not_old() {
    let metrics = Metrics::default();
    let backlog = Backlog::new(&metrics, false);
    backlog.open(SourceId(1), owner("a")).holds(Some(i64::MAX - 1));
    backlog.measure(0);
    assert_eq!(metrics.oldest_unshipped_seconds.get(), 0.0);
}

#[test]
fn containers_have_series_of_their_own_until_their_last_source_closes() {
    let metrics = Metrics::default();
    let backlog = Backlog::new(&metrics, true);
    let by = backlog.per_container.as_ref().unwrap();
    let (first, second) = (backlog.open(SourceId(1), owner("a")), backlog.open(SourceId(2), owner("a")));
    first.grew(5);
    second.grew(7);
    second.read(7, 1);
    backlog.measure(0);
    assert_eq!(by.lag_bytes.get_or_create(&owner("a")).get(), 12);
    second.ended(Fate::Dropped, 7);
    backlog.close(SourceId(2));
    assert_eq!(by.read_bytes.get_or_create(&owner("a")).get(), 7, "a restarted container goes on counting");
    backlog.close(SourceId(1));
    assert_eq!(by.lag_bytes.get_or_create(&owner("a")).get(), 12, "what is on its way is still told");
    let settled = batch(0, SECOND, &[(1, 5)]);
    backlog.settled(&Settled { batch: settled, verdicts: vec![Verdict::Shipped] });
    assert!(by.read_bytes.is_empty() && by.read_lines.is_empty() && by.lag_bytes.is_empty());
    assert!(backlog.account(SourceId(1)).is_none());
    let total = Accounts { written: 12, acknowledged: 5, dropped: 7, ..Accounts::default() };
    assert_eq!(backlog.total(), total, "those that are gone count");
}
