//! `skidder setup`: the templates that the agent would install, installed by hand or printed.

use std::io::Write;
use std::time::Duration;

use super::{Failure, SetupArgs, runtime};
use crate::config::{Config, Destination, Env, Output};
use crate::observe::log;
use crate::pipeline::settings;
use crate::ship::elasticsearch::{Client, Done, StateHandle, console, ensure};

/// Installs or prints the templates of the data streams that the configuration names.
pub fn execute(args: &SetupArgs, env: &Env<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref(), env)?;
    let output = match &config.output {
        Output::Elasticsearch(output) => output,
        Output::Stdout(_) => return nothing("documents go to standard output", out),
    };
    if let Destination::Index(index) = &output.destination {
        return nothing(&format!("documents go to the index {index}, not to a data stream"), out);
    }
    let settings = settings::elasticsearch(&config, output);
    let streams = settings::targets(&config).streams();
    if args.print {
        write!(out, "{}", console(&streams, settings.retention.as_deref()))?;
        return Ok(out.flush()?);
    }
    // What a cluster cannot do, such as retention, is said there.
    log::start("warn", log::Format::Text).map_err(|error| Failure::Wrong(error.to_string()))?;
    let settings = crate::ship::elasticsearch::Settings { setup_jitter: Duration::ZERO, ..settings };
    let done = runtime()?.block_on(async {
        let client = Client::new(&settings, StateHandle::default())
            .map_err(|error| Failure::Wrong(error.to_string()))?;
        let done = ensure(&client, &streams, settings.retention.as_deref()).await;
        done.map_err(|error| Failure::Failed(error.to_string()))
    })?;
    Ok(tell(&done, out)?)
}

/// There is no template to install.
fn nothing(why: &str, out: &mut dyn Write) -> Result<(), Failure> {
    // A comment to Kibana's console, where `--print` is piped to.
    writeln!(out, "# nothing to install: {why}")?;
    Ok(out.flush()?)
}

fn tell(done: &[(String, Done)], out: &mut dyn Write) -> std::io::Result<()> {
    let width = done.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, done) in done {
        writeln!(out, "{name:width$}  {done}")?;
    }
    if done.iter().all(|(_, done)| *done == Done::Unchanged) {
        writeln!(out, "all templates were there already: nothing changed")?;
    }
    out.flush()
}
