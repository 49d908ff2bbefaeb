//! The usual `process_*` metrics, read from the kernel at each scrape.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    /// Seconds since 1970 when it began to watch itself, which it does first of all.
    started: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: started.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = ConstCounter::new(cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
        let described = to.encode_descriptor(
            "process_cpu_seconds",
            "User and system CPU time spent",
            None,
            cpu.metric_type(),
        )?;
        cpu.encode(described)?;
        let mut gauge = |name: &str, help: &str, value: Option<f64>| {
            let Some(value) = value else { return Ok(()) };
            let value = ConstGauge::new(value);
            value.encode(to.encode_descriptor(name, help, None, value.metric_type())?)
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        gauge("process_resident_memory_bytes", "Resident memory", memory(&status, "VmRSS:"))?;
        gauge("process_virtual_memory_bytes", "Virtual memory", memory(&status, "VmSize:"))?;
        gauge("process_open_fds", "Open file descriptors", open_fds())?;
        gauge("process_max_fds", "Most file descriptors that may be open", max_fds())?;
        gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            Some(self.started),
        )
    }
}

/// The bytes of a line such as `VmRSS:     1234 kB`.
fn memory(status: &str, name: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn open_fds() -> Option<f64> {
    // One of them is the folder's own.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn max_fds() -> Option<f64> {
    // No limit is shown as none; Prometheus' own clients do so too.
    getrlimit(Resource::Nofile).current.map(|limit| limit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_lines() {
        let status = "Name:\tskidder\nVmSize:\t   20480 kB\nVmRSS:\t    4096 kB\n";
        assert_eq!(memory(status, "VmRSS:"), Some(4_194_304.0));
        assert_eq!(memory(status, "VmSize:"), Some(20_971_520.0));
        assert_eq!(memory(status, "VmSwap:"), None);
        assert_eq!(memory("VmRSS:\tmuch kB", "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_files_open() {
        assert!(open_fds().is_some_and(|count| count >= 3.0));
    }
}
