//! The stories of a node, in one binary: each module a theme, `support` the fixtures.

mod kubelet;
mod support;
