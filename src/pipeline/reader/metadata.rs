//! How the reader waits for the kubelet's word on a pod, and what it makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, warn};

use super::super::directory::Lookup;
use super::super::outlet::{Facts, Outlet};
use super::super::source::{Source, Stage};
use super::Reader;
use crate::discover::Found;
use crate::enrich::PodSettings;
use crate::event::{Origin, PodMeta, SourceId};
use crate::join::{Rules, Subject};

impl<O: Outlet> Reader<O> {
    pub(super) fn look_up_waiting(&mut self, now: Instant) {
        let waiting: Vec<SourceId> = self.waiting.iter().copied().collect();
        for id in waiting {
            self.look_up(id, now);
        }
    }

    /// Asks for a waiting source's metadata; when it is there, or will not come, the source can be read.
    pub(super) fn look_up(&mut self, id: SourceId, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        let Stage::Waiting { since } = source.stage else { return };
        let (pod, timed_out) = match &source.found.origin {
            Origin::Pod { uid, container, .. } => match self.directory.look_up(uid, container, since, now) {
                Lookup::Known(pod) => (Some(pod), false),
                Lookup::NotAsked => (None, false),
                Lookup::TimedOut => (None, true),
                Lookup::NotYet => return,
            },
            _ => (None, false),
        };
        source.stage = Stage::Reading;
        source.pod = pod;
        self.waiting.remove(&id);
        if timed_out {
            let Some(source) = self.sources.get(&id) else { return };
            debug!(path = %source.found.path.display(), "no metadata in time; going on with the path's names");
            let settings = PodSettings::default();
            self.outlet.describe(&facts(source, None, true, &settings));
        } else {
            self.describe(id);
        }
        self.wake_source(id);
    }

    /// The kubelet's answer has changed: later lines carry what it says now.
    pub(super) fn metadata_changed(&mut self) {
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            let (Origin::Pod { uid, .. }, Stage::Reading | Stage::Excluded) =
                (&source.found.origin, source.stage)
            else {
                continue;
            };
            if let Some(pod) = self.directory.known(uid)
                && source.pod.as_ref() != Some(&pod)
            {
                source.pod = Some(pod);
                self.describe(id);
                self.wake_source(id);
            }
        }
    }

    /// Tells the outlet what is known of a source by now, and takes what its pod asks for.
    pub(super) fn describe(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(&id) else { return };
        let (settings, wrong) = match &source.pod {
            Some(pod) => PodSettings::from(pod, &self.settings.annotations),
            None => (PodSettings::default(), Vec::new()),
        };
        for message in wrong {
            if self.said.insert(message.clone()) {
                warn!("{message}");
            }
        }
        let rules = self.rules_for(&source.found, source.pod.as_deref(), settings.multiline.as_deref());
        let Some(source) = self.sources.get_mut(&id) else { return };
        let excluded = match &source.found.origin {
            Origin::Pod { container, .. } => settings.excludes(container),
            _ => false,
        };
        match (excluded, source.stage) {
            (true, Stage::Reading) => source.exclude(),
            (false, Stage::Excluded) => source.stage = Stage::Reading,
            _ => {}
        }
        source.judge_by(rules);
        self.outlet.describe(&facts(source, source.pod.as_deref(), false, &settings));
        source.accounts(self.outlet.account(id));
    }

    pub(super) fn rules_for(
        &self,
        found: &Found,
        pod: Option<&PodMeta>,
        annotation: Option<&str>,
    ) -> Arc<Rules> {
        let none = BTreeMap::new();
        let (namespace, name, container) = match &found.origin {
            Origin::Pod { namespace, pod, container, .. } => (&**namespace, &**pod, &**container),
            Origin::Docker { .. } | Origin::File => ("", "", ""),
        };
        let subject =
            Subject { namespace, pod: name, container, labels: pod.map_or(&none, |pod| &pod.labels) };
        match self.settings.rules.select(&subject, annotation) {
            Ok(rules) => rules,
            Err(error) => {
                warn!(pod = %found.shown.display(), "{error}; the configured languages are used");
                self.settings.rules.default_for(&subject)
            }
        }
    }
}

fn facts<'a>(
    source: &'a Source,
    pod: Option<&'a PodMeta>,
    timed_out: bool,
    settings: &'a PodSettings,
) -> Facts<'a> {
    Facts { id: source.id, found: &source.found, pod, timed_out, settings }
}
