//! How much a cluster is asked to take: how many requests at once, and how large one may be.

use std::time::Duration;

use tokio::time::Instant;

/// A latency below this is nobody's trouble.
const CALM: Duration = Duration::from_secs(1);

/// How many requests may be under way: one more per round of successes, half as many after a 429, three
/// quarters when answers take twice as long as they used to.
#[derive(Debug)]
pub struct Concurrency {
    limit: f64,
    bound: f64,
    /// Requests that began before this belong to a round that was already answered by a decrease.
    decreased: Option<Instant>,
    recent: Smooth,
    usual: Smooth,
}

impl Concurrency {
    /// Begins with one and never goes above `bound`.
    pub fn new(bound: usize) -> Self {
        let bound = bound.max(1) as f64;
        Self { limit: 1.0, bound, decreased: None, recent: Smooth::new(0.3), usual: Smooth::new(0.02) }
    }

    /// How many may be under way.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A request that began at `started` was taken.
    pub fn taken(&mut self, started: Instant, now: Instant) {
        let latency = now.saturating_duration_since(started);
        let (recent, usual) = (self.recent.add(latency), self.usual.add(latency));
        if recent > CALM.as_secs_f64() && recent > 2.0 * usual {
            self.decrease(started, now, 0.75);
        } else {
            self.limit = (self.limit + 1.0 / self.limit).min(self.bound);
        }
    }

    /// A request that began at `started` was too much.
    pub fn refused(&mut self, started: Instant, now: Instant) {
        self.decrease(started, now, 0.5);
    }

    fn decrease(&mut self, started: Instant, now: Instant, factor: f64) {
        if self.decreased.is_some_and(|at| started < at) {
            return;
        }
        self.limit = (self.limit * factor).max(1.0);
        self.decreased = Some(now);
    }
}

/// An exponentially smoothed number of seconds.
#[derive(Debug)]
struct Smooth {
    value: Option<f64>,
    weight: f64,
}

impl Smooth {
    fn new(weight: f64) -> Self {
        Self { value: None, weight }
    }

    fn add(&mut self, latency: Duration) -> f64 {
        let new = latency.as_secs_f64();
        let value = self.value.map_or(new, |old| old + (new - old) * self.weight);
        self.value = Some(value);
        value
    }
}

/// No cluster or proxy is set to take less than this: one that says so means something else.
const SMALLEST_LIMIT: usize = 16 << 10;

/// How large a body may be, learned from 413s. Bytes before compression, as Elasticsearch counts them; a proxy
/// may count others, so what was once taken is only believed until it is refused.
#[derive(Debug, Default)]
pub struct BodyLimit {
    /// The largest that was taken.
    taken: usize,
    /// What to stay below or at; `None` until a 413.
    limit: Option<usize>,
}

impl BodyLimit {
    /// The largest body to send, once it is known that there is one.
    pub fn get(&self) -> Option<usize> {
        self.limit
    }

    /// A body of `bytes` was taken.
    pub fn taken(&mut self, bytes: usize) {
        self.taken = self.taken.max(bytes);
    }

    /// A body of `bytes` was too large: half of it is tried next, or the largest that was ever taken. False
    /// when it was so small that no limit can be the cause.
    pub fn refused(&mut self, bytes: usize) -> bool {
        if bytes <= SMALLEST_LIMIT {
            return false;
        }
        if self.taken >= bytes {
            self.taken = 0;
        }
        let next = self.taken.max(bytes / 2).max(SMALLEST_LIMIT);
        self.limit = Some(self.limit.map_or(next, |limit| limit.min(next)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn up_by_one_down_by_half_once_a_round() {
        let mut concurrency = Concurrency::new(8);
        assert_eq!(concurrency.limit(), 1);
        let start = Instant::now();
        for _ in 0..60 {
            concurrency.taken(start, start);
        }
        assert_eq!(concurrency.limit(), 8);
        let later = start + Duration::from_millis(10);
        for _ in 0..8 {
            concurrency.refused(start, later);
        }
        assert_eq!(concurrency.limit(), 4);
        concurrency.refused(later, later);
        assert_eq!(concurrency.limit(), 2);
        for _ in 0..9 {
            concurrency.refused(later, later);
        }
        assert_eq!(concurrency.limit(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn rising_latency_asks_for_less() {
        let mut concurrency = Concurrency::new(4);
        let start = Instant::now();
        for _ in 0..40 {
            concurrency.taken(start, start + Duration::from_millis(200));
        }
        assert_eq!(concurrency.limit(), 4);
        for round in 1..8 {
            let start = start + Duration::from_secs(10 * round);
            concurrency.taken(start, start + Duration::from_secs(5));
        }
        assert!(concurrency.limit() < 4, "{}", concurrency.limit());
    }

    #[test]
    fn a_413_teaches_the_limit() {
        let mut limit = BodyLimit::default();
        assert_eq!(limit.get(), None);
        limit.taken(300_000);
        assert!(limit.refused(400_000));
        assert_eq!(limit.get(), Some(300_000));
        assert!(limit.refused(300_000));
        assert_eq!(limit.get(), Some(150_000));
        assert!(limit.refused(900_000));
        assert_eq!(limit.get(), Some(150_000));
        assert!(limit.refused(20_000));
        assert_eq!(limit.get(), Some(SMALLEST_LIMIT));
        assert!(!limit.refused(SMALLEST_LIMIT));
    }
}
