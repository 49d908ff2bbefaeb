//! What a process costs: the kernel's own counts.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, the same on all machines that we build for).
const TICKS: f64 = 100.0;

/// What one run of a process took.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// CPU time of all its threads, in its own code and in the kernel's, in seconds.
    pub user: f64,
    pub system: f64,
    /// From start to end, in seconds.
    pub wall: f64,
    /// The most memory that it held, in MiB.
    pub peak: f64,
}

impl Cost {
    /// CPU time in seconds.
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// A process that is told to end when it is dropped.
pub struct Running(Child);

/// Runs a process to its end, or until `is_done`, when it is told to end.
pub fn measure(command: &mut Command, mut is_done: impl FnMut() -> bool) -> Cost {
    let (before, begun) = (children(), Instant::now());
    let mut running = Running::start(command);
    let mut peak = 0.0;
    let mut told = false;
    while running.is_running() {
        peak = running.kib("VmHWM:").max(peak);
        if !told && is_done() {
            told = true;
            running.terminate();
        }
        pause(5);
    }
    let after = children();
    let (user, system) = (after.0 - before.0, after.1 - before.1);
    Cost { user, system, wall: begun.elapsed().as_secs_f64(), peak: peak / 1024.0 }
}

/// A measuring process looks at another one now and then.
#[expect(clippy::disallowed_methods, reason = "nobody is to be told: this is what time is measured with")]
pub fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// CPU time of all its threads so far, in seconds: the first field of each thread's `schedstat`, nanoseconds.
    pub fn cpu(&self) -> f64 {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.0.id())) else { return 0.0 };
        let of = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        };
        threads.flatten().filter_map(of).sum::<f64>() / 1e9
    }

    /// A figure of its memory, such as `VmRSS:`, in KiB; 0 once it has ended.
    pub fn kib(&self, name: &str) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
    }

    fn is_running(&mut self) -> bool {
        match self.0.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "{status}");
                false
            }
            None => true,
        }
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.terminate();
        let _ = self.0.wait();
    }
}

/// The CPU time (own, kernel) of all processes that this one has waited for, in seconds: `cutime` and `cstime` in
/// `/proc/self/stat`, 13 and 14 words after the process' name.
fn children() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let mut times = after_name.split(' ').skip(13).map(|ticks| ticks.parse::<f64>().unwrap() / TICKS);
    (times.next().unwrap(), times.next().unwrap())
}
