//! `skidder test`: fixtures for one's own patterns and filters.
//!
//! The lines of a fixture go through the agent's own reader and outlet, and what would be shipped is held against what
//! is expected.

mod diff;
mod trial;

use std::io::Write;
use std::path::Path;

use super::screen::{BAD, GOOD, Screen};
use super::{Failure, TestArgs};
use crate::config::{Config, Env, Fixtures, Output, Stdout};

/// Tries all fixtures of all files.
pub fn execute(args: &TestArgs, env: &Env<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let (mut tried, mut failed) = (0, 0);
    for path in &args.files {
        let fixtures = Fixtures::load(path)?;
        let config = configuration(path, &fixtures, env)?;
        for fixture in &fixtures.tests {
            let documents = trial::run(&config, fixture)
                .map_err(|error| Failure::Wrong(format!("{}:{}: {error}", path.display(), fixture.line)))?;
            let differences = diff::of(fixture, &documents);
            tried += 1;
            failed += usize::from(!differences.is_empty());
            let (verdict, style) = if differences.is_empty() { ("ok    ", GOOD) } else { ("FAILED", BAD) };
            let verdict = Screen::stdout().painted(verdict, style);
            writeln!(out, "{verdict} {}:{}: {}", path.display(), fixture.line, fixture.name)?;
            for line in differences {
                writeln!(out, "         {line}")?;
            }
        }
    }
    out.flush()?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Failed(format!("{failed} of {tried} fixtures failed"))),
    }
}

/// The configuration that the fixtures try: it lies where their file says, seen from there.
fn configuration(path: &Path, fixtures: &Fixtures, env: &Env<'_>) -> Result<Config, Failure> {
    let Some(named) = &fixtures.config else {
        return Ok(Config::with_output(Output::Stdout(Stdout::default()), env)?);
    };
    let beside = path.parent().unwrap_or(Path::new("")).join(named);
    Ok(Config::load_for_stdout(Some(&beside), env)?)
}
