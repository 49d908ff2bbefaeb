//! The kubelet: does it tell of the pods whose logs lie here?

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use crate::discover::Found;
use crate::enrich::{KubeletSettings, kubelet::ask};
use crate::event::Origin;

/// Asks it once. Its errors say what to do themselves.
pub(super) async fn kubelet(settings: KubeletSettings, logs: &[Found]) -> Finding {
    let url = settings.url.clone();
    let pods = match ask(KubeletSettings { memory: None, ..settings }).await {
        Ok(pods) => pods,
        Err(error) => {
            let text = error.to_string();
            // What to do stands after what happened, in each of these errors.
            return match text.rsplit_once("; ") {
                Some((message, remedy)) => Finding::failed("kubelet", message, remedy),
                None => Finding::failed("kubelet", text, ""),
            };
        }
    };
    let here: BTreeSet<&str> = logs.iter().filter_map(|found| uid(&found.origin)).collect();
    let known = here.iter().filter(|uid| pods.get(uid).is_some()).count();
    let message = format!(
        "{url} tells of {} pods; it knows {known} of the {} whose logs are here",
        pods.len(),
        here.len()
    );
    if known == 0 && !here.is_empty() {
        return Finding::failed(
            "kubelet",
            message,
            "it is another node's: set kubernetes.kubelet.url, or NODE_IP",
        );
    }
    Finding::ok("kubelet", message)
}

/// A file in place of the kubelet.
pub(super) fn recorded(path: &Path) -> Finding {
    match crate::pipeline::recorded(path) {
        Ok(pods) => Finding::ok("kubelet", format!("{} tells of {} pods", path.display(), pods.len())),
        Err(error) => Finding::failed("kubelet", error, ""),
    }
}

fn uid(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Pod { uid, .. } => Some(uid),
        Origin::Docker { .. } | Origin::File => None,
    }
}
