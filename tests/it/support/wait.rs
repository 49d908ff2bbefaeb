//! Waiting for another process: bounded, and telling what was waited for.

use std::time::Duration;

/// The longest that a story waits for anything; generous, for machines that are busy.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Asks again and again until there is an answer. `None` when [`LIMIT`] has passed.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.ok()
}

/// The last lines of a log, for the message of a failure.
pub fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
