//! Reads what a bulk request was answered, and nothing else: borrowed from the answer, in one pass.
//!
//! An answer that is cut, garbled, or speaks of another number of documents than were sent is no answer.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::verdict::{ItemOutcome, Reason, item_outcome};

/// What Elasticsearch is asked to answer: each item's status, and of failures the reason. Everything else
/// (`_id`, `_index`, shards, sequence numbers) would be ten times as much to send and to read.
pub const FILTER_PATH: &str = "errors,items.*.status,items.*.failure_store,items.*.error.type,\
items.*.error.reason,items.*.error.caused_by.reason";

/// What is added to [`FILTER_PATH`] where the answer is to name the backing index.
pub const NAMED: &str = ",items.*._index";

/// One item as answered.
#[derive(Debug, Default, Deserialize)]
pub struct ItemAnswer<'a> {
    /// Its status, as if it had been a request of its own.
    pub status: u16,
    /// The index that it is in; of a data stream, the backing index. Only where it was asked for.
    #[serde(borrow, rename = "_index", default)]
    pub index: Option<Cow<'a, str>>,
    /// Why it failed.
    #[serde(borrow, default)]
    pub error: Option<ErrorAnswer<'a>>,
    /// From Elasticsearch 9.1: `used` when a refused document was set aside by the cluster itself.
    #[serde(borrow, default)]
    pub failure_store: Option<Cow<'a, str>>,
}

/// The `error` of an item or of a whole request.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorAnswer<'a> {
    /// Elasticsearch's name of the exception.
    #[serde(borrow, rename = "type", default)]
    pub kind: Cow<'a, str>,
    /// Its words.
    #[serde(borrow, default)]
    pub reason: Option<Cow<'a, str>>,
    /// What lies below it, which often says more.
    #[serde(borrow, default)]
    pub(super) caused_by: Option<Cause<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Cause<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

impl ErrorAnswer<'_> {
    /// Type and words, with the cause's words when they add some.
    pub fn reason(&self, status: u16) -> Reason {
        let words = self.reason.as_deref().unwrap_or_default();
        let cause = self.caused_by.as_ref().and_then(|cause| cause.reason.as_deref()).unwrap_or_default();
        let words = if cause.is_empty() || words.contains(cause) {
            words.to_owned()
        } else {
            format!("{words}: {cause}")
        };
        Reason { status, kind: self.kind.clone().into_owned(), words }
    }
}

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is not the JSON of a bulk answer, or it ends too early.
    #[error("the answer is not that of a bulk request: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It speaks of another number of documents than were sent.
    #[error("the answer speaks of {answered} documents where {sent} were sent")]
    Count {
        /// How many the answer has.
        answered: usize,
        /// How many the request had.
        sent: usize,
    },
}

/// What a bulk request was answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// What became of each document, in order.
    pub outcomes: Vec<ItemOutcome>,
    /// The index that the last stored one is in, where the answer names it.
    pub index: Option<Box<str>>,
}

/// Reads the answer to a bulk request of `sent` documents.
///
/// # Errors
/// [`AnswerError`]: it then says nothing about any document.
pub fn parse(body: &[u8], sent: usize) -> Result<Items, AnswerError> {
    if is_all_stored(body, sent) {
        return Ok(Items { outcomes: vec![ItemOutcome::Stored; sent], index: None });
    }
    let BulkAnswer { items } = serde_json::from_slice(body)?;
    if items.outcomes.len() != sent {
        return Err(AnswerError::Count { answered: items.outcomes.len(), sent });
    }
    Ok(items)
}

/// Whether it is, byte for byte, the answer to `sent` documents that were all stored: nearly all answers are, and
/// a comparison takes a fiftieth of what a parser does. False says nothing.
fn is_all_stored(body: &[u8], sent: usize) -> bool {
    const STORED: &[u8; 26] = br#"{"create":{"status":201}},"#;
    let items = body.strip_prefix(br#"{"errors":false,"items":["#).and_then(|rest| rest.strip_suffix(b"]}"));
    // The last item has no comma.
    let Some((items, last)) = items.and_then(|items| items.split_last_chunk::<25>()) else { return false };
    let (items, rest) = items.as_chunks::<26>();
    items.len() + 1 == sent
        && rest.is_empty()
        && last == &STORED[..25]
        && items.iter().all(|item| item == STORED)
}

/// Reads the `error` of a request's answer; `None` when it is not from Elasticsearch, which always says one.
pub fn parse_error(body: &[u8], status: u16) -> Option<Reason> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        error: ErrorAnswer<'a>,
    }
    let refusal: Refusal<'_> = serde_json::from_slice(body).ok()?;
    Some(refusal.error.reason(status)).filter(|reason| !reason.kind.is_empty())
}

#[derive(Deserialize)]
struct BulkAnswer {
    items: Items,
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the items of a bulk answer")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Items, A::Error> {
                let mut answered = Items::default();
                while let Some(Action(item)) = items.next_element()? {
                    let outcome = item_outcome(&item);
                    if let (ItemOutcome::Stored, Some(index)) = (&outcome, item.index)
                        && answered.index.as_deref() != Some(&*index)
                    {
                        answered.index = Some(index.into());
                    }
                    answered.outcomes.push(outcome);
                }
                Ok(answered)
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

/// `{"create":{…}}`: the action's name does not matter, we only ever send one kind.
struct Action<'a>(ItemAnswer<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Action<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Action<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item of a bulk answer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Action<'de>, A::Error> {
                let Some((_, item)) = map.next_entry::<IgnoredAny, ItemAnswer<'de>>()? else {
                    return Err(serde::de::Error::custom("an item without an action"));
                };
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Action(item))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_in_order() {
        let body = br#"{"took":3,"errors":true,"items":[{"create":{"_id":"a","status":201,"failure_store":"not_enabled"}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[a]: \"exists\""}}},
            {"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field [code] of type [long]",
             "caused_by":{"type":"x","reason":"For input string: \"abc\""}}}}]}"#;
        let Items { outcomes: items, index } = parse(body, 3).unwrap();
        assert_eq!(index, None);
        assert_eq!(items[..2], [ItemOutcome::Stored, ItemOutcome::Duplicate]);
        let ItemOutcome::Refused(reason) = &items[2] else { panic!("{items:?}") };
        assert_eq!(reason.words, "failed to parse field [code] of type [long]: For input string: \"abc\"");
        assert_eq!(reason.field(), Some("code"));
    }

    #[test]
    fn the_index_of_what_was_stored() {
        let body = br#"{"items":[{"create":{"_index":".ds-a-000001","status":201}},
            {"create":{"_index":".ds-a-000002","status":201}}, {"create":{"_index":".ds-a-000003","status":429}},
            {"create":{"_index":".fs-a-000001","status":201,"failure_store":"used"}}]}"#;
        assert_eq!(parse(body, 4).unwrap().index.as_deref(), Some(".ds-a-000002"));
    }

    #[test]
    fn cut_short_or_garbled_is_no_answer() {
        let whole = br#"{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
        assert!(parse(whole, 2).is_ok());
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], 2).is_err(), "{length}");
        }
        assert!(matches!(parse(whole, 3), Err(AnswerError::Count { answered: 2, sent: 3 })));
        for body in
            [r#"{"errors":false}"#, "<html>", r#"{"items":[{}]}"#, r#"{"items":[{"create":{}}]}"#, "[]"]
        {
            assert!(parse(body.as_bytes(), 1).is_err(), "{body}");
        }
    }

    #[test]
    fn errors_of_a_request() {
        let body =
            br#"{"error":{"root_cause":[],"type":"security_exception","reason":"missing"},"status":403}"#;
        let reason = parse_error(body, 403).unwrap();
        assert_eq!((reason.kind.as_str(), reason.words.as_str()), ("security_exception", "missing"));
        assert!(parse_error(b"<html>403</html>", 403).is_none());
        assert!(parse_error(br#"{"error":"no handler found"}"#, 400).is_none());
    }

    #[test]
    fn damaged_answers_never_panic() {
        let whole =
            br#"{"errors":true,"items":[{"create":{"status":429,"error":{"type":"a","reason":"b"}}}]}"#;
        let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("SKIDDER_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20_000 {
            let mut body = whole.to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..body.len());
                body[at] = random.u8(..);
            }
            let _ = parse(&body, 1);
            let _ = parse_error(&body, 400);
        }
    }
}
