//! What each reply, or the lack of one, does to the doors: the second half of the table in `verdict`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::answer::Items;
use super::super::backoff::{BUSY, DENIED};
use super::super::bulk::Sent;
use super::super::delivery::{Delivery, Hold, Past, Summary};
use super::super::lane::REQUIRE_DATA_STREAM;
use super::super::probe::identify;
use super::super::transport::{Failure, Transport};
use super::super::verdict::{Reason, Reply};
use super::{Dispatch, Finished};
use crate::event::Target;

/// What a reply means for its batch.
pub(super) enum Judged {
    /// Each document has its outcome.
    Answered(Summary),
    /// The first of the documents sent is refused for good.
    FirstRefused(Reason),
    /// All of it is to be sent again.
    Again,
}

impl<T: Transport> Dispatch<T> {
    /// There is no answer.
    pub(super) fn failed(
        &mut self,
        delivery: &mut Delivery,
        sent: &Sent,
        failure: &Failure,
        now: Instant,
    ) -> Judged {
        let why = failure.to_string();
        match failure {
            Failure::Credentials(_) => return self.denied(sent.began, now, &why),
            Failure::Connect(_) => {}
            Failure::NoAnswer(_) => delivery.unanswered(sent.items.len()),
            Failure::TooLong(_) => {
                delivery.past = Past::Doubtful;
                delivery.halve(sent.items.len());
            }
        }
        self.trouble(sent.began, now, None, &why)
    }

    /// The table of replies: what each does to the doors.
    pub(super) fn judge(
        &mut self,
        delivery: &mut Delivery,
        sent: &Sent,
        reply: Reply,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> Judged {
        let target = &Arc::clone(delivery.target());
        match reply {
            Reply::Items(Items { outcomes, index }) => {
                self.open(sent, now);
                if let Some(index) = index {
                    self.backing.named(&target.name, &index, now);
                }
                Judged::Answered(delivery.answered(&sent.items, outcomes))
            }
            Reply::TooLarge if sent.oversize => Judged::FirstRefused(too_large(sent.bytes)),
            Reply::TooLarge if self.limit.refused(sent.bytes) => {
                tracing::info!("a body of {} bytes is too large here: smaller ones from now on", sent.bytes);
                Judged::Again
            }
            Reply::TooLarge => self.closed(target, sent, now, &format!("413 for only {} bytes", sent.bytes)),
            // Several requests may have met it at once.
            Reply::UnknownParameter(name) if name == REQUIRE_DATA_STREAM => {
                if !self.left_out.contains(&name) {
                    self.left_out.push(name);
                }
                Judged::Again
            }
            Reply::UnknownParameter(name) => {
                self.closed(target, sent, now, &format!("unknown parameter {name}"))
            }
            Reply::Unreadable(reason) if sent.items.len() == 1 => Judged::FirstRefused(reason),
            Reply::Unreadable(reason) => {
                delivery.halve(sent.items.len());
                self.pause(delivery, now);
                self.journal.refused(target, &reason);
                Judged::Again
            }
            Reply::Denied(why) => self.denied(sent.began, now, &why),
            Reply::Closed(why) => self.closed(target, sent, now, &why),
            Reply::Busy(why) => {
                self.concurrency.refused(sent.began, now);
                self.trouble(sent.began, now, retry_after, &why)
            }
            Reply::Trouble { why, doubtful } => {
                if doubtful {
                    delivery.past = Past::Doubtful;
                }
                self.trouble(sent.began, now, retry_after, &why)
            }
        }
    }

    /// Something was carried out.
    fn open(&mut self, sent: &Sent, now: Instant) {
        self.gate.open();
        self.denied = false;
        self.journal.taken(now);
        self.concurrency.taken(sent.began, now);
        self.limit.taken(sent.bytes);
        if !std::mem::replace(&mut self.identified, true) {
            let transport = Arc::clone(&self.transport);
            self.tasks.spawn(async move { Finished::Identified(identify(&*transport).await.ok()) });
        }
    }

    pub(super) fn trouble(
        &mut self,
        began: Instant,
        now: Instant,
        retry_after: Option<Duration>,
        why: &str,
    ) -> Judged {
        self.gate.fail(began, now, BUSY, retry_after);
        self.journal.trouble(now, why);
        Judged::Again
    }

    pub(super) fn denied(&mut self, began: Instant, now: Instant, why: &str) -> Judged {
        self.gate.fail(began, now, DENIED, None);
        self.denied = true;
        let why = format!(
            "{why}; check the credentials, and that their role has create_doc and auto_configure on what is written to"
        );
        self.journal.trouble(now, &why);
        Judged::Again
    }

    /// This target alone is shut.
    fn closed(&mut self, target: &Arc<Target>, sent: &Sent, now: Instant, why: &str) -> Judged {
        if let Some(lane) = self.lanes.get_mut(target) {
            lane.gate.fail(sent.began, now, BUSY, None);
        }
        self.journal.held(target, Hold::Closed, why);
        self.templates.held(&target.name);
        Judged::Again
    }
}

fn too_large(bytes: usize) -> Reason {
    let words = format!("{bytes} bytes are too large here, and nothing of it could be cut");
    Reason { status: 413, kind: "too_large".into(), words }
}
