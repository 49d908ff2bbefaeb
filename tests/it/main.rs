//! The stories of a node, in one binary: each module a theme, `support` the fixtures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a story that cannot go on, a fixture that does not come about, fails the test with these words"
)]

mod answers;
mod checkpoint;
mod configuration;
mod delivery;
mod demo;
mod elasticsearch;
mod http;
mod kubelet;
mod logs;
mod node;
mod support;
mod traces;
