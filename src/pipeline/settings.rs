//! From what a user wrote to what each room needs: the only place where an option changes its name.

use std::collections::BTreeSet;

use super::reader::Block;
use super::targets::Targets;
use crate::batch;
use crate::config::{self, Config};
use crate::decode;
use crate::discover::{Globs, PathGlob, Scanner};
use crate::enrich::{Allowed, DocumentSettings, JsonMode, KubeletSettings, OwnPod, Schema, document};
use crate::event::PodMeta;
use crate::join;
use crate::ship::elasticsearch;
use crate::tail::StartAt;

/// How much longer than a message its raw line may be: the runtime's time, stream and tags.
const LINE_OVERHEAD: usize = 1024;

/// What can still be wrong with a configuration that was checked: where two libraries disagree on a syntax.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SettingsError {
    key: &'static str,
    message: String,
}

fn wrong(key: &'static str) -> impl Fn(String) -> SettingsError {
    move |message| SettingsError { key, message }
}

/// Which files are read.
///
/// # Errors
/// When a glob is none.
pub fn scanner(config: &Config) -> Result<Scanner, SettingsError> {
    let globs = |globs: &[config::PathGlob]| {
        let glob = |glob: &config::PathGlob| PathGlob::new(glob.as_str());
        globs.iter().map(glob).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
    };
    let block = |block: &config::FileBlock| {
        Ok(Globs {
            include: globs(&block.include).map_err(wrong("files.include"))?,
            exclude: globs(&block.exclude).map_err(wrong("files.exclude"))?,
        })
    };
    let blocks = config.files.iter().map(block).collect::<Result<_, _>>()?;
    Ok(Scanner::new(blocks, config.kubernetes.enabled != config::Switch::Off))
}

/// How the files of each block are read.
///
/// # Errors
/// When a time's pattern is none.
pub fn blocks(config: &Config) -> Result<Vec<Block>, SettingsError> {
    let block = |block: &config::FileBlock| {
        let pattern = Some(&block.time).filter(|time| !time.is_empty());
        let time = pattern.map(|time| decode::TimePattern::new(time.as_str())).transpose();
        Ok(Block {
            decode: decode::Settings {
                format: format(block.format),
                time: time.map_err(|error| wrong("files.time")(error.to_string()))?,
            },
            start_at: match block.start_at {
                config::StartAt::Beginning => StartAt::Beginning,
                config::StartAt::End => StartAt::End,
            },
            max_line_bytes: saturated(block.max_line_bytes) + LINE_OVERHEAD,
        })
    };
    config.files.iter().map(block).collect()
}

/// How lines are decoded.
pub fn format(format: config::Format) -> decode::FormatChoice {
    match format {
        config::Format::Auto => decode::FormatChoice::Auto,
        config::Format::Cri => decode::FormatChoice::Cri,
        config::Format::Docker => decode::FormatChoice::Docker,
        config::Format::Plain => decode::FormatChoice::Plain,
    }
}

/// Which lines are one event.
pub fn join(multiline: &config::Multiline, max_line_bytes: u64) -> join::Settings {
    join::Settings {
        languages: languages(&multiline.languages),
        patterns: multiline.patterns.iter().map(pattern).collect(),
        timeout: multiline.timeout,
        max_lines: multiline.max_lines.get() as usize,
        max_bytes: saturated(multiline.max_bytes),
        max_line_bytes: saturated(max_line_bytes),
    }
}

/// The longest line of any block.
pub fn max_line_bytes(config: &Config) -> u64 {
    config.files.iter().map(|block| block.max_line_bytes).max().unwrap_or(1 << 20)
}

/// The languages whose traces are joined.
pub fn languages(languages: &config::Languages) -> Vec<join::Language> {
    match languages {
        config::Languages::All => join::Language::ALL.to_vec(),
        config::Languages::None => Vec::new(),
        config::Languages::Only(some) => {
            some.iter().filter_map(|language| language.name().parse().ok()).collect()
        }
    }
}

fn pattern(pattern: &config::PatternRule) -> join::Pattern {
    let text = |pattern: &config::Pattern| Some(pattern.as_str().to_owned());
    let (start, continuation) = match &pattern.rule {
        config::Rule::Dated => (None, None),
        config::Rule::Start(start) => (text(start), None),
        config::Rule::Continue(go_on) => (None, text(go_on)),
        config::Rule::StartContinue(start, go_on) => (text(start), text(go_on)),
    };
    let glob = |glob: &Option<config::Glob>| glob.as_ref().map(|glob| glob.as_str().to_owned());
    let selector = &pattern.selector;
    let labels = selector.labels.iter().map(|(name, glob)| (name.clone(), glob.as_str().to_owned()));
    join::Pattern {
        name: if pattern.rule == config::Rule::Dated {
            join::Pattern::DATED.to_owned()
        } else {
            pattern.name.clone()
        },
        matches: join::Match {
            namespace: glob(&selector.namespace),
            pod: glob(&selector.pod),
            container: glob(&selector.container),
            labels: labels.collect(),
        },
        start,
        continuation,
    }
}

/// What pods may set.
pub fn annotations(config: &Config) -> Allowed {
    match &config.kubernetes.pod_annotations {
        config::PodAnnotations::All => Allowed::All,
        config::PodAnnotations::None => Allowed::None,
        config::PodAnnotations::Only(some) => {
            Allowed::Only(some.iter().map(|annotation| annotation.name().to_owned()).collect::<BTreeSet<_>>())
        }
    }
}

/// The output whose documents are made. Standard output shows those of another.
fn documents_of(config: &Config) -> &config::Elasticsearch {
    match &config.output {
        config::Output::Elasticsearch(elasticsearch) => elasticsearch,
        config::Output::Stdout(stdout) => &stdout.shown,
    }
}

/// How documents look, in the order of the file blocks.
///
/// # Errors
/// When a glob is none.
pub fn documents(config: &Config) -> Result<Vec<DocumentSettings>, SettingsError> {
    let names = |globs: &[config::Glob]| {
        let texts: Vec<&str> = globs.iter().map(|glob| glob.as_str()).collect();
        document::globs(&texts).map_err(|error| error.to_string())
    };
    let labels = names(&config.kubernetes.labels).map_err(wrong("kubernetes.labels"))?;
    let annotations = names(&config.kubernetes.annotations).map_err(wrong("kubernetes.annotations"))?;
    let schema = match documents_of(config).schema {
        config::Schema::Ecs => Schema::Ecs,
        config::Schema::Fluentd => Schema::Fluentd,
    };
    let json = match config.events.json {
        config::Json::Nested => JsonMode::Nested,
        config::Json::Merge => JsonMode::Merge,
        config::Json::Off => JsonMode::Off,
    };
    let of_block = |block: &config::FileBlock| {
        let mut add_fields = config.events.add_fields.clone();
        add_fields.extend(block.add_fields.clone());
        DocumentSettings {
            schema,
            json,
            labels: labels.clone(),
            annotations: annotations.clone(),
            dedot: config.kubernetes.dedot,
            add_fields,
            node_name: config.node_name.clone(),
        }
    };
    Ok(config.files.iter().map(of_block).collect())
}

/// Where documents go.
pub fn targets(config: &Config) -> Targets {
    let dataset = |block: &config::FileBlock| block.dataset.as_ref().map(|name| name.as_str().to_owned());
    let datasets = config.files.iter().map(dataset).collect();
    let config::Elasticsearch { destination, pipeline, .. } = documents_of(config);
    Targets::new(destination.clone(), pipeline.clone(), datasets)
}

/// When batches are sealed.
pub fn batches(config: &Config) -> batch::Settings {
    let (batch, layout) = match &config.output {
        config::Output::Elasticsearch(elasticsearch) => {
            (elasticsearch.batch.clone(), batch::Layout::Bulk { document_ids: elasticsearch.document_ids })
        }
        config::Output::Stdout(stdout) => {
            let layout = match stdout.format {
                config::StdoutFormat::Bulk => batch::Layout::Bulk { document_ids: stdout.shown.document_ids },
                config::StdoutFormat::Json | config::StdoutFormat::Pretty | config::StdoutFormat::Raw => {
                    batch::Layout::Lines
                }
            };
            (config::Batch::default(), layout)
        }
    };
    // A thousand agents that start together send their first batches apart.
    let first_wait = batch.max_wait.mul_f64(fastrand::f64());
    let share = saturated(config.max_buffered_bytes) / 4;
    let max_bytes = saturated(batch.max_bytes).min(share.max(64 * 1024));
    batch::Settings { max_bytes, max_wait: batch.max_wait, first_wait, layout }
}

/// The kubelet that is asked; `None` when none is, or none is known.
pub fn kubelet(config: &Config) -> Option<KubeletSettings> {
    let kubelet = &config.kubernetes.kubelet;
    let Some(config::KubeletUrl::Http(url)) = &kubelet.url else { return None };
    kubelet.enabled.then(|| KubeletSettings {
        url: url.as_str().to_owned(),
        token_file: kubelet.token_file.clone(),
        ca_file: kubelet.ca_file.clone(),
        server_name: kubelet.server_name.clone().unwrap_or_default(),
        insecure_skip_verify: kubelet.insecure_skip_verify,
        refresh: kubelet.refresh,
        wait: config.kubernetes.wait,
        timeout: std::time::Duration::from_secs(10),
        memory: Some(config.data_dir.join("pods.json")),
    })
}

/// The pod that a sidecar is of; `None` for an agent of a node.
pub fn own_pod(config: &Config) -> Option<OwnPod> {
    let pod = config.kubernetes.pod.clone();
    let names = PodMeta {
        name: pod.name?,
        namespace: pod.namespace.unwrap_or_default(),
        uid: pod.uid.unwrap_or_default(),
        ip: pod.ip.unwrap_or_default(),
        node: config.node_name.clone(),
        ..PodMeta::default()
    };
    Some(OwnPod { names, podinfo: pod.podinfo })
}

/// The output to Elasticsearch.
pub fn elasticsearch(config: &Config, output: &config::Elasticsearch) -> elasticsearch::Settings {
    let urls = output.urls.iter().map(|url| url.url().clone()).collect();
    let (cert_file, key_file) =
        output.tls.client.clone().map(|client| (client.cert_file, client.key_file)).unzip();
    elasticsearch::Settings {
        access: match &output.auth {
            config::Auth::None => elasticsearch::Access::None,
            config::Auth::ApiKey(key) => elasticsearch::Access::ApiKey(secret(key)),
            config::Auth::Basic { username, password } => {
                elasticsearch::Access::Basic { user: username.clone(), password: secret(password) }
            }
        },
        tls: elasticsearch::Tls {
            ca_file: output.tls.ca_file.clone(),
            cert_file,
            key_file,
            insecure_skip_verify: output.tls.insecure_skip_verify,
        },
        compression: match output.compression {
            config::Compression::Gzip => elasticsearch::Compression::Gzip,
            config::Compression::None => elasticsearch::Compression::None,
        },
        in_flight: output.in_flight.get() as usize,
        timeout: output.timeout,
        setup: output.setup,
        setup_jitter: output.batch.max_wait,
        document_ids: output.document_ids,
        retention: match &output.destination {
            config::Destination::DataStream { retention, .. } => {
                retention.map(|retention| format!("{}s", retention.as_secs()))
            }
            config::Destination::Index(_) => None,
        },
        data_dir: Some(config.data_dir.clone()),
        // One misrouted target may hold a quarter of the memory, and the others go on.
        held_bytes: saturated(config.max_buffered_bytes) / 4,
        agent: config.node_name.clone(),
        ..elasticsearch::Settings::new(urls)
    }
}

fn secret(source: &config::SecretSource) -> elasticsearch::SecretSource {
    match source {
        config::SecretSource::Here(secret) => {
            elasticsearch::SecretSource::Value(elasticsearch::Secret::new(secret.reveal()))
        }
        config::SecretSource::File(path) => elasticsearch::SecretSource::File(path.clone()),
    }
}

fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::PodSettings;

    /// The names that may be allowed are written in two rooms.
    #[test]
    fn what_pods_may_be_allowed_means_something() {
        for (_, name) in config::PodAnnotation::ALL {
            let pod =
                PodMeta { annotations: [(name.to_owned(), "?".to_owned())].into(), ..PodMeta::default() };
            let only = Allowed::Only([name.to_owned()].into());
            let (settings, wrong) = PodSettings::from(&pod, "web", &only);
            let taken = settings != PodSettings::default() || !wrong.is_empty();
            assert!(taken || name == "skidder.io/exclude-containers", "{name}");
            assert_eq!(PodSettings::from(&pod, "web", &Allowed::None).0, PodSettings::default());
        }
    }
}
