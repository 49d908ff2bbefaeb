//! A node, its agent and an Elasticsearch, and what may happen to them.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use skidder::observe::Accounts;

use super::check::{Wrong, check};
use super::log::{Event, Log};
use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake, item_error};
use crate::support::node::Node;
use crate::support::wait;

/// Longer than `multiline.timeout`, by the runtime's clock.
const SILENCE: Duration = Duration::from_secs(1_200);
/// So many logs are written to at a time.
const LOGS: usize = 6;

/// `multiline.timeout`
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timeout {
    /// Longer than a run between two rests.
    Never,
    /// So short that it ends events that go on.
    Short,
}

/// How the Elasticsearch answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Well,
    /// A fifth of the requests goes wrong.
    Badly,
    Away,
}

/// What is unlinked and not read yet is in the agent's hands alone; so until the next rest it is either this or that.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chapter {
    /// The agent is killed, stopped and started.
    Deaths,
    /// Files are unlinked as soon as the agent has them open.
    Unlinkings,
}

/// All of it.
pub struct World {
    seed: u64,
    random: fastrand::Rng,
    timeout: Timeout,
    node: Node,
    fake: Fake,
    mood: Arc<Mutex<Mood>>,
    url: String,
    agent: Agent,
    logs: Vec<Log>,
    begun: usize,
    /// Of logs that were deleted.
    past: Vec<Event>,
    /// What may happen before the next rest.
    chapter: Chapter,
    life: Life,
    /// Ids that were held against the model.
    seen: HashSet<String>,
    /// What was done since the last rest.
    done: Vec<String>,
    counts: Counts,
}

/// Since the agent was started with nothing pending; `None` where it was killed before.
#[derive(Clone, Copy, Default)]
struct Life {
    /// What the node had written by then.
    base: Option<u64>,
    /// Bytes that were gone before they could be read.
    lost: u64,
    /// Bytes that Elasticsearch refused for good.
    refused: u64,
}

#[derive(Default)]
struct Counts {
    writes: usize,
    kills: usize,
    reloads: usize,
    rests: usize,
}

impl World {
    pub async fn new(seed: u64, timeout: Timeout) -> Self {
        let (node, fake) = (Node::new(), Fake::new());
        let mood = Arc::new(Mutex::new(Mood::Well));
        answer(&fake, seed, Arc::clone(&mood));
        let url = fake.serve().await;
        let agent = Agent::new(&configuration(&node, &url, timeout, 50));
        let mut world = Self {
            seed,
            random: fastrand::Rng::with_seed(seed),
            timeout,
            node,
            fake,
            mood,
            url,
            agent,
            logs: Vec::new(),
            begun: 0,
            past: Vec::new(),
            chapter: Chapter::Deaths,
            life: Life { base: Some(0), ..Life::default() },
            seen: HashSet::new(),
            done: Vec::new(),
            counts: Counts::default(),
        };
        (0..LOGS).for_each(|_| world.begin_log());
        world
    }

    /// What a run came to.
    pub fn told(&self) -> String {
        let Counts { writes, kills, reloads, rests } = self.counts;
        let (stored, again) = (self.seen.len(), self.fake.model().conflicts);
        format!(
            "{writes} writes, {} logs, {kills} kills, {reloads} reloads, {rests} rests, {stored} events stored, {again} sent again",
            self.begun
        )
    }

    fn begin_log(&mut self) {
        self.logs.push(Log::new(&self.node, self.begun));
        self.begun += 1;
    }

    /// Does something at random.
    pub async fn act(&mut self) {
        let index = self.random.usize(0..self.logs.len());
        let name = self.logs[index].name.clone();
        let what = match self.random.u32(0..100) {
            0..45 => self.write(index, 30),
            45..50 => self.write(index, 500),
            50..64 => self.rotate(index),
            64..67 => self.restart_container(index).await,
            67..70 => self.delete(index).await,
            70..72 => self.recreate(index).await,
            72..74 => self.truncate(index).await,
            74..78 => self.fall_silent(),
            78..84 => self.change_mood(),
            84..91 => self.kill(),
            91..93 => self.stop().await,
            93..95 => self.reload().await,
            _ => self.start().await,
        };
        self.done.push(format!("{name}: {what}"));
        let pause = self.random.u64(0..10);
        // Not a time that is asserted: it lets the agent come between.
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn write(&mut self, index: usize, most: usize) -> String {
        let count = self.random.usize(1..most);
        (0..count).for_each(|_| self.logs[index].write(&mut self.random));
        self.counts.writes += count;
        format!("writes {count} times")
    }

    fn rotate(&mut self, index: usize) -> String {
        self.logs[index].rotate(&mut self.random).to_owned()
    }

    async fn restart_container(&mut self, index: usize) -> String {
        let safe = self.chapter == Chapter::Deaths && self.logs[index].is_first_instance();
        if !self.logs[index].is_pod() || !safe && !self.see(index).await {
            return "stays".to_owned();
        }
        if self.timeout == Timeout::Never {
            self.logs[index].come_to_rest();
        }
        self.logs[index].fall_silent();
        self.logs[index].restart();
        "starts again".to_owned()
    }

    async fn delete(&mut self, index: usize) -> String {
        if !self.see(index).await {
            return "stays".to_owned();
        }
        self.logs[index].come_to_rest();
        let deleted = self.logs.remove(index);
        self.past.extend(deleted.delete());
        self.begin_log();
        "is deleted".to_owned()
    }

    async fn recreate(&mut self, index: usize) -> String {
        if !self.logs[index].is_plain() || !self.see(index).await {
            return "stays".to_owned();
        }
        self.logs[index].recreate();
        "is deleted and comes again".to_owned()
    }

    /// Unread bytes at the end of a plain file are gone; for once it is known how many.
    async fn truncate(&mut self, index: usize) -> String {
        if !self.logs[index].is_plain() || self.chapter != Chapter::Unlinkings {
            return "stays".to_owned();
        }
        self.rest().await;
        self.chapter = Chapter::Unlinkings;
        let doomed = self.logs[index].doom();
        self.agent.at_rest(doomed).await;
        self.logs[index].truncate();
        self.life.lost += doomed;
        // Seen before the next one: of two truncations at once only one can be told. And the agent may end only when it
        // has read on, for the file at which its checkpoint stands is gone.
        self.logs[index].come_to_rest();
        wait::until(async || self.compared().lost.is_empty().then_some(())).await;
        self.agent.at_rest(0).await;
        format!("loses {doomed} bytes")
    }

    /// Waits until the agent holds the log's files, which are about to be unlinked.
    async fn see(&mut self, index: usize) -> bool {
        if self.chapter != Chapter::Unlinkings || !self.logs[index].is_held_with_its_live_file() {
            return false;
        }
        let path = self.logs[index].path();
        let agent = &self.agent;
        agent.until(&format!("{} to be open", path.display()), async || agent.has_open(&path)).await;
        true
    }

    /// A silence that the runtime's stamps tell.
    fn fall_silent(&mut self) -> String {
        self.node.pass(SILENCE);
        self.logs.iter_mut().for_each(Log::fall_silent);
        "and all others are silent for long".to_owned()
    }

    fn change_mood(&mut self) -> String {
        let moods = [Mood::Well, Mood::Badly, Mood::Badly, Mood::Away];
        let mood = moods[self.random.usize(0..moods.len())];
        self.set_mood(mood);
        format!("Elasticsearch answers {mood:?}")
    }

    fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn kill(&mut self) -> String {
        if self.chapter != Chapter::Deaths || !self.agent.runs() {
            return "no kill".to_owned();
        }
        self.agent.kill9();
        self.life.base = None;
        self.counts.kills += 1;
        "the agent is killed".to_owned()
    }

    async fn stop(&mut self) -> String {
        if self.chapter != Chapter::Deaths || !self.agent.runs() {
            return "no stop".to_owned();
        }
        self.set_mood(Mood::Well);
        assert!(self.agent.term().await.success(), "{}", self.agent.log());
        self.life.base = None;
        "the agent is stopped".to_owned()
    }

    /// Another configuration, which changes nothing that a document shows. What is on its way is waited for, or given up
    /// after a second of trouble: then what was acknowledged out of turn comes again, and is counted again.
    async fn reload(&mut self) -> String {
        // What a file was that is empty now, the next reader cannot tell: it may take what was rotated before for new.
        if !self.agent.runs() || self.logs.iter().any(Log::is_truncated) {
            return "no reload".to_owned();
        }
        let applied = "skidder_config_reloads_total{result=\"success\"}";
        let before = self.agent.metric(applied).await.unwrap_or_default();
        let in_peace = self.random.bool();
        if in_peace {
            self.set_mood(Mood::Well);
        } else {
            self.life.base = None;
        }
        let wait = self.random.u32(20..80);
        self.agent.configure(&configuration(&self.node, &self.url, self.timeout, wait));
        self.agent.signal(Signal::HUP);
        self.counts.reloads += 1;
        if in_peace {
            let agent = &self.agent;
            agent
                .until("the configuration to be applied", async || agent.metric(applied).await > Some(before))
                .await;
        }
        format!("another configuration, {}", if in_peace { "in peace" } else { "in any mood" })
    }

    async fn start(&mut self) -> String {
        if self.agent.runs() {
            return "the agent runs".to_owned();
        }
        self.agent.start().await;
        "the agent is started".to_owned()
    }

    /// Everything comes to its end; then what came is held against the model.
    pub async fn rest(&mut self) {
        self.set_mood(Mood::Well);
        self.start().await;
        self.node.pass(SILENCE);
        for log in &mut self.logs {
            log.fall_silent();
            log.come_to_rest();
        }
        // What does not come is told below.
        wait::until(async || self.compared().lost.is_empty().then_some(())).await;
        let Wrong { lost, strange } = self.compared();
        if !lost.is_empty() || !strange.is_empty() {
            self.print_agent();
            println!("{:#}", self.agent.status().await);
        }
        assert!(
            lost.is_empty() && strange.is_empty(),
            "SKIDDER_SEED={}: lost {}: {:#?}\ndoubled, split or strange {}: {:#?}\nafter {:#?}",
            self.seed,
            lost.len(),
            &lost[..lost.len().min(5)],
            strange.len(),
            &strange[..strange.len().min(5)],
            self.done,
        );
        self.balance().await;
        self.turn_over();
        if self.random.bool() {
            assert!(self.agent.term().await.success(), "{}", self.agent.log());
            self.life = Life { base: Some(self.node.written()), ..Life::default() };
            self.agent.start().await;
        }
    }

    /// Each byte that the node has written since the agent started is in the right account.
    async fn balance(&mut self) {
        let refused = self.events().filter(|event| event.refused).flat_map(|event| &event.pieces);
        self.life.refused += refused.map(|piece| piece.bytes).sum::<u64>();
        let sums = self.agent.at_rest(0).await;
        let Life { base: Some(base), lost, refused } = self.life else { return };
        let written = self.node.written() - base;
        let expected = Accounts {
            written,
            acknowledged: written - lost - refused,
            dead_letter: refused,
            lost,
            ..Accounts::default()
        };
        if sums != expected {
            self.print_agent();
        }
        assert_eq!(sums, expected, "SKIDDER_SEED={} after {:#?}", self.seed, self.done);
    }

    /// What the agent said, remembers and sent twice, for whoever looks for the cause.
    fn print_agent(&self) {
        let mut sent = HashSet::new();
        for (action, document) in self.fake.model().seen.iter().flat_map(|seen| &seen.lines) {
            if !sent.insert(action["create"]["_id"].to_string()) {
                println!("sent again: {action} {document}");
            }
        }
        let checkpoint = fs::read(self.agent.data().join("checkpoint")).unwrap_or_default();
        println!("{}\n{}", self.agent.log(), String::from_utf8_lossy(&checkpoint));
    }

    /// What was held against the model need not be looked at again.
    fn turn_over(&mut self) {
        let ids: Vec<String> = self.stored().into_iter().map(|(id, _)| id).collect();
        self.seen.extend(ids);
        self.fake.model().seen.clear();
        self.logs.iter_mut().for_each(Log::turn_over);
        self.past.clear();
        self.done.clear();
        self.counts.rests += 1;
        self.chapter = if self.random.u32(0..3) == 0 { Chapter::Unlinkings } else { Chapter::Deaths };
    }

    fn compared(&self) -> Wrong {
        let (refused, taken): (Vec<_>, Vec<_>) =
            self.stored().into_iter().partition(|(_, of)| of["refused"] == true);
        let documents =
            |of: Vec<(String, Value)>| of.into_iter().map(|(_, document)| document).collect::<Vec<_>>();
        let whole = self.timeout == Timeout::Never;
        let one = check(self.events().filter(|event| !event.refused), &documents(taken), whole);
        let other = check(self.events().filter(|event| event.refused), &documents(refused), whole);
        Wrong { lost: [one.lost, other.lost].concat(), strange: [one.strange, other.strange].concat() }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.logs.iter().flat_map(|log| &log.events).chain(&self.past)
    }

    /// By id, what came since the last rest: documents that Elasticsearch has, and those that it refused.
    fn stored(&self) -> Vec<(String, Value)> {
        let mut stored = Vec::new();
        for (index, documents) in &self.fake.model().stored {
            let new = documents.iter().map(|(id, document)| (format!("{index}/{id}"), document));
            stored.extend(
                new.filter(|(id, _)| !self.seen.contains(id)).map(|(id, document)| (id, document.clone())),
            );
        }
        let letters = fs::read_dir(self.agent.data().join("dead-letters")).into_iter().flatten().flatten();
        let letters = letters.filter(|file| file.path().extension().is_some_and(|end| end == "ndjson"));
        let mut refused = BTreeMap::new();
        for file in letters {
            let text = fs::read_to_string(file.path()).expect("dead letters");
            for letter in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                let mut document = letter["document"].clone();
                document["refused"] = Value::Bool(true);
                // A kill before it was remembered: the same letter twice.
                refused.insert(format!("refused/{}", letter["id"]), document);
            }
        }
        stored.extend(refused.into_iter().filter(|(id, _)| !self.seen.contains(id)));
        stored
    }
}

/// Answers as it is in the mood to; what is poison is always refused.
fn answer(fake: &Fake, seed: u64, mood: Arc<Mutex<Mood>>) {
    fake.refuse(|_, document| {
        let poison = document["message"].as_str().is_some_and(|message| message.starts_with("poison"));
        poison.then(|| item_error(400, "document_parsing_exception", "it is poison")).flatten()
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let rejected = (429, "es_rejected_execution_exception", "queue is full");
    fake.rule(move |seen| match (*mood.lock().unwrap(), random.u32(0..30)) {
        (Mood::Well, _) | (Mood::Badly, 6..) => Behaviour::Accept,
        (_, 0) => Behaviour::error(rejected.0, rejected.1, rejected.2),
        (Mood::Badly, 1) => Behaviour::Reset,
        (Mood::Badly, 2) => Behaviour::Lost,
        (Mood::Badly, 3) => Behaviour::Cut,
        // Of a single document it would be a refusal for good.
        (Mood::Badly, 4) if seen.lines.len() > 1 => {
            Behaviour::error(400, "illegal_argument_exception", "the body is damaged")
        }
        (Mood::Badly, 4) => Behaviour::Accept,
        (Mood::Badly, 5) => Behaviour::items(move |index, _| {
            if index % 3 == 0 { item_error(rejected.0, rejected.1, rejected.2) } else { None }
        }),
        _ => Behaviour::error(503, "unavailable", "no"),
    });
}

fn configuration(node: &Node, url: &str, timeout: Timeout, wait: u32) -> String {
    let node = node.path().display();
    let timeout = match timeout {
        Timeout::Never => "600s",
        Timeout::Short => "150ms",
    };
    format!(
        "data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{node}/containers/*.log\", \"{node}/docker/*/*-json.log\", \"{node}/apps/*.log\"] }}]\n\
         multiline: {{ timeout: {timeout} }}\n\
         kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
         output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ max_bytes: 64KiB, max_wait: {wait}ms }}, setup: false }} }}\n"
    )
}
