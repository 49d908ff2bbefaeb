//! The client's loop on a paused clock, with a scripted kubelet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::event::{ContainerMeta, PodMeta};

fn pod(uid: &str) -> Arc<PodMeta> {
    let container = ContainerMeta { id: "containerd://1".to_owned(), ..ContainerMeta::default() };
    let containers = BTreeMap::from([("web".to_owned(), container)]);
    Arc::new(PodMeta { uid: uid.to_owned(), containers, ..PodMeta::default() })
}

/// Answers with the pods that have started by now: pod `n` at `n` times 25 ms.
struct Starting {
    begin: Instant,
    asked: Arc<AtomicUsize>,
}

impl Ask for Starting {
    async fn ask(&mut self) -> Result<Pods, KubeletError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let started = (self.begin.elapsed().as_millis() / 25).min(200);
        Ok((0..started).map(|index| pod(&index.to_string())).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_pods_that_start_within_five_seconds_cost_few_requests() {
    let (wanted, receiver) = channel();
    let asked = Arc::new(AtomicUsize::new(0));
    let kubelet = Starting { begin: Instant::now(), asked: Arc::clone(&asked) };
    let (sender, mut published) = tokio::sync::watch::channel(Arc::new(Pods::default()));
    let pace = Pace::new(Duration::from_secs(60), Duration::from_secs(10), Instant::now());
    let metrics = Arc::new(Metrics::default());
    let publish = move |pods| {
        sender.send_replace(pods);
    };
    tokio::spawn(follow(kubelet, pace, Known::remember(None), receiver, publish, Arc::clone(&metrics)));
    for uid in 0..200 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        wanted.want(&uid.to_string());
    }
    tokio::time::timeout(Duration::from_secs(10), published.wait_for(|pods| pods.len() == 200))
        .await
        .expect("all are known before the wait is over")
        .unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= 10, "{asked} requests");
    assert_eq!(metrics.kubelet_requests.get_or_create(&ResultLabel { result: "ok" }).get(), asked as u64);
}

/// Fails a few times, then answers.
struct Failing {
    failures: u32,
}

impl Ask for Failing {
    async fn ask(&mut self) -> Result<Pods, KubeletError> {
        if self.failures > 0 {
            self.failures -= 1;
            return Err(KubeletError::Timeout { url: String::new(), timeout: Duration::from_secs(1) });
        }
        Ok([pod("a")].into_iter().collect())
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_and_got_over() {
    let (_wanted, receiver) = channel();
    let (sender, mut published) = tokio::sync::watch::channel(Arc::new(Pods::default()));
    let pace = Pace::new(Duration::from_secs(60), Duration::from_secs(10), Instant::now());
    let metrics = Arc::new(Metrics::default());
    let publish = move |pods| {
        sender.send_replace(pods);
    };
    tokio::spawn(follow(
        Failing { failures: 3 },
        pace,
        Known::remember(None),
        receiver,
        publish,
        Arc::clone(&metrics),
    ));
    tokio::time::timeout(Duration::from_secs(20), published.changed()).await.unwrap().unwrap();
    assert!(published.borrow().get("a").is_some());
    assert_eq!(metrics.kubelet_requests.get_or_create(&ResultLabel { result: "timeout" }).get(), 3);
}

#[tokio::test]
async fn wanting_is_idempotent() {
    let (wanted, receiver) = channel();
    let other = wanted.clone();
    wanted.want("a");
    other.want("a");
    other.want("b");
    receiver.0.bell.notified().await;
    assert_eq!(receiver.take().len(), 2);
    assert!(receiver.take().is_empty());
}
