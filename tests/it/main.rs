//! The stories of a node, in one binary: each module a theme, `support` the fixtures.

mod configuration;
mod elasticsearch;
mod logs;
mod support;
mod traces;
