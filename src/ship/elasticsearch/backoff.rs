//! How long to wait before trying again: exponential with full jitter, so that a thousand agents spread out.

use std::time::Duration;

use tokio::time::Instant;

/// The window of the first wait.
const FIRST: Duration = Duration::from_millis(250);
/// The largest window while a cluster is busy or away.
pub const BUSY: Duration = Duration::from_secs(10);
/// The largest window while credentials are refused: a role is soon mended, and a refusal costs little.
pub const DENIED: Duration = Duration::from_secs(5);
/// The largest window at the flood stage, which lasts until somebody frees disk.
pub const FLOODED: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is believed.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// A wait before try `tries` (1 for the first repetition): anything up to a window that doubles each time, and
/// never beyond `most`.
pub fn wait(tries: u32, most: Duration) -> Duration {
    let window = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(most);
    window.mul_f64(fastrand::f64())
}

/// A door that closes after a failure and opens again after a while.
///
/// ```text
/// Open ──fail──► Shut (until) ──time──► ajar: one goes through ──ok──► Open
///                  ▲────────────────────────────fail──┘
/// ```
#[derive(Debug, Default)]
pub struct Gate(Option<Shut>);

#[derive(Debug)]
struct Shut {
    /// When it was shut.
    at: Instant,
    until: Instant,
    failures: u32,
}

impl Gate {
    /// Something that began at `began` failed: shut for [`wait`], or for what the cluster asked for and a little
    /// more. What began before the last failure says nothing new.
    pub fn fail(&mut self, began: Instant, now: Instant, most: Duration, retry_after: Option<Duration>) {
        if self.0.as_ref().is_some_and(|shut| began < shut.at) {
            return;
        }
        let failures = self.0.as_ref().map_or(0, |shut| shut.failures).saturating_add(1);
        // What was asked for is the same for all agents, so the jitter comes on top.
        let until = now + retry_after.unwrap_or_default().min(RETRY_AFTER) + wait(failures, most);
        self.0 = Some(Shut { at: now, until, failures });
    }

    /// Something went through.
    pub fn open(&mut self) {
        self.0 = None;
    }

    /// Whether something may be tried now.
    pub fn lets_through(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|shut| shut.until <= now)
    }

    /// Whether the last thing that went through failed, so that one at a time is enough to find out.
    pub fn is_troubled(&self) -> bool {
        self.0.is_some()
    }

    /// When it lets something through again; `None` when it does already.
    pub fn opens_at(&self, now: Instant) -> Option<Instant> {
        self.0.as_ref().map(|shut| shut.until).filter(|until| *until > now)
    }

    /// Lets something through at once: what it waited for may have changed.
    pub fn hurry(&mut self, now: Instant) {
        if let Some(shut) = &mut self.0 {
            shut.until = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_double_up_to_the_most() {
        for (tries, window) in [(1, 250), (2, 500), (3, 1_000), (6, 8_000), (7, 10_000), (60, 10_000)] {
            let waits: Vec<u128> = (0..2_000).map(|_| wait(tries, BUSY).as_millis()).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(
                *most <= window && *most > window * 9 / 10 && *least < window / 10,
                "{tries}: {least}–{most}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_shuts_and_opens() {
        let now = Instant::now();
        let mut gate = Gate::default();
        assert!(gate.lets_through(now) && !gate.is_troubled());
        let before = now;
        let now = now + Duration::from_secs(1);
        gate.fail(before, now, BUSY, Some(Duration::from_secs(30)));
        let opens = gate.opens_at(now).unwrap();
        assert!(opens >= now + Duration::from_secs(30) && opens < now + Duration::from_secs(31));
        assert!(!gate.lets_through(now) && gate.lets_through(opens) && gate.is_troubled());
        gate.fail(before, now, BUSY, Some(Duration::from_secs(90)));
        assert_eq!(gate.opens_at(now), Some(opens), "it began before the last failure");
        gate.hurry(now);
        assert!(gate.lets_through(now) && gate.is_troubled());
        gate.open();
        assert!(gate.lets_through(now) && !gate.is_troubled());
    }
}
