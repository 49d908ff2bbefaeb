//! Fixtures: what the stories share.

pub mod agent;
pub mod authority;
pub mod elasticsearch;
pub mod http;
pub mod node;
pub mod wait;
pub mod kubelet;
pub mod fake;
