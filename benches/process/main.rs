//! The process as it runs on a node: what it costs to ship a node's logs, beside `gzip -1` over the same bytes and
//! beside the peers that this machine has; and what it costs to start, to wait, and how soon a line leaves. Bulk
//! requests go to a cluster on loopback that takes everything, in this process, so its time is not counted.
//!
//! `SKIDDER_BENCH_BINARY` names the binary; else it is the one that cargo built for benches. `SKIDDER_BENCH_ISAL` names
//! one that compresses by ISA-L, where there is one. `SKIDDER_BENCH_MB` is how much there is to ship, and
//! `SKIDDER_BENCH_LONG_MB` how much in the longest backlog. Without `--bench` it is a trial with little data.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that cannot go on ends; what it prints is a table"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../corpus/mod.rs"]
mod corpus;
mod cost;
mod figures;
mod peers;
mod sink;

use corpus::node::Node;
use cost::{Cost, measure};
use peers::Peer;
use sink::{Sink, Taken};

/// Goals are shares of what `gzip -1` takes in the same run.
const GOALS: [(&str, f64); 4] = [("none", 0.25), ("gzip", 0.65), ("TLS", 0.36), (ISAL, 0.45)];
const ISAL: &str = "gzip by ISA-L";

/// The agent to measure.
pub struct Agent {
    binary: PathBuf,
}

/// A row of the table.
struct Subject<'a> {
    name: String,
    goal: Option<f64>,
    run: Box<dyn Fn() -> Cost + 'a>,
    sink: &'a Sink,
    costs: Vec<Cost>,
    /// What the sink received in the last run.
    taken: Taken,
    /// The CPU time of its start belongs to no byte.
    start: f64,
}

impl Agent {
    fn find() -> Self {
        let binary = std::env::var_os("SKIDDER_BENCH_BINARY");
        Self { binary: binary.map_or_else(|| env!("CARGO_BIN_EXE_skidder").into(), PathBuf::from) }
    }

    /// The same with ISA-L, if it was built.
    fn find_isal() -> Option<Self> {
        Some(Self { binary: std::env::var_os("SKIDDER_BENCH_ISAL")?.into() })
    }

    /// Bytes of the binary.
    pub fn size(&self) -> u64 {
        fs::metadata(&self.binary).unwrap().len()
    }

    /// `skidder run` over a node, with these lines of YAML below `output.elasticsearch`.
    pub fn command(&self, node: &Node, output: &str) -> Command {
        let path = node.path().join("skidder.yaml");
        let output = format!("output: {{ elasticsearch: {{ setup: false, {output} }} }}");
        fs::write(&path, node.configuration(&output)).unwrap();
        let mut command = Command::new(&self.binary);
        command.args(["run", "--config"]).arg(&path).env_remove("SKIDDER_LOG");
        command
    }

    /// Ships a whole node, from a new `data_dir`.
    pub fn ship(&self, node: &Node, output: &str) -> Cost {
        let _ = fs::remove_dir_all(node.path().join("data"));
        measure(self.command(node, output).arg("--once"), || false)
    }
}

fn main() {
    // `cargo bench` says so; `cargo test --benches` only wants to know that it runs.
    let trial = !std::env::args().any(|argument| argument == "--bench");
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (length, rounds) = if trial { (4, 1) } else { (asked("SKIDDER_BENCH_MB").unwrap_or(200), 5) };
    let long = if trial { 50 } else { asked("SKIDDER_BENCH_LONG_MB").unwrap_or(3_000) };
    let agent = Agent::find();
    let node = Node::new(20, length << 20).unwrap();
    println!("{}\n", machine(&node, rounds));
    let peaks = table(&agent, &node, rounds, trial);
    drop(node);
    println!();
    figures::print(&agent, &peaks, long * 1_000_000, trial);
}

/// What it costs to ship the node, by everybody. Gives the most memory in MiB that the agent took, by the way.
fn table(agent: &Agent, node: &Node, rounds: usize, trial: bool) -> Vec<(String, f64)> {
    let isal = Agent::find_isal();
    let authority = node.path().join("ca.pem");
    let (plain, tls) = (Sink::start(), Sink::start_tls(&authority));
    let bare = Node::new(20, 0).unwrap();
    let gzipped = format!("urls: [\"{}\"], compression: gzip", plain.url());
    let outputs = [
        (Some(agent), &plain, format!("urls: [\"{}\"], compression: none", plain.url())),
        (Some(agent), &plain, gzipped.clone()),
        (
            Some(agent),
            &tls,
            format!(
                "urls: [\"{}\"], compression: none, tls: {{ ca_file: {} }}",
                tls.url(),
                authority.display()
            ),
        ),
        (isal.as_ref(), &plain, gzipped),
    ];
    let start = agent.ship(&bare, &outputs[0].2).cpu();
    let peers: Vec<Peer> = Peer::all().into_iter().filter(|peer| !trial && peer.is_here()).collect();
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for ((what, goal), (agent, sink, output)) in GOALS.iter().zip(&outputs) {
        let Some(agent) = *agent else { continue };
        subjects.push(Subject {
            name: format!("skidder, {what}"),
            goal: Some(*goal),
            run: Box::new(move || agent.ship(node, output)),
            sink,
            costs: Vec::new(),
            taken: Taken::default(),
            start,
        });
    }
    let mut packing = Command::new("gzip");
    packing.args(["-1", "-c"]).args(&node.files);
    let packing = std::cell::RefCell::new(packing);
    subjects.push(Subject {
        name: "gzip -1".to_owned(),
        goal: None,
        run: Box::new(move || measure(&mut packing.borrow_mut(), || false)),
        sink: &plain,
        costs: Vec::new(),
        taken: Taken::default(),
        start: 0.0,
    });
    for peer in &peers {
        let plain = &plain;
        subjects.push(Subject {
            name: peer.name.to_owned(),
            goal: None,
            run: Box::new(move || peer.ship(node, plain)),
            sink: plain,
            costs: Vec::new(),
            taken: Taken::default(),
            start: 0.0,
        });
    }
    // In turns, so that what else the machine does falls on all alike.
    for _ in 0..rounds {
        for subject in &mut subjects {
            subject.sink.take();
            subject.costs.push((subject.run)());
            subject.taken = subject.sink.take();
            if subject.goal.is_some() {
                assert_eq!(subject.taken.documents, node.events, "{}: each event once", subject.name);
            }
        }
    }
    println!("Starting and ending with nothing to read: {start:.2} CPU-s, taken off below.\n");
    report(node, &mut subjects);
    if isal.is_none() {
        println!("\nno binary with it: {ISAL} (`make bench` builds one where nasm and autotools are)");
    }
    for peer in Peer::all().iter().filter(|peer| !peer.is_here()) {
        println!("\nnot on this machine: {}", peer.name);
    }
    subjects.iter().filter(|subject| subject.goal.is_some()).map(|s| (s.name.clone(), s.peak())).collect()
}

impl Subject<'_> {
    /// The most memory of all runs, in MiB.
    fn peak(&self) -> f64 {
        self.costs.iter().map(|cost| cost.peak).fold(0.0, f64::max)
    }
}

fn report(node: &Node, subjects: &mut [Subject<'_>]) {
    let gigabytes = node.bytes as f64 / 1e9;
    let per_gigabyte = |cost: &Cost, start: f64| (cost.cpu() - start).max(0.0) / gigabytes;
    let mut gzip = f64::NAN;
    for subject in subjects.iter_mut() {
        subject.costs.sort_by(|a, b| a.cpu().total_cmp(&b.cpu()));
        if subject.name == "gzip -1" {
            gzip = per_gigabyte(&subject.costs[subject.costs.len() / 2], 0.0);
        }
    }
    println!(
        "| process | CPU-s per GB: median (least to most) | of it kernel | of `gzip -1` | goal | peak MiB | requests | wire MB | events |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for subject in subjects {
        let peak = subject.peak();
        let Subject { name, goal, costs, taken, start, .. } = subject;
        let middle = costs[costs.len() / 2];
        let median = per_gigabyte(&middle, *start);
        println!(
            "| {name} | {median:.2} ({:.2} to {:.2}) | {:.2} | {:.2} | {} | {:.0} | {} | {:.0} | {} |",
            per_gigabyte(&costs[0], *start),
            per_gigabyte(&costs[costs.len() - 1], *start),
            middle.system / gigabytes,
            median / gzip,
            goal.map_or_else(String::new, |goal| {
                let is_met = median / gzip <= goal;
                format!("≤ {goal}: {}", if is_met { "met" } else { "**missed**" })
            }),
            peak,
            taken.requests,
            taken.wire as f64 / 1e6,
            taken.documents,
        );
    }
}

fn machine(node: &Node, rounds: usize) -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{:.0} MB in {} files, {} events, {rounds} rounds; {}, {} of it, load {} at the start",
        node.bytes as f64 / 1e6,
        node.files.len(),
        node.events,
        processor.map_or("an unknown processor", |(_, name)| name.trim()),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        load.split(' ').next().unwrap_or("unknown"),
    )
}

/// Fills a configuration's `@NAME@`s in.
pub fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

/// Where a file of the benches lies.
pub fn bench_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name)
}
