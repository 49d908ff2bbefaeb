//! Is the agent alive, and can it do its work?
//!
//! The two differ: a restart helps a thread that hangs, and does not help an Elasticsearch that is away. So
//! `/livez` asks heartbeats only, `/readyz` conditions only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock;

/// What the threads and conditions of the agent say.
#[derive(Debug)]
pub struct Health {
    born: Instant,
    hearts: Mutex<BTreeMap<&'static str, Heart>>,
    conditions: Arc<Mutex<BTreeMap<&'static str, Condition>>>,
}

#[derive(Debug)]
struct Heart {
    /// Milliseconds from the health's birth to the last beat.
    last: Arc<AtomicU64>,
    /// The longest time between two beats of a thread that works.
    limit: Duration,
}

#[derive(Debug)]
enum Condition {
    Met,
    /// Why not, in words.
    Missing(String),
}

/// A thread's sign of life. When it is dropped without [`Heartbeat::retire`] (a panic) the thread counts as dead
/// after its limit.
#[derive(Debug)]
pub struct Heartbeat {
    name: &'static str,
    born: Instant,
    last: Arc<AtomicU64>,
    health: Arc<Health>,
}

/// One condition of being ready.
#[derive(Clone, Debug)]
pub struct Readiness {
    name: &'static str,
    conditions: Arc<Mutex<BTreeMap<&'static str, Condition>>>,
}

impl Health {
    /// Without threads or conditions: alive and ready.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { born: Instant::now(), hearts: Mutex::default(), conditions: Arc::default() })
    }

    /// Adds a thread, which must beat at least every `limit` from now on.
    pub fn heartbeat(self: &Arc<Self>, name: &'static str, limit: Duration) -> Heartbeat {
        let last = Arc::new(AtomicU64::new(millis(self.born.elapsed())));
        lock(&self.hearts).insert(name, Heart { last: Arc::clone(&last), limit });
        Heartbeat { name, born: self.born, last, health: Arc::clone(self) }
    }

    /// Adds a condition, which is not met yet.
    pub fn condition(&self, name: &'static str) -> Readiness {
        let readiness = Readiness { name, conditions: Arc::clone(&self.conditions) };
        readiness.not("starting");
        readiness
    }

    /// The threads that have been silent for longer than they may, each with a sentence; empty: alive.
    pub fn silent(&self, now: Instant) -> Vec<String> {
        let age = millis(now.saturating_duration_since(self.born));
        lock(&self.hearts)
            .iter()
            .filter_map(|(name, heart)| {
                let silent = Duration::from_millis(age.saturating_sub(heart.last.load(Ordering::Relaxed)));
                (silent > heart.limit).then(|| format!("{name}: no sign of life for {} s", silent.as_secs()))
            })
            .collect()
    }

    /// The conditions that are not met, each with its reason; empty: ready.
    pub fn missing(&self) -> Vec<String> {
        lock(&self.conditions)
            .iter()
            .filter_map(|(name, condition)| match condition {
                Condition::Met => None,
                Condition::Missing(reason) => Some(format!("{name}: {reason}")),
            })
            .collect()
    }
}

impl Heartbeat {
    /// The thread is alive. Cheap: one clock, one store.
    pub fn beat(&self) {
        self.last.store(millis(self.born.elapsed()), Ordering::Relaxed);
    }

    /// The thread ends in good order and is asked no more.
    pub fn retire(self) {
        lock(&self.health.hearts).remove(self.name);
    }
}

impl Readiness {
    /// The condition is met.
    pub fn met(&self) {
        lock(&self.conditions).insert(self.name, Condition::Met);
    }

    /// The condition is not met, and why, in words for a person.
    pub fn not(&self, reason: impl Into<String>) {
        lock(&self.conditions).insert(self.name, Condition::Missing(reason.into()));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_thread_is_named_until_it_beats_or_retires() {
        let health = Health::new();
        let later = health.born + Duration::from_secs(3600);
        let reader = health.heartbeat("reader", Duration::from_secs(30));
        assert_eq!(health.silent(health.born), Vec::<String>::new());
        assert_eq!(health.silent(later), ["reader: no sign of life for 3600 s"]);
        reader.last.store(3_599_000, Ordering::Relaxed);
        assert_eq!(health.silent(later), Vec::<String>::new());
        reader.retire();
        assert_eq!(health.silent(later + Duration::from_secs(3600)), Vec::<String>::new());
    }

    #[test]
    fn a_thread_that_died_is_missed() {
        let health = Health::new();
        drop(health.heartbeat("reader", Duration::from_secs(30)));
        assert_eq!(health.silent(health.born + Duration::from_secs(60)).len(), 1);
    }

    #[test]
    fn ready_when_all_conditions_are_met() {
        let health = Health::new();
        assert_eq!(health.missing(), Vec::<String>::new());
        let (lock, output) = (health.condition("data_dir"), health.condition("output"));
        assert_eq!(health.missing(), ["data_dir: starting", "output: starting"]);
        lock.met();
        output.not("elasticsearch refuses the API key (401)");
        assert_eq!(health.missing(), ["output: elasticsearch refuses the API key (401)"]);
        output.met();
        assert_eq!(health.missing(), Vec::<String>::new());
        lock.not("held by process 7");
        assert_eq!(health.missing(), ["data_dir: held by process 7"]);
    }
}
