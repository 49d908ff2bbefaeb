//! What an agent costs while little is to do, how soon a line leaves, and whether the cost stays with more files and
//! more bytes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use skidder::event::time;

use super::Agent;
use super::corpus::node::Node;
use super::cost::{Cost, Running, pause};
use super::sink::Sink;

/// Rows of a table of goals.
struct Goals(());

impl Goals {
    fn begin() -> Self {
        println!("| figure | measured | goal | |\n| --- | --- | --- | --- |");
        Self(())
    }

    /// One figure, and what it is to be.
    fn row(&self, what: &str, measured: &str, goal: &str, is_met: bool) {
        println!("| {what} | {measured} | {goal} | {} |", if is_met { "met" } else { "**missed**" });
    }

    /// One that is at most so much of a unit.
    fn at_most(&self, what: &str, measured: f64, most: f64, unit: &str) {
        let digits = if most < 10.0 { 2 } else { 1 };
        self.row(what, &format!("{measured:.digits$} {unit}"), &format!("≤ {most} {unit}"), measured <= most);
    }
}

/// Prints them all. `peaks` are the most memory in MiB that shipping the node took, by what it was shipped with;
/// `long` is how many bytes the longest backlog has.
pub fn print(agent: &Agent, peaks: &[(String, f64)], long: u64, trial: bool) {
    let goals = Goals::begin();
    let sink = Sink::start();
    for (name, peak) in peaks {
        goals.at_most(&format!("peak resident, 20 files and a backlog: {name}"), *peak, 48.0, "MiB");
    }
    goals.at_most("the binary, stripped", agent.size() as f64 / 1e6, 12.0, "MB");

    let files = if trial { 20 } else { 500 };
    let what = format!("CPU from the start to the first request, {files} files and their checkpoints");
    goals.at_most(&what, start(agent, &sink, files) * 1e3, 100.0, "ms");

    let seconds = if trial { 1 } else { 20 };
    let (cpu, resident) = idle(agent, &sink, 100, seconds);
    goals.at_most("CPU while nothing is written, 100 files", cpu * 1e3, 1.0, "ms/s");
    goals.at_most("resident at rest, 100 containers", resident, 16.0, "MiB");

    let delays = steady(agent, &sink, seconds);
    let what = "from write to the request at p99, 1,000 lines/s over 100 files, `max_wait` 100 ms";
    goals.at_most(what, at(&delays, 0.99), 150.0, "ms");
    let delays = first_lines(agent, &sink, if trial { 2 } else { 20 });
    goals.at_most("a new container's first line at most, `max_wait` 100 ms", at(&delays, 1.0), 300.0, "ms");
    scale(&goals, agent, &sink, long);
}

/// Whether the cost stays with more files and with more bytes.
fn scale(goals: &Goals, agent: &Agent, sink: &Sink, long: u64) {
    let short = long / 50;
    let (few, many) =
        (per_gigabyte(agent, sink, 10, 0, short, 3), per_gigabyte(agent, sink, 10, 990, short, 3));
    let more = (many.0 / few.0 - 1.0) * 100.0;
    goals.row(
        "1,000 files of which 10 are busy, to 10 files",
        &format!("{:.2} to {:.2} CPU-s per GB, {more:+.0} %", many.0, few.0),
        "± 10 %",
        more <= 10.0,
    );
    let most = per_gigabyte(agent, sink, 10, 0, long, 1);
    goals.row(
        &format!("a backlog of {} MB, to one of {} MB", long / 1_000_000, short / 1_000_000),
        &format!("{:.2} to {:.2} CPU-s per GB; {:.0} to {:.0} MiB", most.0, few.0, most.1, few.1),
        "flat, ± 10 %",
        most.0 <= few.0 * 1.1 && most.1 <= few.1 * 1.1,
    );
}

fn output(sink: &Sink) -> String {
    format!("urls: [\"{}\"], batch: {{ max_wait: 100ms }}", sink.url())
}

/// An agent that has shipped what its node had.
fn settled(agent: &Agent, sink: &Sink, node: &Node) -> Running {
    sink.take();
    let running = Running::start(&mut agent.command(node, &output(sink)));
    wait_for(|| sink.taken().documents >= node.events);
    // Positions are written, memory is given back.
    pause(3_000);
    running
}

fn wait_for(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing came for two minutes");
        pause(1);
    }
}

/// CPU time until something leaves that was written while the agent was away, in seconds.
fn start(agent: &Agent, sink: &Sink, files: usize) -> f64 {
    let node = Node::new(files, files as u64 * 2_000).unwrap();
    drop(settled(agent, sink, &node));
    append(&node.files[0], "written meanwhile");
    sink.take();
    let running = Running::start(&mut agent.command(&node, &output(sink)));
    wait_for(|| sink.taken().requests > 0);
    running.cpu()
}

/// CPU time per second while nothing happens, and what is resident then in MiB.
fn idle(agent: &Agent, sink: &Sink, files: usize, seconds: u64) -> (f64, f64) {
    let node = Node::new(files, files as u64 * 2_000).unwrap();
    let running = settled(agent, sink, &node);
    let before = running.cpu();
    pause(seconds * 1_000);
    ((running.cpu() - before) / seconds as f64, running.kib("VmRSS:") / 1024.0)
}

/// How long lines take that come steadily, a thousand in each second, sorted.
fn steady(agent: &Agent, sink: &Sink, seconds: u64) -> Vec<Duration> {
    let node = Node::new(100, 200_000).unwrap();
    let _running = settled(agent, sink, &node);
    let mut files: Vec<File> = node.files.iter().map(|path| appending(path)).collect();
    sink.watch_times();
    let begun = Instant::now();
    for number in 0..seconds * 1_000 {
        while begun.elapsed() < Duration::from_millis(number) {
            pause(1);
        }
        let file = &mut files[number as usize % node.files.len()];
        file.write_all(line("a request was served").as_bytes()).unwrap();
    }
    wait_for(|| sink.taken().documents >= seconds * 1_000);
    sorted(sink.take().delays)
}

/// How long the first lines of new containers take, sorted.
fn first_lines(agent: &Agent, sink: &Sink, containers: u64) -> Vec<Duration> {
    let node = Node::new(10, 20_000).unwrap();
    let _running = settled(agent, sink, &node);
    sink.watch_times();
    let pod = node.files[0].parent().and_then(Path::parent).unwrap().to_owned();
    for number in 0..containers {
        let folder = pod.join(format!("another-{number}"));
        fs::create_dir_all(&folder).unwrap();
        append(&folder.join("0.log"), "started");
        wait_for(|| sink.taken().documents > number);
    }
    sorted(sink.take().delays)
}

/// CPU-s per GB and the most memory in MiB, with so many files that hold all and others that hold a line.
fn per_gigabyte(
    agent: &Agent,
    sink: &Sink,
    busy: usize,
    others: usize,
    length: u64,
    rounds: usize,
) -> (f64, f64) {
    let compression = format!("urls: [\"{}\"], compression: none", sink.url());
    let mut node = Node::new(busy, length).unwrap();
    let mut bare = Node::new(busy, 0).unwrap();
    for node in [&mut node, &mut bare] {
        node.add_quiet(others).unwrap();
    }
    // What is there per file is paid once, at the start.
    let start = agent.ship(&bare, &compression).cpu();
    let mut costs: Vec<Cost> = (0..rounds).map(|_| agent.ship(&node, &compression)).collect();
    costs.sort_by(|a, b| a.cpu().total_cmp(&b.cpu()));
    let peak = costs.iter().map(|cost| cost.peak).fold(0.0, f64::max);
    ((costs[rounds / 2].cpu() - start).max(0.0) / (node.bytes as f64 / 1e9), peak)
}

fn line(text: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = time::rfc3339(now.as_nanos().try_into().unwrap());
    format!("{} stdout F {text}\n", String::from_utf8_lossy(&time))
}

fn appending(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

fn append(path: &Path, text: &str) {
    appending(path).write_all(line(text).as_bytes()).unwrap();
}

fn sorted(mut delays: Vec<Duration>) -> Vec<Duration> {
    delays.sort_unstable();
    delays
}

/// A quantile in milliseconds.
fn at(sorted: &[Duration], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e3)
}
