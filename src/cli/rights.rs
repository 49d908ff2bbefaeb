//! What the system lets a process have, but does not give unasked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tracing::{info, warn};

/// Takes both rights below. To be called before any thread is started: capabilities belong to threads, and new ones
/// inherit them.
pub fn claim() {
    raise_file_limit();
    raise_capability();
}

/// A file is held open for each container and each of its rotated files that is not read yet: as many as the system
/// lets us have.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        warn!("raising the limit of open files: {error}");
    }
}

/// `CAP_DAC_READ_SEARCH`, the right to read files of any mode, comes by the image's file capability as *permitted*
/// where the pod's security context adds it. It is not *effective* by itself, for a program whose capabilities are
/// effective does not even start where they are dropped.
fn raise_capability() {
    let right = CapabilitySet::DAC_READ_SEARCH;
    let Ok(mut ours) = capabilities(None) else { return };
    if ours.effective.contains(right) || !ours.permitted.contains(right) {
        return;
    }
    ours.effective |= right;
    match set_capabilities(None, ours) {
        Ok(()) => info!("reads files of any mode: has the capability DAC_READ_SEARCH"),
        Err(error) => warn!("raising the capability DAC_READ_SEARCH: {error}"),
    }
}
