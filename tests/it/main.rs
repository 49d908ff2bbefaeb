//! The stories of a node, in one binary: each module a theme, `support` the fixtures.
#![allow(clippy::expect_used, reason = "a fixture that does not come about fails the test, with these words")]

mod elasticsearch;
mod node;
mod support;
