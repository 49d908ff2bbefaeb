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

/// Prints them all; `length` is how many bytes a backlog has.
pub fn print(agent: &Agent, length: u64, trial: bool) {
    println!("| figure | measured | goal |\n| --- | --- | --- |");
    let row = |what: &str, measured: String, goal: &str| println!("| {what} | {measured} | {goal} |");
    let sink = Sink::start();

    let files = if trial { 20 } else { 500 };
    let start = start(agent, &sink, files);
    row(
        &format!("CPU from the start to the first request, {files} files and their checkpoints"),
        format!("{:.0} ms", start * 1e3),
        "≤ 100 ms",
    );

    let seconds = if trial { 1 } else { 20 };
    let (cpu, resident) = idle(agent, &sink, 100, seconds);
    row("CPU while nothing is written, 100 files", format!("{:.2} ms/s", cpu * 1e3), "≤ 1 ms/s");
    row("resident at rest, 100 containers", format!("{resident:.1} MiB"), "≤ 16 MiB");

    let delays = steady(agent, &sink, seconds);
    row(
        "from write to the request, 1,000 lines/s over 100 files, `max_wait` 100 ms",
        format!("{:.0} ms at p50, {:.0} at p99", at(&delays, 0.5), at(&delays, 0.99)),
        "p99 ≤ 150 ms",
    );
    let delays = first_lines(agent, &sink, if trial { 2 } else { 20 });
    row(
        "a new container's first line, `max_wait` 100 ms",
        format!("{:.0} ms at p50, {:.0} at most", at(&delays, 0.5), at(&delays, 1.0)),
        "≤ 300 ms",
    );

    let (few, many) =
        (per_gigabyte(agent, &sink, 10, 0, length), per_gigabyte(agent, &sink, 10, 990, length));
    row(
        "1,000 files of which 10 are busy, to 10 files",
        format!("{:.2} to {:.2} CPU-s per GB, {:+.0} %", many.0, few.0, (many.0 / few.0 - 1.0) * 100.0),
        "± 10 %",
    );
    let long = per_gigabyte(agent, &sink, 10, 0, length * 5);
    row(
        &format!("a backlog of {} MB, to one of {} MB", length * 5 / 1_000_000, length / 1_000_000),
        format!("{:.2} to {:.2} CPU-s per GB; {:.0} to {:.0} MiB", long.0, few.0, long.1, few.1),
        "flat",
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
fn per_gigabyte(agent: &Agent, sink: &Sink, busy: usize, others: usize, length: u64) -> (f64, f64) {
    let compression = format!("urls: [\"{}\"], compression: none", sink.url());
    let mut node = Node::new(busy, length).unwrap();
    let mut bare = Node::new(busy, 0).unwrap();
    for node in [&mut node, &mut bare] {
        node.add_quiet(others).unwrap();
    }
    // What is there per file is paid once, at the start.
    let start = agent.ship(&bare, &compression).cpu();
    let mut costs: Vec<Cost> = (0..3).map(|_| agent.ship(&node, &compression)).collect();
    costs.sort_by(|a, b| a.cpu().total_cmp(&b.cpu()));
    let peak = costs.iter().map(|cost| cost.peak).fold(0.0, f64::max);
    ((costs[1].cpu() - start).max(0.0) / (node.bytes as f64 / 1e9), peak)
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
