//! Whatever Elasticsearch, or what stands in its place, answers: an outcome for each document, or no answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skidder::ship::elasticsearch::parse;

fuzz_target!(|input: (u8, &[u8])| {
    let (sent, answer) = input;
    if let Ok(outcomes) = parse(answer, sent.into()) {
        assert_eq!(outcomes.len(), usize::from(sent));
    }
});
