//! What comes back from the output: its state, and what is settled.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::budget::Budget;
use super::wake::Wake;
use crate::checkpoint::Keeper;
use crate::event::Settled;
use crate::observe::{Backlog, LastError, OutputStatus, Readiness, Status};
use crate::ship::elasticsearch::{State, StateHandle};

/// Shows the output's state to probes and on the status page, and rings when a target may be written to again.
pub async fn watch_output(
    name: String,
    state: StateHandle,
    ready: Readiness,
    status: Arc<Status>,
    wake: Arc<Wake>,
) -> std::convert::Infallible {
    let mut changes = state.subscribe();
    loop {
        let now = state.now();
        let in_words = match now.ready() {
            Ok(()) => {
                ready.met();
                held(&now)
            }
            Err(why) => {
                ready.not(why.clone());
                why
            }
        };
        let last_error =
            now.last_error.map(|error| LastError { message: error.what, at: error.at, times: 1 });
        status.output(OutputStatus {
            name: name.clone(),
            state: in_words,
            in_flight: now.in_flight_limit,
            last_error,
        });
        wake.nudge();
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// An output that takes documents, but perhaps not those of some targets.
fn held(state: &State) -> String {
    let held = state.held.iter().map(|held| format!("{} waits: {}", held.target.name, held.why));
    let held: Vec<String> = held.collect();
    if held.is_empty() { "ok".to_owned() } else { format!("ok, but {}", held.join("; ")) }
}

/// Takes what is settled: moves the accounts and the ledger, and gives memory back.
pub struct Collector {
    /// The accounts.
    pub backlog: Arc<Backlog>,
    /// Of the ledger.
    pub keeper: Keeper,
    /// The memory of all that is on its way.
    pub budget: Arc<Budget>,
    /// For bodies that are empty again.
    pub spare: std::sync::mpsc::SyncSender<Vec<u8>>,
    /// The reader's.
    pub wake: Arc<Wake>,
}

impl Collector {
    /// Until the output ends.
    pub async fn run(self, mut settled: mpsc::UnboundedReceiver<Settled>) {
        while let Some(mut settled) = settled.recv().await {
            self.backlog.settled(&settled);
            self.budget.release(settled.batch.sequence);
            self.keeper.settled(std::mem::take(&mut settled.batch.receipts));
            // A pool that is full, or a reader that has ended, needs no more bodies.
            let _ = self.spare.try_send(std::mem::take(&mut settled.batch.body));
            self.wake.nudge();
        }
    }
}
