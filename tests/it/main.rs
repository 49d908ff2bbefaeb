//! The stories of a node, in one binary: each module a theme, `support` the fixtures.

mod checkpoint;
mod http;
mod support;
