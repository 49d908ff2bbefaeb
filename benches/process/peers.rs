//! Others that ship logs, each by its own configuration under `benches/peers/`: traces joined as well as it can,
//! documents of the same fields as far as it has them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::corpus::node::Node;
use super::cost::{Cost, measure};
use super::sink::Sink;
use super::{bench_file, filled};

/// Nothing came for so long: it is done.
const SILENCE: Duration = Duration::from_secs(5);

/// One that ships logs.
pub struct Peer {
    pub name: &'static str,
    program: &'static str,
    configuration: &'static str,
    /// What stands before the configuration's path, on the command line.
    arguments: &'static [&'static str],
}

impl Peer {
    pub fn all() -> [Self; 3] {
        [
            Self {
                name: "rsyslog",
                program: "rsyslogd",
                configuration: "rsyslog.conf",
                arguments: &["-n", "-i", "NONE", "-f"],
            },
            Self {
                name: "Fluent Bit",
                program: "fluent-bit",
                configuration: "fluent-bit.yaml",
                arguments: &["-q", "-c"],
            },
            Self {
                name: "Vector",
                program: "vector",
                configuration: "vector.yaml",
                arguments: &["-qq", "--config"],
            },
        ]
    }

    /// Whether this machine has it.
    pub fn is_here(&self) -> bool {
        let mut asked = Command::new(self.program);
        let version = if self.program == "rsyslogd" { "-v" } else { "--version" };
        asked.arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Ships the whole node from the beginning. It is done when nothing came for [`SILENCE`].
    pub fn ship(&self, node: &Node, sink: &Sink) -> Cost {
        let work = node.path().join("peer");
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).unwrap();
        let template = fs::read_to_string(bench_file("peers").join(self.configuration)).unwrap();
        let values = [
            ("LOGS", &*node.path().join("pods").display().to_string()),
            ("WORK", &*work.display().to_string()),
            ("PORT", &*sink.port().to_string()),
        ];
        let path = work.join(self.configuration);
        fs::write(&path, filled(&template, &values)).unwrap();
        let begun = Instant::now();
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(&path).stderr(Stdio::null());
        measure(&mut command, || {
            let last = sink.taken().last.unwrap_or(begun + 5 * SILENCE);
            last.elapsed() > SILENCE
        })
    }
}
