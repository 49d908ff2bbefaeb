//! Observe: what the agent says of itself. Metrics, health, the status page, its own log.
//!
//! Rooms are handed the counters they move; nothing here knows a room, and nothing here decides anything.

pub mod metrics;

pub use metrics::Metrics;
