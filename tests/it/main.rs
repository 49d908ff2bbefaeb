//! The stories of a node, in one binary: each module a theme, `support` the fixtures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a story that cannot go on, a fixture that does not come about, fails the test with these words"
)]
#![allow(clippy::print_stdout, reason = "what a failed story prints helps to find out why")]

mod answers;
mod checkpoint;
mod commands;
mod configuration;
mod demo;
mod deploy;
mod desk;
mod docker;
mod docs;
mod elasticsearch;
mod fixtures;
mod http;
mod instructions;
mod kubelet;
mod limits;
mod logs;
mod memory;
mod messages;
mod model;
mod monitoring;
mod node;
mod online;
mod own;
mod pods;
mod reload;
mod screens;
mod security;
mod stories;
mod support;
mod torture;
mod traces;
