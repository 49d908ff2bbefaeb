//! Fixtures: what the stories share.

pub mod agent;
pub mod authority;
pub mod between;
pub mod elasticsearch;
pub mod fake;
pub mod http;
pub mod kubelet;
pub mod node;
pub mod promtool;
pub mod proxy;
pub mod wait;
