//! Documents held against the model: each piece once, each where it was written.

use std::collections::HashMap;

use serde_json::Value;

use super::log::{Event, Piece};

/// What is wrong, a line for each thing.
#[derive(Default)]
pub struct Wrong {
    /// Not there (yet).
    pub lost: Vec<String>,
    /// There twice, in two, or not of the model.
    pub strange: Vec<String>,
}

/// Holds `documents` against `events`. With `whole` each event must be one document; else it may have been ended
/// between any two of its pieces.
pub fn check<'a>(events: impl Iterator<Item = &'a Event>, documents: &[Value], whole: bool) -> Wrong {
    let events: Vec<&Event> = events.collect();
    let mut places: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    for (number, event) in events.iter().enumerate() {
        for (piece, at) in event.pieces.iter().enumerate() {
            places.entry(at.offset).or_default().push((number, piece));
        }
    }
    let mut taken: Vec<Vec<u32>> = events.iter().map(|event| vec![0; event.pieces.len()]).collect();
    let mut wrong = Wrong::default();
    for document in documents {
        let offset = document["log"]["offset"].as_u64().unwrap_or(u64::MAX);
        let here = places.get(&offset).map_or(&[][..], Vec::as_slice);
        let fits = |&(event, from): &(usize, usize)| Some((event, from, fit(events[event], from, document)?));
        match here.iter().find_map(fits) {
            Some((event, from, to)) if !whole || (from, to) == (0, events[event].pieces.len()) => {
                taken[event][from..to].iter_mut().for_each(|times| *times += 1);
            }
            Some(_) => wrong.strange.push(format!("a piece of an event: {document}")),
            None => wrong.strange.push(format!("not of the model: {document}")),
        }
    }
    for (event, taken) in events.iter().zip(&taken) {
        for (piece, times) in event.pieces.iter().zip(taken) {
            match times {
                0 => wrong.lost.push(shown(piece)),
                1 => {}
                _ => wrong.strange.push(format!("{times} times: {}", shown(piece))),
            }
        }
    }
    wrong
}

/// Where the run of pieces ends, from `from` on, that a document's message is made of.
fn fit(event: &Event, from: usize, document: &Value) -> Option<usize> {
    let message = document["message"].as_str()?;
    let stream = document["stream"].as_str().unwrap_or_default();
    let mut rest = message.strip_prefix(&event.pieces[from].text)?;
    let mut to = from + 1;
    while !rest.is_empty() {
        rest = rest.strip_prefix(event.glue)?.strip_prefix(&event.pieces.get(to)?.text)?;
        to += 1;
    }
    (stream == event.stream.name()).then_some(to)
}

fn shown(piece: &Piece) -> String {
    format!("{} at {}", piece.text, piece.offset)
}
