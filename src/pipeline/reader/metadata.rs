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
use crate::enrich::{Excluded, PodSettings};
use crate::event::{Origin, PodMeta, SourceId};
use crate::join::{Rules, Subject, WrongAnnotation};

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
            origin @ Origin::Pod { .. } => match self.directory.look_up(origin, since, now) {
                Lookup::Known(pod) => (Some(pod), false),
                Lookup::NotAsked => (None, false),
                Lookup::TimedOut => (None, true),
                Lookup::NotYet => return,
            },
            Origin::Docker { .. } | Origin::File => (self.directory.own_pod(), false),
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
            self.describe(id, now);
        }
        self.wake_source(id);
    }

    /// What is known of pods has changed: later lines carry what is known now.
    pub(super) fn metadata_changed(&mut self, now: Instant) {
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            let known = match (&source.found.origin, source.stage) {
                (_, Stage::Waiting { .. }) | (Origin::Docker { .. }, _) => continue,
                (Origin::Pod { uid, .. }, _) => self.directory.known(uid),
                (Origin::File, _) => self.directory.own_pod(),
            };
            if known.is_some() && source.pod != known {
                source.pod = known;
                self.describe(id, now);
                self.wake_source(id);
            }
        }
    }

    /// Tells the outlet what is known of a source by now, and takes what its pod asks for.
    pub(super) fn describe(&mut self, id: SourceId, now: Instant) {
        let Some(source) = self.sources.get(&id) else { return };
        let (found, pod) = (&source.found, source.pod.as_deref());
        let [namespace, name, container] = found.origin.names(pod);
        let (mut settings, mut wrong) = match pod {
            Some(pod) => PodSettings::from(pod, container, &self.settings.annotations),
            None => Default::default(),
        };
        let rules = self.rules_for(found, pod, settings.multiline.as_deref()).unwrap_or_else(|error| {
            wrong.push(format!("{error}; it is ignored"));
            self.default_rules(found, pod)
        });
        for message in &wrong {
            // The same once per pod, whichever of its containers comes first.
            if self.said.insert(format!("{namespace}/{name}: {message}")) {
                warn!(namespace, pod = name, "{message}");
            }
        }
        if found.origin == Origin::File {
            // A sidecar is there to ship: what its pod does not want shipped is the node's agent's business.
            settings.excluded = Excluded::Nothing;
        }
        let Some(source) = self.sources.get_mut(&id) else { return };
        // What was read before the change leaves as it was: before the outlet hears of it.
        source.judge_by(rules, &mut self.outlet, now);
        match (settings.excluded == Excluded::All, source.stage) {
            (true, Stage::Reading) => source.exclude(&mut self.outlet, now),
            (false, Stage::Excluded) => source.stage = Stage::Reading,
            _ => {}
        }
        self.outlet.describe(&facts(source, source.pod.as_deref(), false, &settings));
        let account = self.outlet.account(id);
        if let Some(account) = &account {
            account.complain(wrong);
        }
        source.accounts(account);
    }

    /// The rules for a log's lines, with what its pod's annotation says of them.
    fn rules_for(
        &self,
        found: &Found,
        pod: Option<&PodMeta>,
        annotation: Option<&str>,
    ) -> Result<Arc<Rules>, WrongAnnotation> {
        let none = BTreeMap::new();
        self.settings.rules.select(&subject(found, pod, &none), annotation)
    }

    /// The rules for a log's lines, whatever an annotation says.
    pub(super) fn default_rules(&self, found: &Found, pod: Option<&PodMeta>) -> Arc<Rules> {
        let none = BTreeMap::new();
        self.settings.rules.default_for(&subject(found, pod, &none))
    }
}

fn subject<'a>(
    found: &'a Found,
    pod: Option<&'a PodMeta>,
    none: &'a BTreeMap<String, String>,
) -> Subject<'a> {
    let [namespace, name, container] = found.origin.names(pod);
    Subject { namespace, pod: name, container, labels: pod.map_or(none, |pod| &pod.labels) }
}

fn facts<'a>(
    source: &'a Source,
    pod: Option<&'a PodMeta>,
    timed_out: bool,
    settings: &'a PodSettings,
) -> Facts<'a> {
    let read_before = source.read_before;
    Facts { id: source.id, found: &source.found, pod, timed_out, settings, read_before }
}
