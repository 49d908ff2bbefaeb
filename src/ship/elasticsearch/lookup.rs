//! Looks documents up by id, in real time, in the backing indices that may hold them.

use std::cmp::Reverse;
use std::sync::Arc;

use hyper::body::Bytes;
use serde::Deserialize;

use super::answer;
use super::transport::{Answer, Body, Failure, Method, Request, Transport, percent_encoded};

/// Why something could not be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The cluster is busy or away: try again later.
    Trouble(String),
    /// The credentials are not known there, or cannot be read.
    Credentials(String),
    /// It is not allowed, or not possible here.
    Refused(String),
}

/// What a look-up found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LookedUp {
    /// Of each document, whether it is there.
    pub there: Vec<bool>,
    /// Why it is not known of some that are not there, where that is so.
    pub doubt: Option<String>,
}

/// The backing indices of a data stream, the oldest first; none when there is no such stream.
///
/// # Errors
/// [`LookupError`].
pub async fn backing_indices<T: Transport>(
    transport: &T,
    stream: &str,
) -> Result<Vec<Arc<str>>, LookupError> {
    #[derive(Deserialize)]
    struct Resolved {
        #[serde(default)]
        data_streams: Vec<DataStream>,
    }
    #[derive(Deserialize)]
    struct DataStream {
        name: String,
        backing_indices: Vec<String>,
    }
    let path = format!("/_resolve/index/{}", percent_encoded(stream));
    let answer = ask(transport, Request { method: Method::GET, path, body: Body::Empty }).await?;
    let Some(answer) = answer else { return Ok(Vec::new()) };
    let resolved: Resolved =
        serde_json::from_slice(&answer.body).map_err(|error| LookupError::Refused(error.to_string()))?;
    let stream = resolved.data_streams.into_iter().find(|known| known.name == stream);
    let mut indices = stream.map(|stream| stream.backing_indices).unwrap_or_default();
    indices.sort_by_key(|index| generation(index));
    Ok(indices.into_iter().map(Arc::from).collect())
}

/// `.ds-logs-a-b-2026.11.22-000012` → 12.
fn generation(index: &str) -> u64 {
    index.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Where nothing is known, so many of a stream's indices are looked in.
const LOOKED_IN: usize = 8;

/// Looks for documents of a data stream in the oldest of `places` that is still there, in all younger indices, and in
/// the one before: the first that was ever named need not be the first that was sent to.
///
/// # Errors
/// [`LookupError`]: nothing is known of any.
pub async fn look_up<T: Transport>(
    transport: &T,
    stream: &str,
    places: &[Arc<str>],
    ids: &[String],
) -> Result<LookedUp, LookupError> {
    let indices = match backing_indices(transport, stream).await {
        Ok(indices) => indices,
        // Who may read need not be allowed to ask which there are.
        Err(LookupError::Refused(_)) if !places.is_empty() => places.to_vec(),
        Err(error) => return Err(error),
    };
    let from = places.iter().find_map(|place| indices.iter().position(|index| index == place));
    // Where none is known, the stream was new; or they are gone, and their documents with them.
    let from = from.map_or(indices.len().saturating_sub(LOOKED_IN), |from| from.saturating_sub(1));
    let mut indices = indices[from..].to_vec();
    // The youngest first: a rollover is rare.
    indices.sort_by_key(|index| Reverse(generation(index)));
    let mut found = LookedUp { there: vec![false; ids.len()], doubt: None };
    for (older, index) in indices.iter().enumerate() {
        let missing: Vec<usize> = (0..ids.len()).filter(|at| !found.there[*at]).collect();
        if missing.is_empty() {
            break;
        }
        let wanted: Vec<&str> = missing.iter().map(|at| ids[*at].as_str()).collect();
        for (at, document) in missing.iter().zip(get(transport, index, &wanted).await?) {
            found.there[*at] = document.found;
            if let Some(error) = document.error.filter(|error| error.kind != GONE) {
                let why = format!("{}: {}", error.kind, error.reason.unwrap_or_default());
                if older == 0 && error.kind == NO_SHARD {
                    return Err(LookupError::Trouble(why));
                }
                found.doubt = Some(why);
            }
        }
    }
    Ok(found)
}

/// An index that its lifecycle has deleted meanwhile.
const GONE: &str = "index_not_found_exception";

/// The shards of an index do not answer. Those of the youngest are about to be started, after a rollover, or cannot be
/// written to either; of an older one there is no telling whether they will ever come back.
const NO_SHARD: &str = "no_shard_available_action_exception";

/// A document as looked up.
#[derive(Debug, Default, Deserialize)]
struct Document {
    #[serde(default)]
    found: bool,
    #[serde(default)]
    error: Option<DocumentError>,
}

#[derive(Debug, Deserialize)]
struct DocumentError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
}

/// Gets documents by id, in real time; `ids` as JSON has them.
async fn get<T: Transport>(transport: &T, index: &str, ids: &[&str]) -> Result<Vec<Document>, LookupError> {
    #[derive(Deserialize)]
    struct Got {
        docs: Vec<Document>,
    }
    let path = format!(
        "/{}/_mget?_source=false&filter_path=docs.found,docs.error.type,docs.error.reason",
        percent_encoded(index)
    );
    let body = Body::Json(Bytes::from(format!("{{\"ids\":[\"{}\"]}}", ids.join("\",\""))));
    let answer = ask(transport, Request { method: Method::POST, path, body }).await?;
    let Some(answer) = answer else { return Ok(Vec::new()) };
    // A cut answer is no answer.
    let got: Got =
        serde_json::from_slice(&answer.body).map_err(|error| LookupError::Trouble(error.to_string()))?;
    match got.docs.len() == ids.len() {
        true => Ok(got.docs),
        false => Err(LookupError::Refused("the answer speaks of other documents".into())),
    }
}

/// The answer; `None` for a 404.
async fn ask<T: Transport>(transport: &T, request: Request) -> Result<Option<Answer>, LookupError> {
    let answer = transport.send(request).await.map_err(|failure| match failure {
        Failure::Credentials(words) => LookupError::Credentials(words),
        failure => LookupError::Trouble(failure.to_string()),
    })?;
    let words = || {
        answer::parse_error(&answer.body, answer.status)
            .map_or_else(|| format!("status {}", answer.status), |reason| reason.line())
    };
    match answer.status {
        200..=299 => Ok(Some(answer)),
        404 => Ok(None),
        401 => Err(LookupError::Credentials(words())),
        408 | 429 | 502..=504 => Err(LookupError::Trouble(words())),
        _ => Err(LookupError::Refused(words())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with two indices, of which one has no shard yet, and the other no document.
    struct Unstarted(&'static str);

    impl Transport for Unstarted {
        async fn send(&self, request: Request) -> Result<Answer, Failure> {
            Ok(Answer::new(
                200,
                if request.path.starts_with("/_resolve") {
                    r#"{"data_streams":[{"name":"logs-a-b","backing_indices":["logs-000001","logs-000002"]}]}"#
                } else if request.path.contains(self.0) {
                    r#"{"docs":[{"error":{"type":"no_shard_available_action_exception","reason":"none"}}]}"#
                } else {
                    r#"{"docs":[{"found":false}]}"#
                },
            ))
        }
    }

    #[tokio::test]
    async fn shards_that_are_about_to_start_are_waited_for() {
        let looked_up = async |unstarted| {
            look_up(&Unstarted(unstarted), "logs-a-b", &["logs-000001".into()], &["x".to_owned()]).await
        };
        let why = "no_shard_available_action_exception: none".to_owned();
        assert_eq!(looked_up("000002").await, Err(LookupError::Trouble(why.clone())));
        assert_eq!(looked_up("000001").await, Ok(LookedUp { there: vec![false], doubt: Some(why) }));
    }
}
