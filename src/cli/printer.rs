//! Events in words, for standard output: as a person reads them, or the message alone.

use super::pretty::{Pretty, PrettySubject};
use crate::discover::Found;
use crate::enrich::workload;
use crate::event::{Event, Origin, PodMeta};
use crate::pipeline::shipping::Printer;

/// The message alone.
pub struct Raw;

impl Printer for Raw {
    fn print(&mut self, _: &Found, _: Option<&PodMeta>, event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(event.message);
        out.push(b'\n');
    }
}

impl Printer for Pretty {
    fn print(&mut self, found: &Found, pod: Option<&PodMeta>, event: &Event<'_>, out: &mut Vec<u8>) {
        let path = found.shown.to_string_lossy();
        let subject = subject(&found.origin, &path);
        if let Some(pod) = pod
            && !self.has_introduced(&subject)
            && let Some(outermost) = workload::of(pod).last()
        {
            let (kind, name) = outermost.kind_and_name();
            self.introduce(&subject, kind, name, out);
        }
        self.render(&subject, event, out);
    }
}

/// Whose the events of a log are.
pub fn subject<'a>(origin: &'a Origin, path: &'a str) -> PrettySubject<'a> {
    match origin {
        Origin::Pod { namespace, pod, container, .. } => PrettySubject { namespace, pod, container, path },
        Origin::Docker { .. } | Origin::File => PrettySubject { path, ..PrettySubject::default() },
    }
}
