//! Random actions on a node, and a small model that knows every event that must come out.

mod check;
mod log;
mod world;

use std::time::{Duration, Instant};

use crate::torture::number;
use world::{Timeout, World};

/// After so many actions everything must come to rest, and what was stored is held against the model.
const BETWEEN_RESTS: usize = 60;

/// `SKIDDER_MODEL_ACTIONS` sets how many (a burst of up to 500 lines is one), `SKIDDER_TORTURE_SECONDS` for how long.
/// Each stretch between two rests stands for itself, so a failure tells what was done in the last one. A seed gives
/// the same actions again, but not the same meeting of two processes: the fewer the actions, the likelier.
async fn run(timeout: Timeout) {
    let seed = number("SKIDDER_SEED", fastrand::u64(..));
    let actions = number("SKIDDER_MODEL_ACTIONS", 500) as usize;
    let end = Instant::now() + Duration::from_secs(number("SKIDDER_TORTURE_SECONDS", 0));
    println!("SKIDDER_SEED={seed}");
    let mut world = World::new(seed, timeout).await;
    let mut done = 0;
    while done < actions || Instant::now() < end {
        for _ in 0..BETWEEN_RESTS.min(actions.saturating_sub(done).max(1)) {
            world.act().await;
            done += 1;
        }
        world.rest().await;
    }
    println!("{done} actions: {}", world.told());
}

/// Only the bytes and the runtime's stamps end an event: each comes out whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_once_whatever_happens() {
    run(Timeout::Never).await;
}

/// The clock may end a trace or a line in parts between any two of its pieces, and then it must stay so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_piece_once_though_the_clock_ends_events() {
    run(Timeout::Short).await;
}
