//! `skidder logs`: logs on standard output, here and now.
//!
//! ```text
//!  arguments ─▶ files: which?        filter, when: which events?  merge: in which order?
//!                 │                           └────── view ──────────────┘
//!                 ▼                                     ▼
//!  course: the agent's own reader ── events ──▶ print (its outlet) ──▶ page ──▶ standard output
//! ```
//!
//! The reading, decoding, joining and naming are the agent's; nothing is remembered, nothing is sent.

mod course;
pub mod files;
pub mod filter;
pub mod merge;
mod page;
mod print;
mod progress;
mod stdin;
pub mod view;
pub mod when;
mod window;

pub use course::execute;

/// What the tests of this room start from.
#[cfg(test)]
mod samples {
    use crate::cli::LogsArgs;
    use crate::event::{Event, Stream};

    /// An event of one line.
    pub fn event<'a>(time: &'a [u8], stream: Stream, message: &'a str) -> Event<'a> {
        Event::line(time, stream, message.as_bytes())
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
