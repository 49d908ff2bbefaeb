//! Any bytes may stand in the checkpoint: nothing panics, and what is read can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skidder::checkpoint::{Saved, read};

fuzz_target!(|bytes: &[u8]| {
    let Ok(reading) = read(bytes) else { return };
    assert!(reading.whole <= bytes.len() as u64);
    let mut again = Saved::default();
    reading.saved.records().for_each(|record| again.apply(&record));
    assert_eq!(again, reading.saved);
});
