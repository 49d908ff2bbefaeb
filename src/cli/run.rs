//! `skidder run`: the agent.

use std::future::Future;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::pretty::{Pretty, Totals};
use super::printer::{Raw, subject};
use super::reload::Watched;
use super::{Color, Failure, RunArgs, RunOutput, environment, rights};
use crate::allocator;
use crate::config::{Config, LogFormat, Output, StdoutFormat};
use crate::discover::Found;
use crate::event::{Event, PodMeta};
use crate::observe::log;
use crate::pipeline::reader::Course;
use crate::pipeline::shipping::Printer;
use crate::pipeline::{self, Options, Reloads, RunError};

/// How wide the line of totals may be: a terminal of today.
const TOTALS_WIDTH: usize = 100;

/// Runs until a signal ends it, or to the end of what is there.
///
/// # Errors
/// What the configuration, the `data_dir`, the address to listen on or standard output refuse.
pub fn execute(args: &RunArgs) -> Result<(), Failure> {
    allocator::give_back_what_is_large();
    let watched = Watched::new(Config::file(args.config.as_deref(), &environment));
    let (path, output) = (args.config.clone(), args.output);
    let load = move || match output {
        Some(RunOutput::Stdout) => Config::load_for_stdout(path.as_deref(), &environment),
        None => Config::load(path.as_deref(), &environment),
    };
    let config = load()?;
    let format = match config.log.format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    let log =
        log::start(config.log.level.name(), format).map_err(|error| Failure::Wrong(error.to_string()))?;
    rights::claim();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("starting the runtime: {error}")))?;
    let (begun, totals) = (Instant::now(), Arc::default());
    let shown = Arc::clone(&totals);
    let printer = Box::new(move |config: &Config| printer(config, &shown));
    runtime.block_on(async {
        let unheard = |error| Failure::Failed(format!("waiting for signals: {error}"));
        let stopped = stop_signals().map_err(unheard)?;
        let (course, reloads) = if args.once {
            (Course::ToEnd, Reloads::none())
        } else {
            (Course::Follow, Reloads::new(watched.start(load).map_err(unheard)?, log))
        };
        pipeline::run(config, Options { printer, course, reloads }, stopped).await.map_err(failure)
    })?;
    conclude(&totals, begun)
}

/// The line of totals below what was shown for reading; none where nothing was.
fn conclude(totals: &Mutex<Totals>, begun: Instant) -> Result<(), Failure> {
    let totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
    if totals.is_empty() {
        return Ok(());
    }
    let mut out = vec![b'\n'];
    totals.render(begun.elapsed(), TOTALS_WIDTH, Color::Auto.is_on(), &mut out);
    Ok(std::io::stdout().write_all(&out)?)
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

/// How standard output shows events, where they are for reading; `totals` counts it.
fn printer(config: &Config, totals: &Arc<Mutex<Totals>>) -> Option<Box<dyn Printer>> {
    let Output::Stdout(stdout) = &config.output else { return None };
    match stdout.format {
        StdoutFormat::Pretty => {
            Some(Box::new(Shown { pretty: Pretty::new(Color::Auto.is_on()), totals: Arc::clone(totals) }))
        }
        StdoutFormat::Raw => Some(Box::new(Raw)),
        StdoutFormat::Json | StdoutFormat::Bulk => None,
    }
}

/// For reading, and counted.
struct Shown {
    pretty: Pretty,
    /// Shared with who prints them at the end.
    totals: Arc<Mutex<Totals>>,
}

impl Printer for Shown {
    fn print(&mut self, found: &Found, pod: Option<&PodMeta>, event: &Event<'_>, out: &mut Vec<u8>) {
        self.pretty.print(found, pod, event, out);
        let path = found.shown.to_string_lossy();
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.count(&subject(&found.origin, &path), event);
    }
}
