//! What an answer means: one verdict for each document, one for the request. The whole table is here.

use hyper::body::Bytes;

use super::answer::{self, ItemAnswer, Items};

/// What became of one document, before anybody acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// Stored.
    Stored,
    /// Accepted, though set aside in the cluster's own failure store.
    SetAside,
    /// Stored already.
    Duplicate,
    /// Not now: the cluster is busy or a part of it is away. Sent again.
    Busy,
    /// The target may not be written to until somebody or something changes that; it holds this target alone.
    Held(Box<Reason>),
    /// The disk is at its flood stage: as [`ItemOutcome::Held`], but it can last hours, so it is asked rarely.
    Flooded(Box<Reason>),
    /// Never: the document itself is at fault.
    Refused(Box<Reason>),
}

/// Elasticsearch's words for a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// The HTTP status, of the item or the request.
    pub status: u16,
    /// The exception's type.
    pub kind: String,
    /// What it says.
    pub words: String,
}

impl Reason {
    /// The field that the words name (`… field [code] …`), when they do: the longest name first, as a conflict
    /// of objects names the whole path before the last part of it.
    pub fn field(&self) -> Option<&str> {
        let marks = ["mapping for [", "object mapping [", "mapper [", "field ["];
        let (_, rest) = marks.iter().find_map(|mark| self.words.split_once(mark))?;
        rest.split_once(']').map(|(field, _)| field)
    }

    /// One line for a person: status, type, words.
    pub fn line(&self) -> String {
        format!("{} {}: {}", self.status, self.kind, self.words)
    }

    /// A 400 that is not the document's fault but the cluster's present state, so that waiting helps.
    fn passes(&self) -> bool {
        // The limit of shards per node, met when a new backing index is to be made.
        self.words.contains("maximum normal shards open")
            || self.words.contains("maximum shards open")
            // A pipeline that is not there (yet): the target is wrong, not the document.
            || (self.words.starts_with("pipeline with id [") && self.words.contains("does not exist"))
    }
}

/// The table of an item's statuses.
pub fn item_outcome(item: &ItemAnswer<'_>) -> ItemOutcome {
    let reason =
        || Box::new(item.error.as_ref().map_or_else(Reason::default, |error| error.reason(item.status)));
    let blocked = item.error.as_ref().is_some_and(|error| error.kind == "cluster_block_exception");
    match item.status {
        200..=299 if item.failure_store.as_deref() == Some("used") => ItemOutcome::SetAside,
        200..=299 => ItemOutcome::Stored,
        409 => ItemOutcome::Duplicate,
        429 if blocked => ItemOutcome::Flooded(reason()),
        408 | 429 | 500..=599 => ItemOutcome::Busy,
        401 | 403 | 404 => ItemOutcome::Held(reason()),
        _ if blocked => ItemOutcome::Held(reason()),
        _ => match reason() {
            reason if reason.passes() => ItemOutcome::Held(reason),
            reason => ItemOutcome::Refused(reason),
        },
    }
}

/// What an answer to a bulk request means.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was carried out; what became of each document.
    Items(Items),
    /// 413: the body is too large, nothing was carried out.
    TooLarge,
    /// The cluster does not know a parameter of ours: to be left out from now on.
    UnknownParameter(String),
    /// A 400 of Elasticsearch's own for the whole body; one document in it may be the cause.
    Unreadable(Reason),
    /// 401 or 403: nobody may send anything until somebody changes that.
    Denied(String),
    /// The way to this target is wrong or closed (404, 405 and the like); others may be open.
    Closed(String),
    /// 429: less, please.
    Busy(String),
    /// The cluster or what stands before it is in trouble.
    Trouble {
        /// What it said.
        why: String,
        /// Whether it may have been carried out all the same.
        doubtful: bool,
    },
}

/// The table of a request's statuses. `sent` is how many documents were in it.
pub fn reply(status: u16, body: &Bytes, sent: usize) -> Reply {
    let said = if (200..300).contains(&status) { None } else { answer::parse_error(body, status) };
    let line = || said.as_ref().map_or_else(|| format!("{status} {}", head(body)), Reason::line);
    match status {
        200..=299 => match answer::parse(body, sent) {
            Ok(items) => Reply::Items(items),
            Err(error) => Reply::Trouble { why: error.to_string(), doubtful: true },
        },
        413 => Reply::TooLarge,
        401 | 403 => Reply::Denied(line()),
        408 => Reply::Trouble { why: line(), doubtful: true },
        429 => Reply::Busy(line()),
        400 => match said {
            Some(reason) => match unknown_parameter(&reason.words) {
                Some(name) => Reply::UnknownParameter(name),
                None => Reply::Unreadable(reason),
            },
            None => Reply::Closed(line()),
        },
        402..=499 => Reply::Closed(line()),
        // A gateway's 502 and 504 say nothing about what the node behind it did.
        502..=504 => Reply::Trouble { why: line(), doubtful: status != 503 },
        500 | 501 | 505..=599 => Reply::Trouble { why: line(), doubtful: true },
        _ => Reply::Trouble { why: format!("{} (a redirect?)", line()), doubtful: false },
    }
}

/// `request [/x/_bulk] contains unrecognized parameter: [require_data_stream]` → that name.
fn unknown_parameter(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("unrecognized parameter")?;
    let (_, rest) = rest.split_once('[')?;
    rest.split_once(']').map(|(name, _)| name.to_owned())
}

/// The first words of an answer that is none of Elasticsearch's, for a log line.
fn head(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { "without a body".into() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::answer::ErrorAnswer;
    use super::*;

    fn outcome(status: u16, kind: &str, words: &str) -> ItemOutcome {
        let error = ErrorAnswer { kind: kind.into(), reason: Some(words.into()), ..ErrorAnswer::default() };
        let error = (status >= 300).then_some(error);
        item_outcome(&ItemAnswer { status, error, ..ItemAnswer::default() })
    }

    #[test]
    fn the_table_of_items() {
        for (status, kind, words, expected) in [
            (200, "", "", "Stored"),
            (201, "", "", "Stored"),
            (409, "version_conflict_engine_exception", "[a]: document already exists", "Duplicate"),
            (429, "es_rejected_execution_exception", "rejected execution", "Busy"),
            (429, "rejected_execution_exception", "OpenSearch's name of it", "Busy"),
            (429, "cluster_block_exception", "disk usage exceeded flood-stage watermark", "Flooded"),
            (408, "timeout", "", "Busy"),
            (500, "some_exception", "", "Busy"),
            (503, "unavailable_shards_exception", "primary shard is not active", "Busy"),
            (503, "cluster_block_exception", "state not recovered", "Busy"),
            (400, "document_parsing_exception", "failed to parse field [code] of type [long]", "Refused"),
            (400, "mapper_parsing_exception", "OpenSearch's name of it", "Refused"),
            (400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", "Refused"),
            (400, "illegal_argument_exception", "pipeline with id [nope] does not exist", "Held"),
            (
                400,
                "validation_exception",
                "cluster currently has [9]/[9] maximum normal shards open;",
                "Held",
            ),
            (401, "security_exception", "", "Held"),
            (403, "security_exception", "action [indices:data/write/bulk[s]] is unauthorized", "Held"),
            (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)]", "Held"),
            (404, "index_not_found_exception", "no such index and [require_data_stream]", "Held"),
            (413, "", "", "Refused"),
            (422, "", "", "Refused"),
        ] {
            let shown = format!("{:?}", outcome(status, kind, words));
            assert!(shown.starts_with(expected), "{status} {kind}: {shown}");
        }
        let aside = ItemAnswer { status: 201, failure_store: Some("used".into()), ..ItemAnswer::default() };
        assert_eq!(item_outcome(&aside), ItemOutcome::SetAside);
        let bare = ItemAnswer { status: 400, ..ItemAnswer::default() };
        assert!(matches!(item_outcome(&bare), ItemOutcome::Refused(_)));
    }

    #[test]
    fn the_table_of_requests() {
        let refused =
            |kind: &str, words: &str| format!(r#"{{"error":{{"type":"{kind}","reason":"{words}"}}}}"#);
        let one = r#"{"errors":false,"items":[{"create":{"status":201}}]}"#.to_owned();
        for (status, body, expected) in [
            (200, one.clone(), "Items(Items { outcomes: [Stored]"),
            (200, one[..30].to_owned(), "Trouble"),
            (200, "<html>".into(), "Trouble"),
            (413, String::new(), "TooLarge"),
            (401, refused("security_exception", "unable to authenticate"), "Denied"),
            (403, refused("security_exception", "missing"), "Denied"),
            (429, refused("es_rejected_execution_exception", "coordinating"), "Busy"),
            (400, refused("illegal_argument_exception", "must be terminated by a newline"), "Unreadable"),
            (
                400,
                refused(
                    "illegal_argument_exception",
                    "request [/x/_bulk] contains unrecognized parameter: [require_data_stream]",
                ),
                "UnknownParameter(\"require_data_stream\")",
            ),
            (400, "<html>plain HTTP sent to an HTTPS port".into(), "Closed"),
            (404, "not found".into(), "Closed"),
            (405, String::new(), "Closed"),
            (408, String::new(), "Trouble"),
            (500, String::new(), "Trouble"),
            (302, String::new(), "Trouble"),
        ] {
            let shown = format!("{:?}", reply(status, &body.clone().into(), 1));
            assert!(shown.starts_with(expected), "{status} {body}: {shown}");
        }
        for (status, expected) in [(500, true), (502, true), (503, false), (504, true)] {
            let Reply::Trouble { doubtful, .. } = reply(status, &Bytes::new(), 1) else { panic!("{status}") };
            assert_eq!(doubtful, expected, "{status}");
        }
    }

    #[test]
    fn fields_are_found_in_the_words() {
        for (words, expected) in [
            ("[1:45] failed to parse field [code] of type [long] in document", Some("code")),
            ("can't merge a non object mapping [labels.app] with an object mapping", Some("labels.app")),
            ("object mapping for [labels.app] tried to parse field [app] as object", Some("labels.app")),
            ("mapper [json.a] cannot be changed from type [long] to [text]", Some("json.a")),
            ("rejected", None),
        ] {
            assert_eq!(Reason { words: words.into(), ..Reason::default() }.field(), expected);
        }
    }
}
