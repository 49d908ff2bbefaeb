//! When to ask the kubelet. Knows the time only from what it is told.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::pods::Pods;

/// The shortest time from one answer to the next request.
const AGAIN: Duration = Duration::from_secs(1);

/// The same, when the wanted pods are listed but a container has had no id for longer than [`SOON`]: an image may
/// be on its way for minutes.
const SETTLE: Duration = Duration::from_secs(4);

/// How long after the wish ids are expected at any moment: the kubelet's list is about a second behind the
/// runtime.
const SOON: Duration = Duration::from_secs(3);

/// The longest delay after failures.
const BACKOFF: Duration = Duration::from_secs(30);

/// How long a wish is remembered that came to nothing, so that saying it again does not begin it anew.
const FORGET: Duration = Duration::from_secs(600);

/// The schedule of requests.
#[derive(Debug)]
pub(super) struct Pace {
    refresh: Duration,
    wait: Duration,
    wishes: HashMap<String, Wish>,
    /// Before this, nothing is asked, whatever is wanted.
    earliest: Instant,
    /// Then it is asked, even if nothing is wanted.
    latest: Instant,
    /// Failed requests since the last good one.
    failures: u32,
}

/// What the reader wants to know of one pod.
#[derive(Debug)]
struct Wish {
    since: Instant,
    state: WishState,
}

#[derive(Debug, PartialEq, Eq)]
enum WishState {
    /// No request has begun since.
    New,
    /// A request has, or several; the pod was not in an answer.
    Unlisted,
    /// It is listed, but a container has no id yet.
    Unsettled,
}

impl Pace {
    /// The first request is due at once.
    pub(super) fn new(refresh: Duration, wait: Duration, now: Instant) -> Self {
        Self { refresh, wait, wishes: HashMap::new(), earliest: now, latest: now, failures: 0 }
    }

    /// News of these pods are wanted.
    pub(super) fn want(&mut self, uids: HashSet<String>, now: Instant) {
        self.wishes.retain(|_, wish| now < wish.since + self.wait.max(FORGET));
        for uid in uids {
            let wish = self.wishes.entry(uid).or_insert(Wish { since: now, state: WishState::New });
            if wish.state == WishState::Unsettled {
                *wish = Wish { since: now, state: WishState::New };
            }
        }
    }

    /// When the next request is due.
    pub(super) fn due(&self) -> Instant {
        let wishes = self.wishes.values().filter_map(|wish| match wish.state {
            WishState::New => Some(self.earliest),
            WishState::Unlisted => self.until_over(wish, self.earliest),
            WishState::Unsettled if self.earliest < wish.since + SOON => Some(self.earliest),
            WishState::Unsettled => self.until_over(wish, self.earliest + (SETTLE - AGAIN)),
        });
        wishes.min().map_or(self.latest, |soonest| soonest.min(self.latest)).max(self.earliest)
    }

    /// `then`, unless the wish is over by then.
    fn until_over(&self, wish: &Wish, then: Instant) -> Option<Instant> {
        (then < wish.since + self.wait).then_some(then)
    }

    /// A request begins: what is wanted later is not answered by it.
    pub(super) fn begin(&mut self) {
        for wish in self.wishes.values_mut().filter(|wish| wish.state == WishState::New) {
            wish.state = WishState::Unlisted;
        }
    }

    /// The request is over; `listed` is what the kubelet lists, `None` when it failed.
    pub(super) fn end(&mut self, listed: Option<&Pods>, now: Instant) {
        let Some(listed) = listed else {
            let full = AGAIN.saturating_mul(1 << self.failures.min(8)).min(BACKOFF);
            self.failures = self.failures.saturating_add(1);
            self.earliest = now + full / 2 + full.mul_f64(fastrand::f64() / 2.0);
            self.latest = self.earliest;
            return;
        };
        self.failures = 0;
        self.earliest = now + AGAIN;
        self.latest = now + self.refresh.max(AGAIN);
        self.wishes.retain(|uid, wish| match (&wish.state, listed.get(uid)) {
            (WishState::New, _) | (_, None) => true,
            (_, Some(pod)) => {
                wish.state = WishState::Unsettled;
                pod.containers.values().any(|container| container.id.is_empty())
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ContainerMeta, PodMeta};
    use std::sync::Arc;

    const REFRESH: Duration = Duration::from_secs(60);
    const WAIT: Duration = Duration::from_secs(10);

    fn listed(uids: &[(&str, &str)]) -> Pods {
        let pod = |&(uid, id): &(&str, &str)| {
            let container = ContainerMeta { id: id.to_owned(), ..ContainerMeta::default() };
            let containers = [("web".to_owned(), container)].into();
            Arc::new(PodMeta { uid: uid.to_owned(), containers, ..PodMeta::default() })
        };
        uids.iter().map(pod).collect()
    }

    /// Asks once at `now`; gives the time until the next request.
    fn ask(pace: &mut Pace, answer: Option<&Pods>, now: Instant) -> Duration {
        pace.begin();
        pace.end(answer, now);
        pace.due() - now
    }

    fn want(pace: &mut Pace, uid: &str, now: Instant) {
        pace.want([uid.to_owned()].into(), now);
    }

    #[test]
    fn asks_at_once_and_then_each_refresh() {
        let start = Instant::now();
        let mut pace = Pace::new(REFRESH, WAIT, start);
        assert_eq!(pace.due(), start);
        assert_eq!(ask(&mut pace, Some(&listed(&[])), start), REFRESH);
    }

    #[test]
    fn asks_each_second_until_listed() {
        let start = Instant::now();
        let mut pace = Pace::new(REFRESH, WAIT, start);
        ask(&mut pace, Some(&listed(&[])), start);
        let now = start + Duration::from_secs(20);
        want(&mut pace, "a", now);
        assert!(pace.due() <= now, "at once when nothing was asked lately");
        assert_eq!(ask(&mut pace, Some(&listed(&[])), now), AGAIN);
        want(&mut pace, "a", now);
        want(&mut pace, "b", now);
        assert_eq!(pace.due() - now, AGAIN, "no sooner for another");
        assert_eq!(ask(&mut pace, Some(&listed(&[("a", "x")])), now + AGAIN), AGAIN, "b is missing");
        assert_eq!(ask(&mut pace, Some(&listed(&[("b", "x")])), now + AGAIN * 2), REFRESH);
    }

    #[test]
    fn gives_up_after_the_wait_and_does_not_begin_anew() {
        let mut now = Instant::now();
        let mut pace = Pace::new(REFRESH, WAIT, now);
        want(&mut pace, "gone", now);
        let mut asked = 0;
        loop {
            let next = ask(&mut pace, Some(&listed(&[])), now);
            asked += 1;
            if next == REFRESH {
                break;
            }
            now += next;
        }
        assert_eq!(asked, 10);
        want(&mut pace, "gone", now);
        assert_eq!(pace.due() - now, REFRESH);
        now += FORGET;
        want(&mut pace, "gone", now);
        assert!(pace.due() <= now);
    }

    #[test]
    fn a_wish_during_a_request_needs_another_request() {
        let now = Instant::now();
        let mut pace = Pace::new(REFRESH, WAIT, now);
        pace.begin();
        want(&mut pace, "a", now);
        pace.end(Some(&listed(&[("a", "x")])), now);
        assert_eq!(pace.due() - now, AGAIN, "the answer may be older than the wish");
        assert_eq!(ask(&mut pace, Some(&listed(&[("a", "x")])), now), REFRESH);
    }

    #[test]
    fn comes_back_for_ids() {
        let now = Instant::now();
        let mut pace = Pace::new(REFRESH, WAIT, now);
        want(&mut pace, "a", now);
        let pending = listed(&[("a", "")]);
        let mut ask_after = |seconds| ask(&mut pace, Some(&pending), now + Duration::from_secs(seconds));
        assert_eq!(ask_after(0), AGAIN);
        assert_eq!(ask_after(1), AGAIN);
        assert_eq!(ask_after(2), SETTLE);
        assert_eq!(ask_after(6), REFRESH, "the wait is over by the next");
    }

    #[test]
    fn backs_off_with_jitter_whatever_is_wanted() {
        let now = Instant::now();
        let mut pace = Pace::new(REFRESH, WAIT, now);
        for failure in 0..12 {
            want(&mut pace, &failure.to_string(), now);
            let full = AGAIN.saturating_mul(1 << failure.min(8)).min(BACKOFF);
            let next = ask(&mut pace, None, now);
            assert!(full / 2 <= next && next <= full, "{failure}: {next:?}");
        }
        assert!(ask(&mut pace, Some(&listed(&[])), now) <= AGAIN, "the wishes are still there");
    }
}
