//! Ship: did it arrive?
//!
//! Takes batches, gives each back once with a verdict for every document in it, and never before. What may be
//! tried again is tried again here, without end; what is refused for good is kept as a dead letter. Nothing
//! here knows files, offsets or checkpoints: receipts pass through untouched.

pub mod elasticsearch;
pub mod gzip;
pub mod stdout;
