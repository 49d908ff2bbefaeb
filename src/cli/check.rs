//! `skidder check`: is a configuration valid, and what will be used?
//!
//! Without `--online` nothing is reached for but the configuration's own files. What it prints is a configuration
//! again: a summary as comments, every key, and what was found online as comments.

use std::io::{self, Write};

use serde::Serialize;

use super::online::{self, Finding};
use super::screen::Screen;
use super::{CheckArgs, Failure, rights, runtime};
use crate::config::{
    Auth, Config, ConfigError, Destination, Elasticsearch, Env, FileBlock, Format, KubeletUrl, Languages,
    Output, SecretSource, StartAt, Switch, units::show_size,
};

/// Checks the configuration that the arguments name.
pub fn execute(args: &CheckArgs, env: &Env<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let file = Config::file(args.config.as_deref(), env).display().to_string();
    let checked = Config::load(args.config.as_deref(), env);
    let findings = match &checked {
        Ok(config) if args.online => {
            rights::claim();
            Some(runtime()?.block_on(online::look(config)))
        }
        _ => None,
    };
    let printed = if args.json {
        print_json(&file, &checked, findings.as_deref(), out)
    } else {
        print(&file, &checked, findings.as_deref(), out)
    };
    // What is wrong with the configuration comes before what is wrong with the pipe.
    checked?;
    printed?;
    match findings.iter().flatten().filter(|finding| finding.is_failed()).count() {
        0 => Ok(()),
        1 => Err(Failure::Failed("one thing failed; what to do stands beside it".to_owned())),
        many => Err(Failure::Failed(format!("{many} things failed; what to do stands beside each"))),
    }
}

fn print(
    file: &str,
    checked: &Result<Config, ConfigError>,
    findings: Option<&[Finding]>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Ok(config) = checked else { return Ok(()) };
    writeln!(out, "# {file} is valid; configuration {}", config.hash())?;
    for line in summary(config) {
        writeln!(out, "# {line}")?;
    }
    write!(out, "{}", config.to_yaml())?;
    if let Some(findings) = findings {
        writeln!(out)?;
        online::print(findings, Screen::stdout(), out)?;
    }
    out.flush()
}

fn print_json(
    file: &str,
    checked: &Result<Config, ConfigError>,
    online: Option<&[Finding]>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let report = match checked {
        Ok(config) => Report::Valid { valid: true, file, hash: config.hash(), config, online },
        Err(ConfigError { file, line, key, message }) => {
            Report::Wrong { valid: false, file, line: *line, key, message }
        }
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)?;
    out.flush()
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(untagged)]
enum Report<'a> {
    Valid {
        valid: bool,
        file: &'a str,
        hash: String,
        config: &'a Config,
        #[serde(skip_serializing_if = "Option::is_none")]
        online: Option<&'a [Finding]>,
    },
    Wrong {
        valid: bool,
        file: &'a str,
        line: Option<usize>,
        key: &'a str,
        message: &'a str,
    },
}

/// A line for each thing that a reader of a configuration asks first.
fn summary(config: &Config) -> Vec<String> {
    let mut lines: Vec<_> = config.files.iter().map(files).collect();
    lines.push(join(config));
    lines.push(kubernetes(config));
    lines.push(match &config.output {
        Output::Elasticsearch(output) => elasticsearch(output),
        Output::Stdout(output) => {
            let format = serde_json::to_value(output.format).unwrap_or_default();
            format!("ships to standard output as {}", format.as_str().unwrap_or_default())
        }
    });
    let memory = show_size(config.max_buffered_bytes);
    lines.push(format!("keeps its state in {}, holds at most {memory}", config.data_dir.display()));
    lines.push(format!("answers at http://{}", config.http.listen.0));
    lines
}

fn files(block: &FileBlock) -> String {
    let list = |globs: &[_]| globs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut line = format!("reads {}", list(&block.include));
    if !block.exclude.is_empty() {
        line += &format!(" but not {}", list(&block.exclude));
    }
    line += match block.format {
        Format::Auto => "",
        Format::Cri => " as CRI",
        Format::Docker => " as Docker's json-file",
        Format::Plain => " as plain lines",
    };
    line += match block.start_at {
        StartAt::Beginning => " from the beginning",
        StartAt::End => " from the end",
    };
    line
}

fn join(config: &Config) -> String {
    let languages = match &config.multiline.languages {
        Languages::All => "the traces of all languages".into(),
        Languages::None => "no language's traces".into(),
        Languages::Only(_) => format!("the traces of {}", config.multiline.languages.names().join(", ")),
    };
    let names: Vec<_> = config.multiline.patterns.iter().map(|pattern| pattern.name.as_str()).collect();
    if names.is_empty() {
        return format!("joins {languages}");
    }
    format!("joins {languages}, after the patterns {}", names.join(", "))
}

fn kubernetes(config: &Config) -> String {
    let kubelet = &config.kubernetes.kubelet;
    let node = format!("names the node {}", config.node_name);
    match (&kubelet.url, config.kubernetes.enabled) {
        (_, Switch::Off) => format!("{node} and no pods"),
        (Some(KubeletUrl::Http(url)), _) if kubelet.enabled => {
            format!("{node}, asks the kubelet at {url} about pods")
        }
        (Some(KubeletUrl::File(path)), _) if kubelet.enabled => {
            format!("{node}, looks up pods in {}", path.display())
        }
        _ => format!("{node}, knows of pods what the files' paths say"),
    }
}

fn elasticsearch(output: &Elasticsearch) -> String {
    let urls: Vec<_> = output.urls.iter().map(ToString::to_string).collect();
    let to = match &output.destination {
        Destination::DataStream { name, .. } => {
            format!("data stream logs-{}-{}", name.dataset, name.namespace)
        }
        Destination::Index(index) => format!("index {index}"),
    };
    let place = |source: &SecretSource| match source {
        SecretSource::Here(_) => "in the configuration".into(),
        SecretSource::File(path) => format!("in {}", path.display()),
    };
    let auth = match &output.auth {
        Auth::None => "without credentials".into(),
        Auth::ApiKey(key) => format!("with the API key {}", place(key)),
        Auth::Basic { username, password } => format!("as {username} with the password {}", place(password)),
    };
    format!("ships to {}, {to}, {auth}", urls.join(", "))
}
