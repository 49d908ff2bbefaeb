//! Enrich: whose event is it?
//!
//! ```text
//!  kubelet ──▶ Pods (a snapshot, published anew when it changed)
//!                │ PodMeta
//!  path ─ Origin ┴─▶ Subject ──▶ Template ── render(event) ──▶ one document
//! ```
//!
//! [`kubelet::run`] asks the kubelet and publishes [`Pods`]; a [`Template`] holds all that is constant of one
//! container's documents as bytes, so that an event only adds its time, its message and its place. A message
//! that is a JSON object is read by [`json`] in one pass, which either makes it safe to index or leaves it text.

pub mod annotations;
mod constants;
pub mod docker;
pub mod document;
pub mod escape;
mod fields;
pub mod json;
pub mod kubelet;
pub mod podinfo;
pub mod pods;
mod time;
pub mod workload;

pub use annotations::{Allowed, Excluded, PodSettings};
pub use docker::DockerMeta;
pub use document::{DocumentSettings, JsonMode, Metadata, Schema, Subject, Template};
pub use json::Scratch;
pub use kubelet::{KubeletError, KubeletSettings, Wanted, WantedReceiver};
pub use podinfo::OwnPod;
pub use pods::{Pods, PodsError};
