//! `skidder logs`: what its arguments mean. Which files ([`files`]), which of their events ([`filter`], [`when`]), in
//! which order they are shown ([`merge`]); [`view`] is the latter two in one.
//!
//! Nothing in these reads a log or writes a line: the reading is the agent's own, the writing is
//! [`pretty`](super::pretty)'s.

pub mod files;
pub mod filter;
pub mod merge;
pub mod view;
pub mod when;

use super::{Failure, LogsArgs};

/// Not built yet.
pub fn execute(_args: LogsArgs) -> Result<(), Failure> {
    Err(Failure::Failed("logs is not built yet".into()))
}

/// What the tests of this room start from.
#[cfg(test)]
mod samples {
    use crate::cli::LogsArgs;
    use crate::event::{End, Event, Flags, Span, Stream};

    /// An event of one line.
    pub fn event<'a>(time: &'a [u8], stream: Stream, message: &'a str) -> Event<'a> {
        Event {
            time,
            stream,
            message: message.as_bytes(),
            utf8: true,
            flags: Flags::default(),
            span: Span::default(),
            lines: 1,
            bytes: message.len() as u64,
            truncated: 0,
            end: End::Bytes,
            rule: "",
        }
    }

    /// What stands after `skidder logs`.
    pub fn arguments(words: &[&str]) -> LogsArgs {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            logs: LogsArgs,
        }
        <Line as clap::Parser>::parse_from(["logs"].iter().chain(words)).logs
    }
}
