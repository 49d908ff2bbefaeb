//! `skidder logs` at work: the agent's own reader over the files that are meant, without its memory, its output and
//! its server.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::files::Plan;
use super::filter::Filter;
use super::page::Page;
use super::print::{Ended, Print};
use super::progress::Progress;
use super::stdin::Blocks;
use super::view::View;
use crate::checkpoint::Saved;
use crate::cli::pretty::Pretty;
use crate::cli::printer::subject;
use crate::cli::{Failure, LogsArgs, environment, rights};
use crate::config::{Config, KubeletUrl, Output, PatternRule, Rule, Selector, Stdout};
use crate::discover::{Found, Globs, PathGlob, Scanner};
use crate::event::{Origin, SourceKey};
use crate::join::RuleBook;
use crate::observe::{Metrics, log};
use crate::pipeline::directory::Directory;
use crate::pipeline::reader::{Course, Reader, ReaderSettings, TURN_BYTES};
use crate::pipeline::wake::{Stop, Wake};
use crate::pipeline::{RunError, recorded, settings};

/// How long the kubelet may take to tell of a pod. Who looks at a log does not wait long for labels.
const KUBELET_WAIT: Duration = Duration::from_secs(3);

/// What is read ahead of all sources together while they are merged, in bytes: each has a share of it.
const READ_AHEAD: usize = 32 * 1024 * 1024;

/// How little of a source is worth a turn, in bytes.
const LEAST_TURN: usize = 16 * 1024;

/// How long the end may take after Ctrl-C. Who does not read our output any more keeps us no longer.
const GRACE: Duration = Duration::from_millis(500);

/// Reads and shows what the arguments mean.
///
/// # Errors
/// Wrong arguments; standard output that cannot be written; [`Failure::Said`] where something could not be read.
pub fn execute(args: &LogsArgs) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let filter = Filter::new(args, Timestamp::now(), &zone).map_err(wrong)?;
    log::start("warn", log::Format::Text).map_err(wrong)?;
    let config = config(args)?;
    rights::claim();
    let mut plan = Plan::new(&args.paths, io::stdin().is_terminal());
    plan.logs
        .retain(|log| filter.takes_source(&subject(&log.found.origin, &log.found.shown.to_string_lossy())));

    let wake = Arc::new(Wake::default());
    let sources = plan.logs.len() + usize::from(plan.stdin);
    let mut pretty = Pretty::new(args.color.is_on());
    (pretty.explain, pretty.marks, pretty.zone) = (args.explain, filter.marks().cloned(), zone);
    let mut page = Page::new(&config, args.output, pretty, io::stdout()).map_err(wrong)?;
    // What is followed has no end to come nearer to.
    if io::stderr().is_terminal() && !args.follow {
        page.progress =
            Some(Progress::new(io::stderr(), io::stdout().is_terminal(), sources, Instant::now()));
    }
    let view = View::new(filter, sources, args.tail);
    let view = if args.follow { view.follow() } else { view };
    let mut print = Print::new(view, page, Arc::clone(&wake));
    plan.missing.iter().for_each(|missing| print.miss(missing));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("starting the runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let directory = directory(&config, &wake)?;
        let settings = reader_settings(&config, &plan, args.follow, sources)?;
        let metrics = Arc::new(Metrics::default());
        let mut reader =
            Reader::new(settings, directory, Saved::default(), print, Arc::clone(&wake), metrics);
        plan.logs.into_iter().for_each(|log| reader.add_log(log.found, &log.files));
        if plan.stdin {
            add_stdin(&mut reader, &wake).map_err(|error| failed("reading standard input", &error))?;
        }
        read(reader, &wake).await
    });
    // A look-up of the kubelet's name may still be under way.
    runtime.shutdown_background();
    match ended? {
        Ended { error: Some(error), .. } => Err(error.into()),
        Ended { is_incomplete: true, .. } => Err(Failure::Said),
        Ended { .. } => Ok(()),
    }
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::Wrong(error.to_string())
}

fn failed(step: &str, error: &io::Error) -> Failure {
    Failure::Failed(format!("{step}: {error}"))
}

/// The configuration that an agent would have which does the same.
fn config(args: &LogsArgs) -> Result<Config, Failure> {
    let mut config = Config::with_output(
        Output::Stdout(Stdout { format: args.output, ..Stdout::default() }),
        &environment,
    )?;
    config.files.iter_mut().for_each(|block| block.format = args.format);
    config.multiline.languages = args.languages.clone();
    let rule = |pattern| PatternRule {
        name: "--pattern".into(),
        selector: Selector::default(),
        rule: Rule::Start(pattern),
    };
    config.multiline.patterns = args.pattern.clone().map(rule).into_iter().collect();
    config.kubernetes.kubelet.url = args.kubelet.clone();
    config.kubernetes.wait = KUBELET_WAIT;
    Ok(config)
}

/// Who tells of pods: the kubelet, a recorded answer, or nobody.
fn directory(config: &Config, wake: &Arc<Wake>) -> Result<Directory, Failure> {
    if let Some(KubeletUrl::File(path)) = &config.kubernetes.kubelet.url {
        let pods = recorded(path).map_err(|error| match error {
            RunError::Recorded { path, error } => {
                wrong(format_args!("--kubelet {}: {error}", path.display()))
            }
            other => wrong(other),
        });
        return pods.map(Directory::recorded);
    }
    let Some(mut settings) = settings::kubelet(config) else { return Ok(Directory::none()) };
    settings.memory = None;
    let (directory, asking) = Directory::asking(settings, KUBELET_WAIT, wake, Arc::new(Metrics::default()));
    tokio::spawn(asking);
    Ok(directory)
}

/// How the reader goes about it. What is followed is found by globs; what is read to its end is what the plan names.
fn reader_settings(
    config: &Config,
    plan: &Plan,
    follow: bool,
    sources: usize,
) -> Result<ReaderSettings, Failure> {
    let globs = if follow { &plan.globs[..] } else { &[] };
    let include = globs.iter().filter_map(|glob| PathGlob::new(glob).ok()).collect::<Vec<_>>();
    Ok(ReaderSettings {
        course: if include.is_empty() { Course::ToEnd } else { Course::Follow },
        scanner: Scanner::new(vec![Globs { include, exclude: Vec::new() }], true),
        blocks: settings::blocks(config).map_err(wrong)?,
        rules: RuleBook::new(settings::join(&config.multiline, settings::max_line_bytes(config)))
            .map_err(wrong)?,
        annotations: settings::annotations(config),
        turn_bytes: (READ_AHEAD / sources.max(1)).clamp(LEAST_TURN, TURN_BYTES),
    })
}

fn add_stdin(reader: &mut Reader<Print>, wake: &Arc<Wake>) -> io::Result<()> {
    let found = Found {
        path: "".into(),
        shown: "".into(),
        origin: Origin::File,
        key: SourceKey("file/-".into()),
        block: 0,
    };
    let bell = Arc::clone(wake);
    reader.add_stream(found, Blocks::start(io::stdin(), move || bell.nudge())?)
}

/// Reads until the end, or until Ctrl-C.
async fn read(reader: Reader<Print>, wake: &Wake) -> Result<Ended, Failure> {
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|error| failed("waiting for signals", &error))?;
    let (ended, mut reading) = oneshot::channel();
    let thread = thread::Builder::new().name("reader".into()).spawn(move || {
        // Nobody waits any more when it took too long after Ctrl-C.
        let _ = ended.send(reader.run().0.end());
    });
    thread.map_err(|error| failed("starting a thread", &error))?;
    let mut gone = nobody_reads().map_err(|error| failed("starting a thread", &error))?;
    let panicked = |_| Failure::Failed("the reader has ended; its last words are above".into());
    tokio::select! {
        ended = &mut reading => ended.map_err(panicked),
        _ = interrupt.recv() => end(wake, reading).await.map_err(panicked),
        Ok(()) = &mut gone => end(wake, reading).await.map_err(panicked),
    }
}

/// What is under way may come to its end, but is waited for no longer than [`GRACE`].
async fn end(wake: &Wake, reading: oneshot::Receiver<Ended>) -> Result<Ended, oneshot::error::RecvError> {
    wake.stop(Stop::Stop);
    let ended = tokio::time::timeout(GRACE, reading).await;
    ended.unwrap_or(Ok(Ended { error: None, is_incomplete: false }))
}

/// Resolves when standard output is a pipe that nobody reads any more: what is followed may write nothing for hours,
/// and would only notice then.
fn nobody_reads() -> io::Result<oneshot::Receiver<()>> {
    let (tell, gone) = oneshot::channel();
    thread::Builder::new().name("stdout".into()).spawn(move || {
        let out = io::stdout();
        // Nothing is asked for: what is wrong with the other end is told all the same.
        let mut ends = [PollFd::new(&out, PollFlags::empty())];
        while let Ok(_) | Err(Errno::INTR) = poll(&mut ends, None) {
            if ends[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
                let _ = tell.send(());
                return;
            }
        }
    })?;
    Ok(gone)
}
