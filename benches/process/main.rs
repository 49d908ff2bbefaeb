//! The process as it runs on a node: the CPU time and the memory that `skidder run --once` takes for a node's files,
//! with everything that belongs to it (checkpoint, metrics, HTTP), beside `gzip -1` over the same bytes. The bulk
//! requests go to a cluster on loopback that takes everything, in this process, so its time is not counted.
//!
//! `SKIDDER_BENCH_BINARY` names the binary; else it is the one that cargo built for benches. `-- --test` is a trial
//! with little data.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on ends; what it prints is a table; it looks at a process from time to time"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../corpus/mod.rs"]
mod corpus;
mod sink;
use corpus::node::Node;
use sink::Sink;

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, the same on all machines that we build for).
const TICKS: f64 = 100.0;

/// What one run of a process took.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// CPU time of all its threads, in its own code and in the kernel's, in seconds.
    user: f64,
    system: f64,
    /// From start to end, in seconds.
    wall: f64,
    /// The most memory that it held, in MiB.
    peak: f64,
}

impl Cost {
    fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// Which process, and what it cost each time.
struct Subject {
    name: &'static str,
    /// The configuration's `compression`; `None` for `gzip -1`.
    compression: Option<&'static str>,
    costs: Vec<Cost>,
    /// Bytes that the sink received in the last run.
    wire: u64,
}

fn main() {
    let trial = std::env::args().any(|argument| argument == "--test");
    let (length, rounds) = if trial { (4 << 20, 1) } else { (200 << 20, 3) };
    let binary = std::env::var("SKIDDER_BENCH_BINARY");
    let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_skidder").to_owned());
    // What starting and ending cost is measured by itself, so that it is not taken for a cost per byte.
    let (node, bare) = (Node::new(8, length).unwrap(), Node::new(8, 0).unwrap());
    let sink = Sink::start();
    let subject = |name, compression| Subject { name, compression, costs: Vec::new(), wire: 0 };
    let mut subjects = [
        subject("skidder, compression: none", Some("none")),
        subject("skidder, compression: gzip", Some("gzip")),
        subject("gzip -1", None),
    ];
    let mut start = Vec::new();
    // In turns, so that what else the machine does falls on all alike.
    for _ in 0..rounds {
        start.push(ship(&binary, &bare, &sink, "none"));
        for subject in &mut subjects {
            let cost = match subject.compression {
                Some(compression) => ship(&binary, &node, &sink, compression),
                None => pack(&node),
            };
            subject.costs.push(cost);
            subject.wire = sink.take().1;
        }
    }
    report(&node, median(&mut start).cpu(), &mut subjects);
}

/// Ships the whole node.
fn ship(binary: &str, node: &Node, sink: &Sink, compression: &str) -> Cost {
    sink.take();
    let _ = fs::remove_dir_all(node.path().join("data"));
    let output = format!(
        "output: {{ elasticsearch: {{ urls: [\"{}\"], setup: false, compression: {compression} }} }}",
        sink.url()
    );
    let path = node.path().join("skidder.yaml");
    fs::write(&path, node.configuration(&output)).unwrap();
    let mut command = Command::new(binary);
    command.args(["run", "--once", "--config"]).arg(&path).env_remove("SKIDDER_LOG");
    let cost = measure(&mut command);
    assert_eq!(sink.documents(), node.events, "each event arrives, once");
    cost
}

fn pack(node: &Node) -> Cost {
    measure(Command::new("gzip").args(["-1", "-c"]).args(&node.files))
}

/// Runs a process to its end.
fn measure(command: &mut Command) -> Cost {
    let (before, begun) = (children(), Instant::now());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let peak = watch(&mut child);
    let after = children();
    let (user, system) = (after.0 - before.0, after.1 - before.1);
    Cost { user, system, wall: begun.elapsed().as_secs_f64(), peak }
}

/// Waits for its end; gives the most memory that it held, in MiB, as far as it was seen: the kernel keeps the maximum,
/// but not beyond the end.
fn watch(child: &mut Child) -> f64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kib.unwrap_or(0_u64));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return peak as f64 / 1024.0;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a measuring process looks at another one now and then"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The CPU time (own, kernel) of all processes that this one has waited for, in seconds: `cutime` and `cstime` in
/// `/proc/self/stat`, 13 and 14 words after the process' name.
fn children() -> (f64, f64) {
    let stat = fs::read_to_string(Path::new("/proc/self/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let mut times = after_name.split(' ').skip(13).map(|ticks| ticks.parse::<f64>().unwrap() / TICKS);
    (times.next().unwrap(), times.next().unwrap())
}

/// Sorts them by their CPU time.
fn median(costs: &mut [Cost]) -> Cost {
    costs.sort_by(|a, b| a.cpu().total_cmp(&b.cpu()));
    costs[costs.len() / 2]
}

/// Prints the table; `start` is the CPU time that the agent takes with nothing to read.
fn report(node: &Node, start: f64, subjects: &mut [Subject]) {
    let gigabytes = node.bytes as f64 / 1e9;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    println!(
        "{:.0} MB in {} files, {} events, {} rounds; {}",
        node.bytes as f64 / 1e6,
        node.files.len(),
        node.events,
        subjects[0].costs.len(),
        processor.map_or("an unknown processor", |(_, name)| name.trim()),
    );
    println!("starting and ending with nothing to read: {start:.2} CPU-s, taken off below\n");
    println!(
        "| process | CPU-s per GB: median (least to most) | of it kernel | wall s | peak MiB | on the wire MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for subject in subjects {
        let middle = median(&mut subject.costs);
        let start = if subject.compression.is_some() { start } else { 0.0 };
        let per_gigabyte = |cost: &Cost| (cost.cpu() - start).max(0.0) / gigabytes;
        let peak = subject.costs.iter().map(|cost| cost.peak).fold(0.0, f64::max);
        let wire = if subject.wire > 0 { format!("{:.0}", subject.wire as f64 / 1e6) } else { "–".into() };
        println!(
            "| {} | {:.2} ({:.2} to {:.2}) | {:.2} | {:.2} | {peak:.0} | {wire} |",
            subject.name,
            per_gigabyte(&middle),
            subject.costs.first().map_or(0.0, per_gigabyte),
            subject.costs.last().map_or(0.0, per_gigabyte),
            middle.system / gigabytes,
            middle.wall,
        );
    }
}
