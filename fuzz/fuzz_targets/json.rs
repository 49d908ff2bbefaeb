//! Any message: it becomes one line of valid JSON, whatever is done with JSON messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skidder::enrich::json::Place;
use skidder::enrich::{Scratch, escape};

fuzz_target!(|message: &[u8]| {
    let mut scratch = Scratch::default();
    for place in [Place::Nested, Place::Root] {
        let Some(object) = scratch.read(message, false, place) else { continue };
        assert!(!object.text().contains(&b'\n'));
        let whole: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(object.text()).expect("what was read is an object");
        assert_eq!(whole.len(), object.members().count(), "no key is given twice");
        for member in object.members() {
            serde_json::from_slice::<serde_json::Value>(member.value).expect("each value is JSON");
        }
    }
    let mut out = Vec::new();
    escape::append_message(message, false, &mut out);
    let text: String = serde_json::from_slice(&out).expect("a string");
    assert_eq!(text, String::from_utf8_lossy(message));
});
