//! Elasticsearch: is it reached, who are we to it, what may we do there?

use std::time::Duration;

use super::Finding;
use crate::config::{Config, Destination, Elasticsearch, IndexPart};
use crate::pipeline::settings;
use crate::ship::elasticsearch::{
    Client, ProbeError, Settings, StateHandle, clock, identify, missing_privileges, shown, template_is_there,
    transport::Failure,
};

const PART: &str = "elasticsearch";

/// Who checks waits no longer for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A clock that is off by more makes documents hard to find by time.
const SKEW: Duration = Duration::from_secs(30);

/// Asks each node who it is, and the first that answers for the rest.
pub(super) async fn elasticsearch(config: &Config, output: &Elasticsearch, findings: &mut Vec<Finding>) {
    let settings = settings::elasticsearch(config, output);
    let mut reached = None;
    for url in &settings.urls {
        let single =
            Settings { urls: vec![url.clone()], timeout: settings.timeout.min(PATIENCE), ..settings.clone() };
        let client = match Client::new(&single, StateHandle::default()) {
            Ok(client) => client,
            Err(error) => {
                return findings.push(Finding::failed(PART, error, "mend output.elasticsearch.tls"));
            }
        };
        match identify(&client).await {
            Ok(cluster) => {
                findings.push(Finding::ok(PART, format!("{}: {cluster}", shown(url))));
                reached = reached.or(Some(client));
            }
            Err(error) => findings.push(refusal(&shown(url), &error)),
        }
    }
    let Some(client) = reached else { return };
    let names = names(config, output);
    findings.push(privileges(&client, &names, output).await);
    if matches!(output.destination, Destination::DataStream { .. }) {
        for stream in &names {
            findings.push(template(&client, stream, output.setup).await);
        }
    }
    findings.extend(skew(&client).await);
}

/// Data streams, or a pattern of indices with `*` for what is not known before an event.
fn names(config: &Config, output: &Elasticsearch) -> Vec<String> {
    match &output.destination {
        Destination::DataStream { .. } => settings::targets(config).streams(),
        Destination::Index(pattern) => {
            let part = |part: &IndexPart| match part {
                IndexPart::Time(format) if !format.contains('%') => format.to_lowercase(),
                IndexPart::Time(format) => format.split('%').next().unwrap_or_default().to_lowercase() + "*",
                IndexPart::Namespace | IndexPart::Label(_) => "*".to_owned(),
            };
            vec![pattern.parts().iter().map(part).collect()]
        }
    }
}

fn refusal(url: &str, error: &ProbeError) -> Finding {
    let remedy = match error {
        ProbeError::Denied(_) => {
            "give a key or a password of this cluster that is not expired (output.elasticsearch.api_key_file, or \
             username with password_file)"
        }
        ProbeError::Unreachable(Failure::Credentials(_)) => "make that file readable for this user",
        ProbeError::Unreachable(Failure::Connect(words)) if words.contains("certificate") => {
            "name the authority that signed the server's certificate in output.elasticsearch.tls.ca_file, and the server \
             in urls as its certificate does"
        }
        ProbeError::Unreachable(_) => {
            "look at output.elasticsearch.urls, at the name's resolution, and at firewalls and network policies on the way"
        }
        ProbeError::Other(_) => "look at the cluster, or at the gateway before it",
    };
    let error = error.to_string();
    let message = if error.contains(url) { error } else { format!("{url}: {error}") };
    Finding::failed(PART, message, remedy)
}

async fn privileges(client: &Client, names: &[String], output: &Elasticsearch) -> Finding {
    let is_stream = matches!(output.destination, Destination::DataStream { .. });
    let all = names.join(", ");
    match missing_privileges(client, names, output.setup && is_stream).await {
        Ok(None) => Finding::ok(PART, format!("privileges on {all} cannot be asked here")),
        Ok(Some(missing)) if missing.is_empty() => Finding::ok(PART, format!("may write to {all}")),
        Ok(Some(missing)) => {
            let remedy = "add them to the role of the API key or user; without manage_index_templates, run `skidder setup` \
                          as somebody who has it and set output.elasticsearch.setup to false";
            Finding::failed(PART, format!("missing: {}", missing.join(", ")), remedy)
        }
        Err(error) => refusal("privileges", &error),
    }
}

async fn template(client: &Client, stream: &str, setup: bool) -> Finding {
    match template_is_there(client, stream).await {
        Ok(Some(true)) => Finding::ok(PART, format!("the template of {stream} is there")),
        Ok(Some(false)) if setup => {
            Finding::ok(PART, format!("the template of {stream} is not there yet; the agent installs it"))
        }
        Ok(Some(false)) => Finding::failed(
            PART,
            format!("the template of {stream} is not there, and setup is off"),
            "run `skidder setup`, or set output.elasticsearch.setup to true",
        ),
        Ok(None) => Finding::ok(PART, format!("whether the template of {stream} is there may not be asked")),
        Err(error) => refusal("templates", &error),
    }
}

/// Nothing where the cluster does not tell: its time needs the privilege `monitor`.
async fn skew(client: &Client) -> Option<Finding> {
    let skew = clock(client).await?;
    let (seconds, late) = (skew.unsigned_abs(), if skew > 0 { "behind" } else { "ahead of" });
    if seconds > SKEW.as_secs() {
        let message = format!("this node's clock is {seconds} s {late} the cluster's");
        return Some(Finding::failed(PART, message, "synchronise the clocks (chrony, systemd-timesyncd)"));
    }
    Some(Finding::ok(PART, "the clocks agree"))
}
