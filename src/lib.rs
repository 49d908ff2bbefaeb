//! Skidder hauls container logs from a node to Elasticsearch.
//!
//! The modules stand in the order in which a line meets them:
//!
//! ```text
//!             reader (owns all file state)                                        shipper
//!  discover → tail → decode → join → enrich → batch ══ bounded channel of batches ══▶ ship → checkpoint
//!                                    ▲                                                     │
//!  kubelet ── snapshot of pods ──────┘                          read once, at start ───────┘
//! ```
//!
//! Raw bytes become a [`event::Line`], then an [`event::Event`], then the bytes of a document in an
//! [`event::Batch`]; the batch gets a verdict per item, and what is acknowledged is remembered in the
//! checkpoint. Nothing flows back: when Elasticsearch stalls the channel fills, the reader stops, and the log
//! files on the disk are the queue.
//!
//! A room never imports its neighbour, only the nouns in [`event`]; [`pipeline`] alone knows all rooms.

pub mod config;
pub mod event;

pub mod discover;
pub mod tail;

pub mod spool;

pub mod decode;
pub mod join;

pub mod enrich;

pub mod batch;
pub mod ship;

pub mod checkpoint;

pub mod observe;

pub mod pipeline;

pub mod cli;

mod allocator;
