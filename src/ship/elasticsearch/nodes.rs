//! Several nodes: each in its turn, a dead one left out until it answers again.

use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::backoff;

/// The longest a dead node is left alone.
const MOST: Duration = Duration::from_secs(30);

/// The nodes and what is known of them. At least one.
#[derive(Debug)]
pub struct Nodes {
    list: Vec<Node>,
    next: usize,
}

#[derive(Debug)]
struct Node {
    url: Url,
    health: Health,
}

/// `Up ⇄ Down`, by the last answer or the lack of one.
#[derive(Debug)]
enum Health {
    Up,
    Down { failures: u32, ask_at: Instant },
}

impl Nodes {
    /// All are taken to be up.
    pub fn new(urls: Vec<Url>) -> Self {
        let list: Vec<Node> = urls.into_iter().map(|url| Node { url, health: Health::Up }).collect();
        // Agents share one configuration: each begins with another node.
        let next = fastrand::usize(..list.len().max(1));
        Self { list, next }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The next in turn that is up; when none is, the one that is due to be asked again first.
    pub fn pick(&mut self) -> usize {
        let count = self.list.len();
        let turn = (0..count).map(|step| (self.next + step) % count);
        let up = turn.clone().find(|index| matches!(self.list[*index].health, Health::Up));
        let picked = up.or_else(|| {
            turn.min_by_key(|index| match self.list[*index].health {
                Health::Up => None,
                Health::Down { ask_at, .. } => Some(ask_at),
            })
        });
        let picked = picked.unwrap_or_default();
        self.next = (picked + 1) % count.max(1);
        picked
    }

    /// The URL of a node.
    pub fn url(&self, index: usize) -> &Url {
        &self.list[index].url
    }

    /// Whether another node is up than `index`.
    pub fn has_other(&self, index: usize) -> bool {
        self.list.iter().enumerate().any(|(other, node)| other != index && matches!(node.health, Health::Up))
    }

    /// The node answered; true when it was down.
    pub fn up(&mut self, index: usize) -> bool {
        let before = std::mem::replace(&mut self.list[index].health, Health::Up);
        matches!(before, Health::Down { .. })
    }

    /// The node did not answer; true when it was up.
    pub fn down(&mut self, index: usize, now: Instant) -> bool {
        let (failures, was_up) = match self.list[index].health {
            Health::Up => (1, true),
            Health::Down { failures, .. } => (failures.saturating_add(1), false),
        };
        let ask_at = now + Duration::from_secs(1) + backoff::wait(failures, MOST);
        self.list[index].health = Health::Down { failures, ask_at };
        was_up
    }

    /// The dead nodes that are due to be asked at `now`.
    pub fn due(&self, now: Instant) -> Vec<usize> {
        let due = |node: &Node| matches!(node.health, Health::Down { ask_at, .. } if ask_at <= now);
        self.list.iter().enumerate().filter(|(_, node)| due(node)).map(|(index, _)| index).collect()
    }

    /// The URLs of the dead ones, without what could be a secret in them.
    pub fn dead(&self) -> Vec<String> {
        let dead = self.list.iter().filter(|node| matches!(node.health, Health::Down { .. }));
        dead.map(|node| shown(&node.url)).collect()
    }
}

/// A URL without user, password and query.
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path().trim_end_matches('/')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> Nodes {
        let url = |index| Url::parse(&format!("http://user:secret@node-{index}:9200/es/?x=secret")).unwrap();
        Nodes::new((0..count).map(url).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn each_in_turn_and_the_dead_left_out() {
        let mut nodes = nodes(3);
        let first: Vec<usize> = (0..3).map(|_| nodes.pick()).collect();
        let second: Vec<usize> = (0..3).map(|_| nodes.pick()).collect();
        assert_eq!(first, second);
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);

        let now = Instant::now();
        assert!(nodes.down(1, now) && !nodes.down(1, now));
        assert!((0..9).all(|_| nodes.pick() != 1));
        assert!(nodes.due(now).is_empty());
        assert_eq!(nodes.due(now + Duration::from_secs(60)), [1]);
        assert_eq!(nodes.dead(), ["http://node-1:9200/es"]);
        assert!(nodes.up(1) && !nodes.up(1));
        assert!((0..3).any(|_| nodes.pick() == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_dead_the_one_longest_left_alone_is_asked() {
        let mut nodes = nodes(2);
        let now = Instant::now();
        nodes.down(0, now);
        assert!(nodes.has_other(0) && !nodes.has_other(1));
        for _ in 0..12 {
            nodes.down(1, now);
        }
        nodes.down(1, now + Duration::from_secs(60));
        assert_eq!(nodes.pick(), 0);
        assert_eq!(nodes.pick(), 0);
    }
}
