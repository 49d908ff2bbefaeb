//! Command line: what each command says and does.
//!
//! A command takes its arguments and ends well or with a [`Failure`], which alone decides the exit code.

mod args;
mod check;
mod dead_letters;
pub mod fields;
mod init;
pub mod level;
pub mod logs;
mod online;
pub mod pretty;
mod printer;
mod reload;
mod rights;
mod run;
mod screen;
mod setup;
mod status;
mod test;

pub use args::{
    CheckArgs, Color, CompletionsArgs, DeadLettersArgs, InitArgs, LogsArgs, RunArgs, RunOutput, SetupArgs,
    StatusArgs, TestArgs,
};

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::ConfigError;

/// The revision that was built, where the build was told: `SKIDDER_REVISION=$(git rev-parse --short HEAD)`.
pub const REVISION: Option<&str> = option_env!("SKIDDER_REVISION");

/// What `--version` says after the name.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    REVISION.map_or_else(|| version.to_owned(), |revision| format!("{version} ({revision})"))
});

const HELP: &str = "\
Examples:
  skidder logs /var/log/pods                 read a node's logs, traces joined
  skidder check --config skidder.yaml        validate a configuration, show what will be used
  skidder run --config skidder.yaml          ship
  skidder run --output stdout                show on standard output what would be shipped
  skidder status                             ask the agent on this machine how far it is

Environment:
  SKIDDER_CONFIG   the configuration file, where --config does not name it
  SKIDDER_LOG      the level of skidder's own log: error, warn, info, debug, trace
  NODE_NAME        the node's name; NODE_IP the address of its kubelet

Exit codes:
  0 done   1 failed while running   2 wrong usage or configuration";

/// Hauls container logs from a node to Elasticsearch.
///
/// Stack traces joined, pods named, nothing lost, nothing doubled.
#[derive(Debug, Parser)]
#[command(name = "skidder", version = VERSION.as_str(), after_help = HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// All commands.
#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Logs(Box<LogsArgs>),
    Check(CheckArgs),
    Init(InitArgs),
    Setup(SetupArgs),
    Status(StatusArgs),
    DeadLetters(DeadLettersArgs),
    Test(TestArgs),
    Completions(CompletionsArgs),
}

impl Command {
    fn execute(self) -> Result<(), Failure> {
        match self {
            Self::Run(args) => run::execute(&args),
            Self::Logs(args) => logs::execute(&args),
            Self::Check(args) => check::execute(&args, &environment, &mut io::stdout().lock()),
            Self::Init(args) => init::execute(&args, &environment, &mut io::stdout().lock()),
            Self::Setup(args) => setup::execute(&args, &environment, &mut io::stdout().lock()),
            Self::Status(args) => status::execute(&args, &mut io::stdout().lock()),
            Self::DeadLetters(args) => dead_letters::execute(&args, &environment, &mut io::stdout().lock()),
            Self::Test(args) => test::execute(&args, &environment, &mut io::stdout().lock()),
            Self::Completions(args) => completions(&args, &mut io::stdout().lock()),
        }
    }
}

/// Why a command did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The usage or the configuration is wrong: exit code 2.
    Wrong(String),
    /// It failed while running: exit code 1.
    Failed(String),
    /// As `Failed`, and what failed was said when it did.
    Said,
    /// Nobody reads the output any more, as in `… | head`: a quiet end, exit code 0.
    PipeClosed,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// For what goes wrong with standard output; other I/O names its step and place in a message of its own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Failed(format!("cannot write the output: {error}")),
        }
    }
}

/// What runs the requests of a command that asks and ends.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Failed(format!("starting the runtime: {error}")))
}

/// A variable of the environment; one that is not UTF-8 is as good as none.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs the command that the arguments name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let ended = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command.execute(),
        Err(error) => explain(&error),
    };
    let (message, code) = match ended {
        Ok(()) | Err(Failure::PipeClosed) => return ExitCode::SUCCESS,
        Err(Failure::Said) => return ExitCode::from(1),
        Err(Failure::Failed(message)) => (message, 1),
        Err(Failure::Wrong(message)) => (message, 2),
    };
    // Where standard error is closed too, the exit code says it.
    let _ = writeln!(io::stderr(), "skidder: {message}");
    ExitCode::from(code)
}

/// What clap has to say: the help and the version as they are, an error in one line.
fn explain(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            write!(io::stdout().lock(), "{}", error.render())?;
            Ok(())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let what = "no command is given; write such as `skidder logs FILE`, and see `skidder --help`";
            Err(Failure::Wrong(what.into()))
        }
        _ => Err(Failure::Wrong(one_line(&error.render().to_string()))),
    }
}

/// clap's error without its colours, newlines and usage.
fn one_line(rendered: &str) -> String {
    let told = rendered.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let told = told.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let mut line = String::new();
    for part in told {
        match (line.is_empty(), part.strip_prefix("tip: ")) {
            (true, _) => line.push_str(part.trim_start_matches("error: ")),
            (false, Some(tip)) => line.extend(["; ", tip]),
            (false, None) => line.extend([" ", part]),
        }
    }
    line + "; see --help"
}

fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    // Written to memory first: the generator does not take a closed pipe well.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "skidder", &mut script);
    out.write_all(&script)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_defined() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_are_one_line() {
        for (arguments, line) in [
            (
                vec!["logs", "--folow"],
                "unexpected argument '--folow' found; a similar argument exists: '--follow'; see --help",
            ),
            (
                vec!["chekc"],
                "unrecognized subcommand 'chekc'; a similar subcommand exists: 'check'; see --help",
            ),
            (
                vec!["logs", "-o", "yaml"],
                "invalid value 'yaml' for '--output <FORMAT>' [possible values: pretty, json, bulk, raw]; see --help",
            ),
            (
                vec!["logs", "--languages", "jva"],
                "invalid value 'jva' for '--languages <LIST>': `jva` is not a language; did you mean `java`?; see --help",
            ),
            (
                vec!["check", "--config"],
                "a value is required for '--config <FILE>' but none was supplied; see --help",
            ),
            (vec![], "no command is given; write such as `skidder logs FILE`, and see `skidder --help`"),
        ] {
            let arguments = std::iter::once("skidder").chain(arguments);
            let error = Cli::try_parse_from(arguments).unwrap_err();
            assert_eq!(explain(&error), Err(Failure::Wrong(line.into())));
        }
    }
}
