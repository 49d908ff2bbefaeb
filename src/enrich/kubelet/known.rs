//! What the kubelet said last, and the pods that have gone from its list.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::pods::Pods;

/// How many pods are kept that the kubelet no longer lists: their files may not be read to the end yet. The
/// newest stay.
const GONE: usize = 500;

#[derive(Debug)]
pub(super) struct Known {
    /// Listed last, and before.
    pods: Arc<Pods>,
    /// The uids in `pods` that are not listed, those that went first in front.
    gone: VecDeque<String>,
    /// Nothing was published yet: the first answer is, even an empty one, and with the first failure what was
    /// remembered.
    unpublished: bool,
    memory: Option<PathBuf>,
}

impl Known {
    /// Begins with what was remembered of an earlier run.
    pub(super) fn remember(memory: Option<PathBuf>) -> Self {
        let remembered = memory.as_deref().and_then(|path| match read(path) {
            Ok(pods) => pods,
            Err(error) => {
                tracing::warn!("{}: pods of before are forgotten: {error}", path.display());
                None
            }
        });
        let pods = Arc::new(remembered.unwrap_or_default());
        let gone = pods.iter().map(|pod| pod.uid.clone()).collect();
        Self { unpublished: true, pods, gone, memory }
    }

    /// Takes an answer, `None` when there was none. The snapshot to publish, if it differs from the last.
    pub(super) async fn learn(&mut self, listed: Option<Pods>) -> Option<Arc<Pods>> {
        let Some(listed) = listed else {
            let is_news = self.unpublished && !self.pods.is_empty();
            self.unpublished &= !is_news;
            return is_news.then(|| Arc::clone(&self.pods));
        };
        let next = self.succeed(&listed);
        if next == *self.pods && !self.unpublished {
            return None;
        }
        self.unpublished = false;
        self.pods = Arc::new(next);
        if let Some(path) = self.memory.clone() {
            let pods = Arc::clone(&self.pods);
            // Off the runtime's threads: the disk may stall. A memory that cannot be kept costs only labels.
            let written = tokio::task::spawn_blocking(move || write(&path, &pods)).await;
            if let Ok(Err(error)) = written {
                tracing::debug!("pods will be forgotten at a restart: {error}");
            }
        }
        Some(Arc::clone(&self.pods))
    }

    /// What is listed now, and the last that were listed before. A pod that did not change stays the same
    /// [`Arc`].
    fn succeed(&mut self, listed: &Pods) -> Pods {
        self.gone.retain(|uid| listed.get(uid).is_none());
        let went = self.pods.iter().map(|pod| &pod.uid).filter(|uid| listed.get(uid).is_none());
        let went: Vec<String> = went.filter(|uid| !self.gone.contains(uid)).cloned().collect();
        self.gone.extend(went);
        self.gone.drain(..self.gone.len().saturating_sub(GONE));
        let listed = listed.iter().map(|pod| match self.pods.get(&pod.uid) {
            Some(known) if known == pod => Arc::clone(known),
            _ => Arc::clone(pod),
        });
        listed.chain(self.gone.iter().filter_map(|uid| self.pods.get(uid).cloned())).collect()
    }
}

fn read(path: &Path) -> Result<Option<Pods>, String> {
    match fs::File::open(path) {
        Ok(file) => Pods::parse(BufReader::new(file)).map(Some).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Replaces the file as a whole.
fn write(path: &Path, pods: &Pods) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = BufWriter::new(fs::File::create(&new)?);
    pods.write(&mut file)?;
    file.flush()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PodMeta;

    fn pods(uids: &[&str]) -> Pods {
        uids.iter().map(|&uid| Arc::new(PodMeta { uid: uid.to_owned(), ..PodMeta::default() })).collect()
    }

    #[tokio::test]
    async fn publishes_changes_only_and_keeps_the_gone() {
        let mut known = Known::remember(None);
        let first = known.learn(Some(pods(&["a", "b"]))).await.unwrap();
        assert!(known.learn(Some(pods(&["b", "a"]))).await.is_none(), "the order says nothing");
        assert!(known.learn(None).await.is_none());
        let second = known.learn(Some(pods(&["b", "c"]))).await.unwrap();
        assert_eq!(second.len(), 3, "a may have lines unread");
        assert!(Arc::ptr_eq(first.get("b").unwrap(), second.get("b").unwrap()));
        assert!(known.learn(Some(pods(&["a", "b", "c"]))).await.is_none(), "a came back as it was");
    }

    #[tokio::test]
    async fn an_empty_list_is_published_once_there_is_an_answer() {
        let mut known = Known::remember(None);
        assert!(known.learn(None).await.is_none());
        assert!(known.learn(Some(Pods::default())).await.is_some(), "so that readers know of an answer");
    }

    #[tokio::test]
    async fn the_gone_are_bounded() {
        let mut known = Known::remember(None);
        for pod in 0..GONE + 10 {
            known.learn(Some(pods(&[&pod.to_string()]))).await;
        }
        let last = known.learn(Some(Pods::default())).await.unwrap();
        assert_eq!(last.len(), GONE);
        assert!(last.get("9").is_none() && last.get("10").is_some(), "the oldest are given up");
    }

    #[tokio::test]
    async fn remembers_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pods.json");
        let mut before = Known::remember(Some(path.clone()));
        before.learn(Some(pods(&["a", "b"]))).await;
        let mut after = Known::remember(Some(path.clone()));
        assert_eq!(after.learn(None).await.unwrap().len(), 2, "when the kubelet cannot be asked");
        let mut after = Known::remember(Some(path.clone()));
        assert_eq!(after.learn(Some(pods(&["b", "c"]))).await.unwrap().len(), 3);
        fs::write(&path, "half").unwrap();
        assert!(Known::remember(Some(path)).pods.is_empty());
    }
}
