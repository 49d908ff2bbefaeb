//! One bulk request, from its lines to what its answer means.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::delivery::Chunk;
use super::press::Press;
use super::transport::{Body, Failure, Method, Request, Transport};
use super::verdict::{self, Reply};
use crate::observe::Metrics;
use crate::observe::metrics::{EncodingLabel, StatusLabel};

/// What an answer means, and how long it asks to be left alone; or why there is none.
pub type Outcome = Result<(Reply, Option<Duration>), Failure>;

/// What was sent.
#[derive(Debug)]
pub struct Sent {
    /// Which documents of the batch.
    pub items: Vec<u32>,
    /// The body before compression.
    pub bytes: usize,
    /// See [`Chunk::oversize`].
    pub oversize: bool,
    /// When it left.
    pub began: Instant,
}

/// Compresses, sends, waits, and reads the answer.
pub async fn send<T: Transport>(
    transport: Arc<T>,
    press: Arc<Press>,
    metrics: Arc<Metrics>,
    path: String,
    chunk: Chunk,
) -> (Sent, Outcome) {
    let Chunk { items, body, oversize, .. } = chunk;
    let bytes = body.len();
    let body = match tokio::task::spawn_blocking(move || press.pack(body)).await {
        Ok(body) => body,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        },
    };
    count_bytes(&metrics, bytes, &body);
    let began = Instant::now();
    let answer = transport.send(Request { method: Method::POST, path, body }).await;
    metrics.bulk_duration.observe(began.elapsed().as_secs_f64());
    count_status(&metrics, answer.as_ref().ok().map(|answer| answer.status));
    let outcome =
        answer.map(|answer| (verdict::reply(answer.status, &answer.body, items.len()), answer.retry_after));
    (Sent { items, bytes, oversize, began }, outcome)
}

fn count_bytes(metrics: &Metrics, plain: usize, body: &Body) {
    if let Body::Bulk { bytes: wire, .. } = body {
        for (encoding, bytes) in [("plain", plain), ("wire", wire.len())] {
            metrics.bulk_bytes.get_or_create(&EncodingLabel { encoding }).inc_by(bytes as u64);
        }
    }
}

fn count_status(metrics: &Metrics, status: Option<u16>) {
    let status = match status {
        Some(200..=299) => "2xx",
        Some(429) => "429",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        _ => "error",
    };
    metrics.bulk_requests.get_or_create(&StatusLabel { status }).inc();
}
