//! The stories of a node, in one binary: each module a theme, `support` the fixtures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that cannot go on fails here")]

mod configuration;
mod elasticsearch;
mod kubelet;
mod logs;
mod support;
mod traces;
