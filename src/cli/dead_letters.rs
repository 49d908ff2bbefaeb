//! `skidder dead-letters`: what Elasticsearch refused for good: shown, sent again, removed.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::args::DeadLettersAction;
use super::pretty::{bytes, counted};
use super::{DeadLettersArgs, Failure, runtime};
use crate::config::{Config, Env, Output};
use crate::observe::{Metrics, log};
use crate::pipeline::settings;
use crate::ship::elasticsearch::{
    Client, DeadLetter, Replayed, Settings, StateHandle, Store, identify, replay,
};

/// How much of a reason or a message is shown, in characters.
const SHOWN: usize = 200;

/// Does with the dead letters what the arguments say.
pub fn execute(args: &DeadLettersArgs, env: &Env<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    match &args.action {
        DeadLettersAction::List(which) => list(&Config::load(which.config.as_deref(), env)?.data_dir, out),
        DeadLettersAction::Replay(which) => send_again(&Config::load(which.config.as_deref(), env)?, out),
        DeadLettersAction::Purge(which) => purge(&Config::load(which.config.as_deref(), env)?.data_dir, out),
    }
}

/// The store, for what adds nothing to it.
fn store(data_dir: &Path) -> Store {
    Store::new(data_dir, 0)
}

fn list(data_dir: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let (mut count, mut shown) = (0_usize, Ok(()));
    let spoilt = store(data_dir).read(|letter| {
        count += 1;
        if shown.is_ok() {
            shown = show(&letter, out);
        }
    });
    let spoilt = spoilt.map_err(|error| Failure::Failed(error.to_string()))?;
    shown?;
    match count {
        0 => writeln!(out, "no dead letters")?,
        _ => writeln!(
            out,
            "\n{}, whole in {}",
            counted(count as u64, "dead letter"),
            data_dir.join("dead-letters").display()
        )?,
    }
    if spoilt > 0 {
        let lines = counted(spoilt as u64, "line");
        writeln!(out, "left out: {lines} of it that a crash cut or somebody changed")?;
    }
    Ok(out.flush()?)
}

fn show(letter: &DeadLetter, out: &mut dyn Write) -> io::Result<()> {
    let text = letter.document.get();
    // What was refused may be anything.
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let message = document["message"].as_str().or_else(|| document["log"].as_str());
    writeln!(out, "{}  {}  {}", letter.time, letter.target, whose(&document))?;
    writeln!(out, "  {} {}: {}", letter.status, letter.kind, fit(&letter.reason))?;
    writeln!(out, "  {}", fit(message.unwrap_or(text)))
}

/// `namespace/pod/container` of a document in either schema; a dash where it names none.
fn whose(document: &Value) -> String {
    let kubernetes = &document["kubernetes"];
    let parts = [
        [&kubernetes["namespace"], &kubernetes["namespace_name"]],
        [&kubernetes["pod"]["name"], &kubernetes["pod_name"]],
        [&kubernetes["container"]["name"], &kubernetes["container_name"]],
    ];
    let parts: Vec<_> =
        parts.iter().filter_map(|names| names.iter().find_map(|name| name.as_str())).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join("/") }
}

/// One line of a text, at most [`SHOWN`] characters.
fn fit(text: &str) -> String {
    let line: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() { line + "…" } else { line }
}

fn send_again(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let Output::Elasticsearch(output) = &config.output else {
        let what = "dead letters are sent again to Elasticsearch, and the output is standard output";
        return Err(Failure::Wrong(what.into()));
    };
    let settings = Settings { setup_jitter: Duration::ZERO, ..settings::elasticsearch(config, output) };
    // A cluster that goes away meanwhile is waited for, and that is said there.
    log::start("warn", log::Format::Text).map_err(|error| Failure::Wrong(error.to_string()))?;
    let replayed = runtime()?.block_on(replayed(settings))?;
    told(replayed, out)
}

async fn replayed(settings: Settings) -> Result<Replayed, Failure> {
    let state = StateHandle::default();
    let client = Client::new(&settings, state.clone()).map_err(|error| Failure::Wrong(error.to_string()))?;
    // A person would rather hear at once that nobody is there.
    identify(&client).await.map_err(|error| Failure::Failed(error.to_string()))?;
    let replayed = replay(settings, Arc::new(Metrics::default()), state).await;
    replayed.map_err(|error| Failure::Failed(error.to_string()))
}

fn told(replayed: Replayed, out: &mut dyn Write) -> Result<(), Failure> {
    let Replayed { shipped, duplicates, refused, dropped, spoilt } = replayed;
    if replayed == Replayed::default() {
        writeln!(out, "no dead letters")?;
        return Ok(out.flush()?);
    }
    writeln!(
        out,
        "{} sent again",
        counted((shipped + duplicates + refused + dropped) as u64, "dead letter")
    )?;
    for (count, what) in [
        (shipped, "stored now"),
        (duplicates, "stored before"),
        (refused, "refused again, and kept"),
        (dropped, "refused again, and dropped as the folder is full"),
        (spoilt, "unreadable, and removed"),
    ] {
        if count > 0 {
            writeln!(out, "{count:>7}  {what}")?;
        }
    }
    out.flush()?;
    match refused + dropped {
        0 => Ok(()),
        again => Err(Failure::Failed(format!(
            "{} refused again; `skidder dead-letters list` says why",
            if again == 1 { "one was".to_owned() } else { format!("{again} were") }
        ))),
    }
}

fn purge(data_dir: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    match store(data_dir).purge().map_err(|error| Failure::Failed(error.to_string()))? {
        0 => writeln!(out, "no dead letters")?,
        removed => writeln!(out, "{} of dead letters removed", bytes(removed))?,
    }
    Ok(out.flush()?)
}
