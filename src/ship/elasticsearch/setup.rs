//! Installs the templates of data streams, without taking anything from anybody.
//!
//! What is there is read first: what a person made or changed is kept, what is the same is left alone. A type or
//! setting that the cluster does not know is left out and the rest tried again.

use std::fmt;

use hyper::body::Bytes;
use serde_json::Value;

use super::answer;
use super::template::{self, Dialect, Feature, Present};
use super::transport::{Answer, Body, Failure, Method, Request, Transport, percent_encoded};

/// What became of one template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was not there and is now. A data stream that already exists takes it at its next rollover.
    Made,
    /// It was an older one of ours.
    Updated,
    /// It was there already.
    Unchanged,
    /// A person made or changed it: kept as it is.
    Kept,
    /// A newer agent installed it: kept as it is.
    Newer,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Made => "made; a data stream that already exists takes it at its next rollover",
            Self::Updated => "updated; a data stream that already exists takes it at its next rollover",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept, as a person made or changed it",
            Self::Newer => "kept, as a newer agent made it",
        })
    }
}

/// Why a template could not be installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The credentials do not allow it.
    #[error(
        "may not install the template {name}: {words}; give the role the cluster privilege manage_index_templates, or install what `skidder setup --print` prints"
    )]
    Denied {
        /// Which template.
        name: String,
        /// Elasticsearch's words.
        words: String,
    },
    /// The credentials are not known there, or cannot be read.
    #[error("may not ask for the template {name}: {words}")]
    Credentials {
        /// Which template.
        name: String,
        /// Why not.
        words: String,
    },
    /// The cluster refuses it, and nothing can be left out.
    #[error("the cluster refuses the template {name}: {words}")]
    Refused {
        /// Which template.
        name: String,
        /// Elasticsearch's words.
        words: String,
    },
    /// The cluster is busy or away: try again later.
    #[error("could not ask for the template {name}: {words}")]
    Trouble {
        /// Which template.
        name: String,
        /// Why not.
        words: String,
    },
}

/// Installs the component template and the index template of each of `streams`; says what became of each, by
/// name.
///
/// # Errors
/// [`SetupError`] at the first that fails.
pub async fn ensure<T: Transport>(
    transport: &T,
    streams: &[String],
    retention: Option<&str>,
) -> Result<Vec<(String, Done)>, SetupError> {
    let mut dialect = Dialect::default();
    let component = Wish {
        kind: "_component_template",
        list: "component_templates",
        item: "component_template",
        name: template::COMPONENT.to_owned(),
        compose: &|dialect| template::component(dialect),
    };
    let mut done = vec![component.fulfil(transport, &mut dialect).await?];
    for stream in streams {
        let index = Wish {
            kind: "_index_template",
            list: "index_templates",
            item: "index_template",
            name: template::index_name(stream),
            compose: &|dialect| template::index(dialect, stream, retention),
        };
        done.push(index.fulfil(transport, &mut dialect).await?);
    }
    if retention.is_some() && !dialect.has(Feature::Lifecycle) {
        tracing::warn!(
            "this cluster does not know retention in a template: set up its own policy in its place"
        );
    }
    Ok(done)
}

/// A template that should be there.
struct Wish<'a> {
    /// The API's name.
    kind: &'static str,
    /// Where its answers list templates.
    list: &'static str,
    /// Where an entry of that list has the template itself.
    item: &'static str,
    name: String,
    compose: &'a (dyn Fn(&Dialect) -> Value + Sync),
}

impl Wish<'_> {
    async fn fulfil<T: Transport>(
        &self,
        transport: &T,
        dialect: &mut Dialect,
    ) -> Result<(String, Done), SetupError> {
        let wanted = (self.compose)(&Dialect::default());
        let done = match self.present(transport).await?.map(|there| template::compare(&there, &wanted)) {
            Some(Present::Same) => Done::Unchanged,
            Some(Present::Newer) => Done::Newer,
            Some(Present::Theirs) => Done::Kept,
            Some(Present::Outdated) => self.put(transport, dialect, &wanted).await.map(|()| Done::Updated)?,
            None => self.put(transport, dialect, &wanted).await.map(|()| Done::Made)?,
        };
        Ok((self.name.clone(), done))
    }

    /// The template as it is there.
    async fn present<T: Transport>(&self, transport: &T) -> Result<Option<Value>, SetupError> {
        let answer = self.ask(transport, Method::GET, Body::Empty).await?;
        match answer.status {
            404 => Ok(None),
            200 => {
                let mut list: Value =
                    serde_json::from_slice(&answer.body).map_err(|error| self.trouble(error.to_string()))?;
                Ok(Some(list[self.list][0][self.item].take()))
            }
            _ => Err(self.refusal(&answer)),
        }
    }

    /// Installs it, with ever less of what this cluster does not know.
    async fn put<T: Transport>(
        &self,
        transport: &T,
        dialect: &mut Dialect,
        wanted: &Value,
    ) -> Result<(), SetupError> {
        loop {
            let template = template::with_meta((self.compose)(dialect), wanted);
            let answer =
                self.ask(transport, Method::PUT, Body::Json(Bytes::from(template.to_string()))).await?;
            match answer.status {
                200..=299 => return Ok(()),
                // The whole body: what is unknown may be named in a cause only.
                400 if dialect.learn(&String::from_utf8_lossy(&answer.body)) => {}
                _ => return Err(self.refusal(&answer)),
            }
        }
    }

    async fn ask<T: Transport>(
        &self,
        transport: &T,
        method: Method,
        body: Body,
    ) -> Result<Answer, SetupError> {
        let path = format!("/{}/{}", self.kind, percent_encoded(&self.name));
        let answer = transport.send(Request { method, path, body }).await;
        answer.map_err(|failure| match failure {
            Failure::Credentials(words) => SetupError::Credentials { name: self.name.clone(), words },
            failure => self.trouble(failure.to_string()),
        })
    }

    fn refusal(&self, answer: &Answer) -> SetupError {
        let name = self.name.clone();
        let words = answer::parse_error(&answer.body, answer.status)
            .map_or_else(|| format!("status {}", answer.status), |reason| reason.line());
        match answer.status {
            401 => SetupError::Credentials { name, words },
            403 => SetupError::Denied { name, words },
            408 | 429 | 500..=599 => SetupError::Trouble { name, words },
            _ => SetupError::Refused { name, words },
        }
    }

    fn trouble(&self, words: String) -> SetupError {
        SetupError::Trouble { name: self.name.clone(), words }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;

    /// A cluster that keeps templates, rewrites them a little, and does not know everything.
    #[derive(Default)]
    struct Cluster {
        templates: Mutex<BTreeMap<String, Value>>,
        unknown: Vec<&'static str>,
        denied: bool,
        puts: Mutex<usize>,
    }

    impl Transport for Cluster {
        async fn send(&self, request: Request) -> Result<Answer, Failure> {
            if self.denied {
                let body = r#"{"error":{"type":"security_exception","reason":"this action is granted by [manage_index_templates]"}}"#;
                return Ok(Answer::new(403, body));
            }
            let (_, kind, name) = {
                let mut parts = request.path.splitn(3, '/');
                (
                    parts.next(),
                    parts.next().unwrap().trim_start_matches('_').to_owned(),
                    parts.next().unwrap(),
                )
            };
            let mut templates = self.templates.lock().unwrap();
            let Body::Json(body) = &request.body else {
                return Ok(templates.get(name).map_or_else(
                    || Answer::new(404, "{}"),
                    |there| {
                        let mut there = there.clone();
                        if kind == "index_template" {
                            there["data_stream"] = json!({ "hidden": false });
                        }
                        Answer::new(
                            200,
                            json!({ format!("{kind}s"): [{ "name": name, (kind): there }] }).to_string(),
                        )
                    },
                ));
            };
            *self.puts.lock().unwrap() += 1;
            let text = String::from_utf8_lossy(body).into_owned();
            if let Some(word) = self.unknown.iter().find(|word| text.contains(*word)) {
                let body = json!({ "error": { "type": "x", "reason": "bad", "caused_by": { "reason": format!("unknown [{word}]") } } });
                return Ok(Answer::new(400, body.to_string()));
            }
            templates.insert(name.to_owned(), serde_json::from_str(&text).unwrap());
            Ok(Answer::new(200, "{}"))
        }
    }

    async fn ensured(cluster: &Cluster) -> Vec<Done> {
        let streams = ["logs-a-default".to_owned(), "logs-b-default".to_owned()];
        let done = ensure(cluster, &streams, Some("30d")).await.unwrap();
        done.into_iter().map(|(_, done)| done).collect()
    }

    #[tokio::test]
    async fn made_once_and_then_left_alone() {
        let unknown = vec!["match_only_text", "ignore_dynamic_beyond_limit", "lifecycle"];
        let cluster = Cluster { unknown, ..Cluster::default() };
        assert_eq!(ensured(&cluster).await, [Done::Made; 3]);
        let puts = *cluster.puts.lock().unwrap();
        assert_eq!(puts, 3 + 3, "one refusal for each unknown thing");
        assert_eq!(ensured(&cluster).await, [Done::Unchanged; 3]);
        assert_eq!(*cluster.puts.lock().unwrap(), puts);
        let templates = cluster.templates.lock().unwrap();
        assert_eq!(templates["skidder-logs-a-default"]["index_patterns"], json!(["logs-a-default"]));
        let mappings = &templates["skidder-logs"]["template"]["mappings"];
        assert_eq!(mappings["properties"]["message"]["type"], "text");
    }

    #[tokio::test]
    async fn a_persons_change_is_kept() {
        let cluster = Cluster::default();
        ensured(&cluster).await;
        cluster.templates.lock().unwrap().get_mut("skidder-logs").unwrap()["template"]["settings"] =
            json!({});
        assert_eq!(ensured(&cluster).await, [Done::Kept, Done::Unchanged, Done::Unchanged]);
        assert_eq!(cluster.templates.lock().unwrap()["skidder-logs"]["template"]["settings"], json!({}));
    }

    #[tokio::test]
    async fn without_the_privilege_it_says_which() {
        let cluster = Cluster { denied: true, ..Cluster::default() };
        let error = ensure(&cluster, &[], None).await.unwrap_err();
        assert!(matches!(error, SetupError::Denied { .. }));
        assert!(error.to_string().contains("manage_index_templates"), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_that_nothing_helps_ends() {
        let cluster = Cluster { unknown: vec!["date_nanos"], ..Cluster::default() };
        assert!(matches!(ensure(&cluster, &[], None).await, Err(SetupError::Refused { .. })));
    }
}
