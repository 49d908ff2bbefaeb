//! What of the files without a name is kept, copied, or given up: pure, without I/O or a clock.

use std::time::{Duration, Instant};

use crate::event::SourceId;

/// How long a file without a name is only held open: mostly it is delivered by then.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How much of the disk is left free at the most.
const MARGIN_MAX: u64 = 2 << 30;

/// A file without a name that holds bytes which are not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its log.
    pub source: SourceId,
    /// Which generation of it.
    pub ordinal: u32,
    /// When it was first seen without a name.
    pub since: Instant,
    /// The bytes of it that are not acknowledged; once it is copied, those of the copy's file.
    pub bytes: u64,
    /// Whether it is copied.
    pub copy: CopyState,
}

/// Whether a file without a name is copied.
///
/// ```text
///   NotYet ──ordered──▶ UnderWay ──▶ Done
///      ▲                    │
///      └──── it failed ─────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// It is not, and is not to be before then.
    NotYet {
        /// Not before then: its writer may go on, or the last try has failed.
        after: Instant,
    },
    /// It is being copied.
    UnderWay,
    /// All of it is.
    Done,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Copy it.
    Copy(SourceId, u32),
    /// Let it go, read or not.
    GiveUp(SourceId, u32),
}

/// The disk that holds the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that may still be written.
    pub free: u64,
    /// Its size.
    pub size: u64,
}

/// How many bytes may be held: `limit`, or less where the disk is short. A tenth of it is left free, 2 GiB at the
/// most: below a tenth the kubelet evicts pods.
pub fn room(limit: u64, held: u64, disk: Disk) -> u64 {
    let margin = MARGIN_MAX.min(disk.size / 10);
    limit.min((held + disk.free).saturating_sub(margin))
}

/// What is to be done now: the oldest are given up until the others fit in `room`; of those, the oldest are copied as
/// far as `slots` allow.
pub fn decide(mut held: Vec<Held>, room: u64, slots: usize, now: Instant) -> Vec<Step> {
    held.sort_by_key(|held| (held.since, held.source, held.ordinal));
    let mut over = held.iter().map(|held| held.bytes).sum::<u64>().saturating_sub(room);
    let mut steps = Vec::new();
    let kept = held.iter().skip_while(|held| {
        if over == 0 {
            return false;
        }
        over = over.saturating_sub(held.bytes);
        steps.push(Step::GiveUp(held.source, held.ordinal));
        true
    });
    let due = |held: &&Held| matches!(held.copy, CopyState::NotYet { after } if after <= now);
    let copies: Vec<Step> =
        kept.filter(due).take(slots).map(|held| Step::Copy(held.source, held.ordinal)).collect();
    steps.extend(copies);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Held for so many seconds.
    fn held(now: Instant, source: u32, seconds: u64, bytes: u64, copy: CopyState) -> Held {
        let since = now - Duration::from_secs(seconds);
        Held { source: SourceId(source), ordinal: 0, since, bytes, copy }
    }

    fn open(now: Instant, source: u32, seconds: u64, bytes: u64) -> Held {
        let since = now - Duration::from_secs(seconds);
        held(now, source, seconds, bytes, CopyState::NotYet { after: since + PATIENCE })
    }

    fn copy(source: u32) -> Step {
        Step::Copy(SourceId(source), 0)
    }

    fn give_up(source: u32) -> Step {
        Step::GiveUp(SourceId(source), 0)
    }

    #[test]
    fn what_fits_is_copied_when_it_was_held_for_a_while() {
        let now = Instant::now() + Duration::from_secs(3600);
        let all = vec![open(now, 1, 4, 100), open(now, 2, 5, 100), open(now, 3, 60, 100)];
        assert_eq!(decide(all.clone(), 300, 9, now), [copy(3), copy(2)], "the oldest first");
        assert_eq!(decide(all, 300, 1, now), [copy(3)]);
    }

    #[test]
    fn what_does_not_fit_is_given_up_oldest_first_whatever_its_state() {
        let now = Instant::now() + Duration::from_secs(3600);
        let all = vec![
            open(now, 1, 10, 100),
            held(now, 2, 30, 100, CopyState::Done),
            held(now, 3, 20, 100, CopyState::UnderWay),
            open(now, 4, 1, 100),
        ];
        assert_eq!(decide(all.clone(), 400, 9, now), [copy(1)]);
        assert_eq!(decide(all.clone(), 399, 9, now), [give_up(2), copy(1)]);
        assert_eq!(decide(all.clone(), 200, 9, now), [give_up(2), give_up(3), copy(1)]);
        assert_eq!(decide(all.clone(), 150, 9, now), [give_up(2), give_up(3), give_up(1)]);
        assert_eq!(decide(all, 0, 9, now).len(), 4, "0 holds none");
    }

    #[test]
    fn generations_of_a_log_go_in_their_order() {
        let now = Instant::now() + Duration::from_secs(3600);
        let all: Vec<Held> =
            [2, 0, 1].into_iter().map(|ordinal| Held { ordinal, ..open(now, 1, 10, 100) }).collect();
        let steps = decide(all, 200, 9, now);
        let id = SourceId(1);
        assert_eq!(steps, [Step::GiveUp(id, 0), Step::Copy(id, 1), Step::Copy(id, 2)]);
    }

    #[test]
    fn what_was_copied_or_failed_lately_is_not_copied() {
        let now = Instant::now() + Duration::from_secs(3600);
        let later = CopyState::NotYet { after: now + Duration::from_secs(1) };
        let states = [CopyState::Done, CopyState::UnderWay, later];
        let all = states.into_iter().map(|copy| held(now, 1, 60, 100, copy)).collect();
        assert_eq!(decide(all, 300, 9, now), []);
    }

    #[test]
    fn a_short_disk_leaves_less_room() {
        let disk = |free, size| Disk { free, size };
        assert_eq!(room(GIB, 0, disk(100 * GIB, 200 * GIB)), GIB);
        assert_eq!(room(GIB, 0, disk(2 * GIB + 5, 200 * GIB)), 5, "2 GiB stay free");
        assert_eq!(room(GIB, 7, disk(GIB, 10 * GIB)), 7, "nothing more than there is");
        assert_eq!(room(GIB, 7, disk(GIB - 3, 10 * GIB)), 4, "and less, where less is free");
        assert_eq!(room(GIB, 7, disk(0, 10 * GIB)), 0);
    }
}
