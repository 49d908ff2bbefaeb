//! Deployment: what the chart and the manifests render, the image, and the agent in it as a node would run it.
//!
//! The tools come by `tests/deploy/fetch`. A pod is run by crun, a runtime as nodes have it, in namespaces of its own,
//! with what the rendered DaemonSet says of its user, capabilities, root and volumes.

mod docs;
mod image;
mod manifests;
mod name_server;
mod pod;
mod tools;
