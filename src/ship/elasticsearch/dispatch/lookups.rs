//! Once, across a rollover too: what may be stored already is looked up before it is sent again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::backing;
use super::super::delivery::{Delivery, Past};
use super::super::lookup::{self, LookedUp, LookupError};
use super::super::transport::Transport;
use super::{Dispatch, Finished, Ticket};
use crate::event::{Target, TargetKind};
use crate::observe::metrics::ResultLabel;

/// How long a stream's first document waits for the disk to remember the stream. A full disk must not stop the
/// output; then a kill may cost one look-up.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// What was looked up.
pub(super) struct Asked {
    ticket: Ticket,
    items: Vec<u32>,
    began: Instant,
    result: Result<LookedUp, LookupError>,
}

/// What became of asking for a stream's write index.
pub(super) struct Resolved {
    stream: String,
    began: Instant,
    result: Result<Vec<Arc<str>>, LookupError>,
}

impl<T: Transport> Dispatch<T> {
    /// Whether what goes to `target` can be looked up by id.
    pub(super) fn is_looked_up(&self, target: &Target) -> bool {
        target.kind == TargetKind::DataStream && self.settings.document_ids
    }

    /// A batch came of which an earlier run may have sent something.
    pub(super) fn sent_before(&self, delivery: &mut Delivery) {
        let target = Arc::clone(delivery.target());
        if !self.is_looked_up(&target) {
            delivery.past = Past::Checked;
        } else if let Some(indices) = self.backing.of_earlier_run(&target.name) {
            delivery.past = Past::Doubtful;
            delivery.may_go_to(indices);
        }
    }

    /// Asks for a stream's write index, and keeps it, before its first document.
    pub(super) fn ask_for_index(&mut self, stream: String, began: Instant) {
        let (transport, keep) = (Arc::clone(&self.transport), self.backing.keep());
        let at_most = self.backing.of_concern(&stream);
        self.tasks.spawn(async move {
            let result = lookup::backing_indices(&*transport, &stream).await;
            let result = result.map(|mut indices| indices.split_off(indices.len().saturating_sub(at_most)));
            let indices = match &result {
                Ok(indices) => Some(indices.as_slice()),
                Err(LookupError::Refused(_)) => Some([].as_slice()),
                Err(LookupError::Trouble(_) | LookupError::Credentials(_)) => None,
            };
            if let Some(indices) = indices {
                let _ = timeout(KEPT_WITHIN, keep(backing::record(&stream, indices))).await;
            }
            Finished::Resolved(Resolved { stream, began, result })
        });
    }

    pub(super) fn resolved(&mut self, Resolved { stream, began, result }: Resolved) {
        let now = Instant::now();
        match result {
            Ok(indices) => self.backing.asked(stream, &indices),
            Err(LookupError::Refused(why)) => {
                tracing::debug!("cannot ask for the indices of {stream}: {why}");
                self.backing.asked(stream, &[]);
            }
            Err(LookupError::Credentials(why)) => {
                self.backing.failed(stream);
                self.denied(began, now, &why);
                return;
            }
            Err(LookupError::Trouble(why)) => {
                self.backing.failed(stream);
                self.trouble(began, now, None, &why);
                return;
            }
        }
        self.gate.open();
        self.denied = false;
    }

    /// Looks up what of a batch may be stored already; gives it back where that cannot be.
    pub(super) fn look_up(&mut self, ticket: Ticket, mut delivery: Delivery) -> Option<Delivery> {
        let target = Arc::clone(delivery.target());
        let ids = delivery.ids().filter(|_| self.is_looked_up(&target));
        let Some((items, ids)) = ids else {
            delivery.past = Past::Checked;
            return Some(delivery);
        };
        let (transport, places) = (Arc::clone(&self.transport), delivery.places.clone());
        self.depart(ticket, delivery);
        self.tasks.spawn(async move {
            let began = Instant::now();
            let result = lookup::look_up(&*transport, &target.name, &places, &ids).await;
            Finished::LookedUp(Asked { ticket, items, began, result })
        });
        None
    }

    pub(super) fn looked_up(&mut self, Asked { ticket, items, began, result }: Asked) {
        let Some((mut delivery, target)) = self.arrive(ticket) else { return };
        let now = Instant::now();
        match result {
            Ok(LookedUp { there, doubt }) => {
                let found = there.iter().filter(|there| **there).count() as u64;
                let missing = there.len() as u64 - found;
                self.count("duplicate", found);
                self.count_lookups("found", found);
                self.count_lookups(if doubt.is_some() { "failed" } else { "absent" }, missing);
                self.journal.looked_up(&target, doubt.as_deref());
                delivery.found(&items, &there);
                delivery.past = Past::Checked;
                // All of it had been taken: else the next request tells whether it is over.
                if delivery.is_done() {
                    self.gate.open();
                    self.denied = false;
                    self.journal.taken(now);
                }
            }
            Err(LookupError::Refused(why)) => {
                self.count_lookups("failed", items.len() as u64);
                self.journal.looked_up(&target, Some(&why));
                delivery.past = Past::Checked;
            }
            Err(LookupError::Credentials(why)) => _ = self.denied(began, now, &why),
            Err(LookupError::Trouble(why)) => _ = self.trouble(began, now, None, &why),
        }
        self.put_back(ticket, delivery);
    }

    fn count_lookups(&self, result: &'static str, by: u64) {
        self.metrics.lookups.get_or_create(&ResultLabel { result }).inc_by(by);
    }
}
