//! A time that is read and written is the same time, whatever the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skidder::event::time::{nanos, rfc3339};

fuzz_target!(|text: &[u8]| {
    if let Some(time) = nanos(text) {
        assert_eq!(nanos(&rfc3339(time)), Some(time));
    }
});
