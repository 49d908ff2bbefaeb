//! Fixtures: what the stories share.

#[expect(dead_code, reason = "no story runs the whole agent yet")]
pub mod agent;
pub mod authority;
pub mod elasticsearch;
pub mod http;
pub mod node;
pub mod wait;
pub mod kubelet;
pub mod fake;
