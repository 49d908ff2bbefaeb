//! Standard output: what was written is delivered.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::event::{Batch, Settled, Verdict};
use crate::observe::Metrics;
use crate::observe::metrics::ResultLabel;

/// Writes each batch's body to `out` and settles it once it is flushed. Ends when `batches` is closed.
///
/// # Errors
/// What `out` answers. A closed pipe is [`io::ErrorKind::BrokenPipe`], for the caller to end quietly.
pub async fn run(
    mut batches: mpsc::Receiver<Batch>,
    settled: mpsc::UnboundedSender<Settled>,
    mut out: impl AsyncWrite + Unpin,
    metrics: Arc<Metrics>,
) -> io::Result<()> {
    while let Some(batch) = batches.recv().await {
        if !batch.body.is_empty() {
            out.write_all(&batch.body).await?;
            out.flush().await?;
        }
        let verdicts = vec![Verdict::Shipped; batch.items.len()];
        metrics.events.get_or_create(&ResultLabel { result: "shipped" }).inc_by(verdicts.len() as u64);
        // A ledger that is gone has no more use for verdicts: the process is ending.
        let _ = settled.send(Settled { batch, verdicts });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Item, SourceId};

    fn batch(body: &[u8]) -> Batch {
        let item = Item { start: 0, document: 0, source: SourceId(0), bytes: body.len() as u32 };
        Batch { body: body.to_vec(), items: vec![item], ..Batch::default() }
    }

    #[tokio::test]
    async fn what_is_written_is_settled() {
        let (send, batches) = mpsc::channel(4);
        let (settled, mut verdicts) = mpsc::unbounded_channel();
        send.send(batch(b"one\n")).await.unwrap();
        send.send(Batch::default()).await.unwrap();
        drop(send);
        let mut out = Vec::new();
        run(batches, settled, &mut out, Arc::default()).await.unwrap();
        assert_eq!(out, b"one\n");
        assert_eq!(verdicts.recv().await.unwrap().verdicts, [Verdict::Shipped]);
        assert!(verdicts.recv().await.unwrap().verdicts.is_empty());
    }

    #[tokio::test]
    async fn a_closed_pipe_settles_nothing() {
        let (send, batches) = mpsc::channel(4);
        let (settled, mut verdicts) = mpsc::unbounded_channel();
        send.send(batch(b"one\n")).await.unwrap();
        let (reader, writer) = tokio::io::duplex(16);
        drop(reader);
        let error = run(batches, settled, writer, Arc::default()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(verdicts.recv().await.is_none());
    }
}
