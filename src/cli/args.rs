//! What each command may be told: the definitions that help, completions and errors are made from.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::config::{Format, KubeletUrl, Languages, Pattern, StdoutFormat};

const RUN_HELP: &str = "\
Examples:
  skidder run                                      the agent, as the DaemonSet starts it
  skidder run --config skidder.yaml                with a configuration of one's own
  skidder run --output stdout                      ship nothing, show what would be shipped

Signals:
  SIGTERM, SIGINT   end within shutdown.timeout; a second one at once
  SIGHUP            load the configuration again; so does a change of its file

Environment:
  SKIDDER_CONFIG, SKIDDER_LOG, NODE_NAME, NODE_IP, and what the configuration names as ${NAME}

Exit codes:
  0 ended by a signal   1 failed while running   2 wrong usage or configuration";

/// The agent: ship a node's or a pod's logs until told to stop.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = RUN_HELP)]
pub struct RunArgs {
    /// The configuration [default: $SKIDDER_CONFIG, else /etc/skidder/skidder.yaml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where to, in place of the configuration's output
    #[arg(long, value_name = "OUTPUT")]
    pub output: Option<RunOutput>,
    /// Read to the end of what is there, deliver it, and end
    #[arg(long)]
    pub once: bool,
}

/// An output that needs no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RunOutput {
    /// Standard output, one document a line unless output.stdout.format says otherwise
    Stdout,
}

const LOGS_HELP: &str = "\
Examples:
  skidder logs /var/log/pods                       all of a node, merged by time
  skidder logs -f -n shop --pod 'web-*'            follow some pods, through rotations
  skidder logs --since 10m --level warn app.log    the bad part of the last ten minutes
  skidder logs --grep 'order=42' 'logs/*.gz'       whole events, traces included
  kubectl logs web-0 | skidder logs                join what comes on standard input
  skidder logs -o json 0.log | jq .log.level       the documents that `run` would ship

Without PATH, standard input is read; where that is a terminal, /var/log/pods.

Exit codes:
  0 done (also when the reader of a pipe goes away)   1 a file could not be read   2 wrong usage";

/// Read logs here and now: files, folders, or standard input, joined and named as `run` does.
#[derive(Clone, Debug, Args)]
#[command(after_help = LOGS_HELP)]
pub struct LogsArgs {
    /// Files, globs, folders; rotated and gzipped ones are read in their order; `-` is standard input
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Go on with what is written from now on, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N events of each container or file
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// Only what is newer than this: a duration (10m, 2h) or a time (09:30, 2026-11-22T09:30:00Z)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only what is older than this: a duration or a time
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only events that hold a match of this, in any of their lines
    #[arg(long, value_name = "REGEX")]
    pub grep: Option<String>,
    /// Only events of this level and worse; an event that names none counts as info
    #[arg(long, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "error", "fatal"])]
    pub level: Option<String>,
    /// Only this stream
    #[arg(long, value_name = "STREAM", value_parser = ["stdout", "stderr"])]
    pub stream: Option<String>,
    /// Only these namespaces (a glob; may be given again)
    #[arg(short, long, value_name = "GLOB")]
    pub namespace: Vec<String>,
    /// Only these pods (a glob; may be given again)
    #[arg(long, value_name = "GLOB")]
    pub pod: Vec<String>,
    /// Only these containers (a glob; may be given again)
    #[arg(short, long, value_name = "GLOB")]
    pub container: Vec<String>,
    /// How events look
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = StdoutFormat::Pretty)]
    pub output: StdoutFormat,
    /// What wrote the lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Auto)]
    pub format: Format,
    /// Whose stack traces are joined: all, none, or some such as java,python
    #[arg(long, value_name = "LIST", default_value_t = Languages::All)]
    pub languages: Languages,
    /// A pattern of one's own, tried before the languages: a line that matches begins an event
    #[arg(long, value_name = "REGEX")]
    pub pattern: Option<Pattern>,
    /// The kubelet to ask about pods, or a file with its answer to /pods
    #[arg(long, value_name = "URL|FILE")]
    pub kubelet: Option<KubeletUrl>,
    /// Say of each event why its lines were joined, and where it lies
    #[arg(long)]
    pub explain: bool,
    /// When to use colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether standard output is coloured.
    pub fn is_on(self) -> bool {
        match self {
            Self::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !refused && std::io::stdout().is_terminal()
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

const CHECK_HELP: &str = "\
What it prints is itself a configuration: every key with the value that will be used, secrets masked.
With --online a line follows for each thing that it names, ok or failed, and what to do about it:
log files, inotify's limits, data_dir, the kubelet, Elasticsearch. Looking changes nothing.

Examples:
  skidder check --config skidder.yaml
  skidder check --online                                      as the agent's user, where it runs
  kubectl exec daemonset/skidder -- skidder check --online    from outside, of one of its pods
  skidder check --json | jq .config.output

Exit codes:
  0 valid   1 something failed online   2 wrong: standard error says file, line, key, and what to do";

/// Validate a configuration and print what will be used.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = CHECK_HELP)]
pub struct CheckArgs {
    /// The configuration [default: $SKIDDER_CONFIG, else /etc/skidder/skidder.yaml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Also try what it names: files, data_dir, kubelet, Elasticsearch
    #[arg(long)]
    pub online: bool,
    /// Print JSON, also of what is wrong
    #[arg(long)]
    pub json: bool,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  skidder completions bash > /etc/bash_completion.d/skidder
  skidder completions zsh  > ~/.zfunc/_skidder
  skidder completions fish > ~/.config/fish/completions/skidder.fish";

/// Print a shell's completions.
#[derive(Clone, Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

const INIT_HELP: &str = "\
Makes data_dir, mode 0770, and gives it to the group that this runs with. Only its owner may do that:
on a node an init container of user 0 and group 0, without any capability. What an agent that was
root has left in it is shared too.

Examples:
  skidder init                             as the DaemonSet's init container runs it
  skidder init --config skidder.yaml

Exit codes:
  0 done, also when nothing had to be   1 refused   2 wrong usage or configuration";

/// Make data_dir writable for an agent that is not root; running it again changes nothing.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = INIT_HELP)]
pub struct InitArgs {
    /// The configuration [default: $SKIDDER_CONFIG, else /etc/skidder/skidder.yaml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

const SETUP_HELP: &str = "\
The agent does this by itself before a data stream's first document, where its credentials allow it
(the cluster privilege manage_index_templates) and `setup: false` does not forbid it. What a person
made or changed is kept as it is, and so is a newer agent's. A data stream that already exists takes
a new template at its next rollover: POST <data stream>/_rollover.

Examples:
  skidder setup --config skidder.yaml
  skidder setup --print                    for Kibana's console, where another person may install it

Exit codes:
  0 done, also when nothing had to be   1 refused, or nobody there   2 wrong usage or configuration";

/// Install the index templates, or print them; running it again changes nothing.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = SETUP_HELP)]
pub struct SetupArgs {
    /// The configuration [default: $SKIDDER_CONFIG, else /etc/skidder/skidder.yaml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print the templates as requests for Kibana's console, install nothing
    #[arg(long)]
    pub print: bool,
}

const STATUS_HELP: &str = "\
LAG is what is not yet acknowledged of a container, read or not; READ is since the agent's start.
Those furthest behind stand first.

Examples:
  skidder status                                       the agent on this machine
  skidder status --url node-1:9605                     that of another
  skidder status --json | jq '.files[0].lag_bytes'
  kubectl exec daemonset/skidder -- skidder status     from outside, of one of its pods

Exit codes:
  0 it answered, ready or not   1 it did not   2 wrong usage";

/// Show a running agent's state as a table.
#[derive(Clone, Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct StatusArgs {
    /// Where the agent listens
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, default_value = "http://localhost:9605")]
    pub url: String,
    /// Print it as the agent gave it, JSON
    #[arg(long)]
    pub json: bool,
}

const DEAD_LETTERS_HELP: &str = "\
A document becomes a dead letter when Elasticsearch refuses it, and refuses it again in a shape that
nothing should be wrong with. They lie in data_dir/dead-letters, one JSON object a line, with time,
target, reason and the document as it was first sent. The agent may run meanwhile.

Examples:
  skidder dead-letters list                what was refused, and why
  skidder dead-letters replay              send it again, once the cause is mended
  skidder dead-letters purge               remove it: its bytes are gone then

A replay that is broken off loses nothing: the next one takes it up.

Exit codes:
  0 done   1 failed, or refused again   2 wrong usage or configuration";

/// What Elasticsearch refused for good: show it, send it again, remove it.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEAD_LETTERS_HELP, arg_required_else_help = false)]
pub struct DeadLettersArgs {
    /// What to do with it
    #[command(subcommand)]
    pub action: DeadLettersAction,
}

/// What to do with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadLettersAction {
    /// Show them: when, why, whose
    List(DeadLettersConfig),
    /// Send them again
    Replay(DeadLettersConfig),
    /// Remove them
    Purge(DeadLettersConfig),
}

/// Whose dead letters.
#[derive(Clone, Debug, Default, Args)]
pub struct DeadLettersConfig {
    /// The configuration [default: $SKIDDER_CONFIG, else /etc/skidder/skidder.yaml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

const TEST_HELP: &str = "\
A file of fixtures names a configuration, and in each test lines and what is to come of them:

  config: skidder.yaml
  tests:
    - name: a banner begins an event
      input: |
        [BEGIN] order 42
        two lines
      messages: [\"[BEGIN] order 42\\ntwo lines\"]
    - name: health checks are dropped
      pod: { namespace: shop, name: web-1, labels: { app: web } }
      input: GET /healthz 200
      documents: []

`documents` lists the fields that matter of each document, `messages` the messages alone.

Examples:
  skidder test fixtures/*.yaml

Exit codes:
  0 all as expected   1 some are not   2 a fixture or its configuration is wrong: file, line, key";

/// Try fixtures: input lines and the documents that are expected of them.
#[derive(Clone, Debug, Args)]
#[command(after_help = TEST_HELP)]
pub struct TestArgs {
    /// Files of fixtures
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}
