//! `skidder run`: the agent.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::pretty::Pretty;
use super::printer::Raw;
use super::{Color, Failure, RunArgs, RunOutput, environment};
use crate::config::{Config, LogFormat, Output, StdoutFormat};
use crate::observe::log;
use crate::pipeline::reader::Course;
use crate::pipeline::shipping::Printer;
use crate::pipeline::{self, Options, RunError};

/// Runs until a signal ends it.
///
/// # Errors
/// What the configuration, the `data_dir`, the address to listen on or standard output refuse.
pub fn execute(args: &RunArgs) -> Result<(), Failure> {
    let config = match args.output {
        Some(RunOutput::Stdout) => Config::load_for_stdout(args.config.as_deref(), &environment)?,
        None => Config::load(args.config.as_deref(), &environment)?,
    };
    let format = match config.log.format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    log::start(config.log.level.name(), format).map_err(|error| Failure::Wrong(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("starting the runtime: {error}")))?;
    let printer = printer(&config);
    let options = Options { printer, course: if args.once { Course::ToEnd } else { Course::Follow } };
    runtime.block_on(async {
        let stopped =
            stop_signals().map_err(|error| Failure::Failed(format!("waiting for signals: {error}")))?;
        pipeline::run(config, options, stopped).await.map_err(failure)
    })
}

fn failure(error: RunError) -> Failure {
    match error {
        error if error.is_pipe_closed() => Failure::PipeClosed,
        error if error.is_configuration() => Failure::Wrong(error.to_string()),
        error => Failure::Failed(error.to_string()),
    }
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!("ending after {name}; a second signal ends at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Nothing is lost: what was not acknowledged is sent again, under the ids that it had.
            #[expect(clippy::disallowed_methods, clippy::exit, reason = "a second signal means at once")]
            std::process::exit(0);
        });
    })
}

/// How standard output shows events, where they are for reading.
fn printer(config: &Config) -> Option<Box<dyn Printer>> {
    let Output::Stdout(stdout) = &config.output else { return None };
    match stdout.format {
        StdoutFormat::Pretty => Some(Box::new(Pretty::new(Color::Auto.is_on()))),
        StdoutFormat::Raw => Some(Box::new(Raw)),
        StdoutFormat::Json | StdoutFormat::Bulk => None,
    }
}
