//! The stories of a node, in one binary: each module a theme, `support` the fixtures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that cannot go on fails here")]
#![allow(clippy::expect_used, reason = "a fixture that does not come about fails the test, with these words")]

mod configuration;
mod elasticsearch;
mod logs;
mod kubelet;
mod checkpoint;
mod http;
mod node;

mod answers;
mod support;
mod traces;
