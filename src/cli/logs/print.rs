//! The outlet of `skidder logs`: events in the order of a [`View`], on a [`Page`].

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::page::Page;
use super::view::View;
use crate::cli::printer::subject;
use crate::discover::Found;
use crate::enrich::Excluded;
use crate::event::{Event, Origin, Record, SourceId, SourceKey};
use crate::observe::Account;
use crate::pipeline::outlet::{Facts, Mark, Outlet};
use crate::pipeline::wake::{Stop, Wake};
use crate::tail::{Keys, Loss};

/// Shows what the reader reads. Nothing of it is remembered.
pub struct Print {
    view: View,
    page: Page,
    /// Ends the reader when nobody reads the page any more.
    wake: Arc<Wake>,
    is_incomplete: bool,
}

/// How a reading ended.
#[derive(Debug)]
pub struct Ended {
    /// Standard output could not be written.
    pub error: Option<io::Error>,
    /// Something could not be read; it was said what.
    pub is_incomplete: bool,
}

impl Print {
    /// Shows on `page` what `view` lets through.
    pub fn new(view: View, page: Page, wake: Arc<Wake>) -> Self {
        Self { view, page, wake, is_incomplete: false }
    }

    /// Names what cannot be had. The run goes on, and ends with 1.
    pub fn miss(&mut self, what: &dyn std::fmt::Display) {
        self.is_incomplete = true;
        self.write();
        if let Some(progress) = &mut self.page.progress {
            progress.clear();
        }
        // Where standard error is closed too, the exit code says it.
        let _ = writeln!(io::stderr(), "skidder: {what}");
    }

    /// How it ended.
    pub fn end(self) -> Ended {
        Ended { error: self.page.error, is_incomplete: self.is_incomplete }
    }

    fn write(&mut self) {
        self.page.write();
        if self.page.error.is_some() {
            self.wake.stop(Stop::Stop);
        }
    }
}

fn index(source: SourceId) -> usize {
    source.0 as usize
}

impl Outlet for Print {
    fn wants(&self, found: &Found) -> bool {
        self.view.takes_source(&subject(&found.origin, &found.shown.to_string_lossy()))
    }

    fn describe(&mut self, facts: &Facts<'_>) {
        let source = index(facts.id);
        if self.page.describe(source, facts) {
            self.view.open(source);
        }
        if let Origin::Pod { namespace, pod, container, .. } = &facts.found.origin
            && facts.settings.excluded == Excluded::All
        {
            info!("{namespace}/{pod} {container} is not shown: its pod's annotations exclude it");
            self.at_end(facts.id);
        }
    }

    #[inline]
    fn event(&mut self, source: SourceId, keys: &Keys, event: &Event<'_>, now: Instant) {
        let (source, page) = (index(source), &mut self.page);
        page.note_keys(source, keys, event.span);
        if let Some(progress) = &mut page.progress {
            progress.read(event.bytes);
        }
        self.view.event(source, event, now, &mut |source, event: &Event<'_>| page.show(source, event));
    }

    fn at_end(&mut self, source: SourceId) -> bool {
        let page = &mut self.page;
        let was_unread =
            self.view.end(index(source), &mut |source, event: &Event<'_>| page.show(source, event));
        if let (true, Some(progress)) = (was_unread, &mut page.progress) {
            progress.done();
        }
        was_unread
    }

    fn closed(&mut self, source: SourceId) {
        self.at_end(source);
        self.page.forget(index(source));
    }

    /// What was held back was shown when the last source had ended; where Ctrl-C came before, it is not wanted.
    fn finish(&mut self, now: Instant) {
        let page = &mut self.page;
        self.view.pass(now, true, &mut |source, event: &Event<'_>| page.show(source, event));
        self.write();
        if let Some(progress) = &mut self.page.progress {
            progress.clear();
        }
    }

    /// Once a round: what came together is written together, and nothing waits for more.
    fn tick(&mut self, now: Instant) {
        let page = &mut self.page;
        self.view.pass(now, false, &mut |source, event: &Event<'_>| page.show(source, event));
        self.write();
        if let Some(progress) = &mut self.page.progress {
            progress.show(now);
        }
    }

    fn takes(&self, source: SourceId) -> bool {
        self.view.wanting().is_none_or(|wanting| wanting == index(source))
    }

    fn has_room(&mut self, _held: usize) -> bool {
        self.page.error.is_none()
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) -> bool {
        if path.as_os_str().is_empty() {
            self.miss(&format_args!("cannot read standard input: {error}"));
        } else {
            self.miss(&format_args!("cannot read {}: {error}", path.display()));
        }
        true
    }

    fn lost(&mut self, _source: SourceId, key: &SourceKey, loss: Loss) {
        // Of what cannot be read it was said when it was tried.
        if loss.reason == "unreadable" {
            return;
        }
        warn!(source = %key, bytes = loss.bytes, reason = loss.reason, "bytes were gone before they were read");
    }

    fn deadline(&self) -> Option<Instant> {
        self.view.due()
    }

    fn mark(&mut self, _mark: &Mark<'_>, _now: Instant) {}

    fn record(&mut self, _record: Record, _before_events: bool, _now: Instant) {}

    fn account(&self, _source: SourceId) -> Option<Arc<Account>> {
        None
    }
}
