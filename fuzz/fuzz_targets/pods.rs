//! Any answer of a kubelet: it is read or refused, and what was read can be kept and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skidder::enrich::{Allowed, PodSettings, Pods};

fuzz_target!(|answer: &[u8]| {
    let Ok(pods) = Pods::parse(answer) else { return };
    for pod in pods.iter() {
        let _ = PodSettings::from(pod, &Allowed::All);
        let _ = skidder::enrich::workload::of(pod);
    }
    let mut kept = Vec::new();
    pods.write(&mut kept).expect("writing to memory");
    assert_eq!(Pods::parse(&kept[..]).expect("what was written"), pods);
});
