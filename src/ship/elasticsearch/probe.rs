//! What kind of cluster this is, and what we may do there: for the log, for `/status`, for `skidder check`.
//!
//! Nothing depends on the answers: what a cluster does not know is found out when it refuses it, so a role that
//! may not ask, or a gateway that hides `GET /`, costs no more than a version in the log.

use std::fmt;

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer;
use super::state::wall_nanos;
use super::template;
use super::transport::{Answer, Body, Failure, Method, Request, Transport, percent_encoded};

/// What a cluster says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// `elasticsearch` or `opensearch`; empty when it does not say.
    pub distribution: String,
    /// Such as `8.19.21`; empty when it does not say.
    pub version: String,
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.distribution.as_str(), self.version.as_str()) {
            ("", _) => f.write_str("a cluster that does not tell its version"),
            (distribution, version) => write!(f, "{distribution} {version}"),
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answered.
    #[error(transparent)]
    Unreachable(#[from] Failure),
    /// The credentials are not known there.
    #[error("the credentials are refused: {0}")]
    Denied(String),
    /// Something else, such as a cluster in trouble.
    #[error("the cluster answers {0}")]
    Other(String),
}

/// Asks `GET /`. A cluster that answers something else than its version is reached all the same.
///
/// # Errors
/// [`ProbeError`]: it is not reached, or refuses the credentials.
pub async fn identify<T: Transport>(transport: &T) -> Result<Cluster, ProbeError> {
    #[derive(Deserialize)]
    struct Root {
        version: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        number: String,
        #[serde(default)]
        distribution: String,
    }
    let request = Request { method: Method::GET, path: "/".into(), body: Body::Empty };
    let answer = transport.send(request).await?;
    match answer.status {
        200 => Ok(serde_json::from_slice(&answer.body).map_or_else(
            |_| Cluster::default(),
            |Root { version }| Cluster {
                distribution: if version.distribution.is_empty() {
                    "elasticsearch".into()
                } else {
                    version.distribution
                },
                version: version.number,
            },
        )),
        400 | 403..=405 => Ok(Cluster::default()),
        _ => Err(refusal(&answer)),
    }
}

/// What the credentials lack to write to these data streams or indices and, with `setup`, to install templates:
/// each as `privilege on name`. `None` where there is no security, or none that can be asked (OpenSearch).
///
/// # Errors
/// [`ProbeError`]: it is not reached, or refuses the credentials.
pub async fn missing_privileges<T: Transport>(
    transport: &T,
    names: &[String],
    setup: bool,
) -> Result<Option<Vec<String>>, ProbeError> {
    let cluster: &[&str] = if setup { &["manage_index_templates"] } else { &[] };
    let wanted = json!({
        "cluster": cluster,
        "index": [{ "names": names, "privileges": ["auto_configure", "create_doc"] }],
    });
    let request = Request {
        method: Method::POST,
        path: "/_security/user/_has_privileges".into(),
        body: Body::Json(Bytes::from(wanted.to_string())),
    };
    let answer = transport.send(request).await?;
    match answer.status {
        200 => {
            let said: Value =
                serde_json::from_slice(&answer.body).map_err(|error| ProbeError::Other(error.to_string()))?;
            Ok(Some(missing(&said)))
        }
        400 | 403..=405 | 500 => Ok(None),
        _ => Err(refusal(&answer)),
    }
}

/// Whether the template of a data stream is installed; `None` where that may not be asked.
///
/// # Errors
/// [`ProbeError`]: it is not reached, or refuses the credentials.
pub async fn template_is_there<T: Transport>(
    transport: &T,
    stream: &str,
) -> Result<Option<bool>, ProbeError> {
    let path = format!("/_index_template/{}", percent_encoded(&template::index_name(stream)));
    let answer = transport.send(Request { method: Method::GET, path, body: Body::Empty }).await?;
    match answer.status {
        200 => Ok(Some(true)),
        404 => Ok(Some(false)),
        403 => Ok(None),
        _ => Err(refusal(&answer)),
    }
}

/// How many seconds the cluster's clock is ahead of this machine's; `None` where it does not tell (that needs the
/// cluster privilege `monitor`).
pub async fn clock<T: Transport>(transport: &T) -> Option<i64> {
    let path = "/_cat/health?h=epoch&format=json".to_owned();
    let answer = transport.send(Request { method: Method::GET, path, body: Body::Empty }).await.ok()?;
    let said: Value = serde_json::from_slice(&answer.body).ok()?;
    let epoch: i64 = said[0]["epoch"].as_str()?.parse().ok()?;
    Some(epoch - wall_nanos() / 1_000_000_000)
}

fn missing(said: &Value) -> Vec<String> {
    let lacking = |privileges: &Value, on: &str| {
        let privileges = privileges.as_object().into_iter().flatten();
        let lacking = privileges.filter(|(_, has)| **has == false);
        lacking.map(|(privilege, _)| format!("{privilege} on {on}")).collect::<Vec<_>>()
    };
    let mut missing = lacking(&said["cluster"], "the cluster");
    for (name, privileges) in said["index"].as_object().into_iter().flatten() {
        missing.extend(lacking(privileges, name));
    }
    missing
}

fn refusal(answer: &Answer) -> ProbeError {
    let said = answer::parse_error(&answer.body, answer.status);
    let words = said.map_or_else(|| answer.status.to_string(), |reason| reason.line());
    if answer.status == 401 { ProbeError::Denied(words) } else { ProbeError::Other(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Says(u16, &'static str);

    impl Transport for Says {
        async fn send(&self, _: Request) -> Result<Answer, Failure> {
            Ok(Answer::new(self.0, self.1))
        }
    }

    #[tokio::test]
    async fn clusters_say_what_they_are_or_not() {
        for (status, body, expected) in [
            (200, r#"{"version":{"number":"8.19.21"}}"#, "elasticsearch 8.19.21"),
            (200, r#"{"version":{"number":"2.19.3","distribution":"opensearch"}}"#, "opensearch 2.19.3"),
            (200, "<html>", "a cluster that does not tell its version"),
            (403, "{}", "a cluster that does not tell its version"),
            (404, "", "a cluster that does not tell its version"),
        ] {
            assert_eq!(identify(&Says(status, body)).await.unwrap().to_string(), expected);
        }
        let denied = r#"{"error":{"type":"security_exception","reason":"unable to authenticate"}}"#;
        assert!(matches!(identify(&Says(401, denied)).await, Err(ProbeError::Denied(_))));
        assert!(matches!(identify(&Says(503, "")).await, Err(ProbeError::Other(_))));
    }

    #[tokio::test]
    async fn missing_privileges_are_named() {
        let said = r#"{"has_all_requested":false,"cluster":{"manage_index_templates":false},
            "index":{"logs-a-default":{"auto_configure":true,"create_doc":false}}}"#;
        let missing = missing_privileges(&Says(200, said), &["logs-a-default".into()], true).await.unwrap();
        assert_eq!(
            missing.unwrap(),
            ["manage_index_templates on the cluster", "create_doc on logs-a-default"]
        );
        assert_eq!(missing_privileges(&Says(400, ""), &[], false).await.unwrap(), None);
    }
}
