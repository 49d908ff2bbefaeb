//! A container of a plain Docker host: json-file lines, and Docker's own rotation with `compress`.

use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::json;
use skidder::event::Stream;

use super::{Clock, Node, Written, container_id, create, gzip, with_suffix};

/// A container that runs. Dropping it leaves its files where they are.
pub struct DockerContainer {
    clock: Clock,
    id: String,
    folder: PathBuf,
    live: File,
    written: Written,
}

impl DockerContainer {
    pub(super) fn start(node: &Node, name: &str) -> Self {
        let id = container_id();
        let folder = node.path().join("docker").join(&id);
        fs::create_dir(&folder).expect("folder of a container");
        let config = config(&id, name);
        fs::write(folder.join("config.v2.json"), config.to_string()).expect("config of a container");
        let live = create(&folder.join(format!("{id}-json.log")));
        Self { clock: node.clock.clone(), id, folder, live, written: node.written.clone() }
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The live file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}-json.log", self.id))
    }

    /// A whole line.
    pub fn line(&mut self, stream: Stream, text: &str) {
        self.write(stream, &format!("{text}\n"));
    }

    /// A part of a line: it has no newline of its own.
    pub fn part(&mut self, stream: Stream, text: &str) {
        self.write(stream, text);
    }

    /// Docker rotates and keeps `max_files` in all: each older file is renamed on, the live one becomes `.1`, a new
    /// one is opened, then `.1` is compressed.
    pub fn rotate(&mut self, max_files: usize) {
        let numbered = |number: usize| with_suffix(&self.path(), &format!(".{number}"));
        let compressed = |number: usize| with_suffix(&numbered(number), ".gz");
        for number in (1..max_files.saturating_sub(1)).rev() {
            if compressed(number).exists() {
                fs::rename(compressed(number), compressed(number + 1)).expect("older file");
            }
        }
        fs::rename(self.path(), numbered(1)).expect("live file");
        let live = create(&self.path());
        gzip(&numbered(1), &with_suffix(&numbered(1), ".gz.tmp"), &compressed(1));
        self.live = live;
    }

    /// The container is removed with its folder.
    pub fn delete(self) {
        fs::remove_dir_all(&self.folder).expect("folder of a container");
    }

    fn write(&mut self, stream: Stream, log: &str) {
        self.raw(&self.render(stream, log));
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.written.write(&self.live, bytes);
    }

    /// What the program wrote, with its newline or without, as Docker writes it just now.
    pub fn render(&self, stream: Stream, log: &str) -> Vec<u8> {
        // Docker's order of keys, which serde_json's own would not keep.
        format!(
            "{{\"log\":{},\"stream\":\"{}\",\"time\":\"{}\"}}\n",
            json!(log),
            stream.name(),
            self.clock.stamp()
        )
        .into_bytes()
    }
}

/// What Docker keeps of a container that Compose started, shortened.
fn config(id: &str, name: &str) -> serde_json::Value {
    let image = format!("sha256:{}", "0b1e".repeat(16));
    json!({
        "StreamConfig": {},
        "State": {
            "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false, "Pid": 4711, "ExitCode": 0,
            "StartedAt": "2026-11-22T10:00:00.123456789Z", "FinishedAt": "0001-01-01T00:00:00Z", "Health": null,
        },
        "ID": id,
        "Created": "2026-11-22T09:59:59.987654321Z",
        "Path": "/docker-entrypoint.sh",
        "Args": ["serve"],
        "Config": {
            "Hostname": &id[..12], "User": "", "ExposedPorts": { "80/tcp": {} }, "Tty": false,
            "Env": ["PATH=/usr/local/bin:/usr/bin", "NAME=another"], "Cmd": ["serve"],
            "Image": format!("registry.example.com/{name}:1.0"),
            "Volumes": null, "Entrypoint": ["/docker-entrypoint.sh"], "OnBuild": null,
            "Labels": {
                "app": name,
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": name,
                "org.opencontainers.image.version": "1.0",
            },
        },
        "Image": image,
        "NetworkSettings": { "Networks": { "shop_default": { "IPAddress": "172.18.0.2" } } },
        "LogPath": format!("/var/lib/docker/containers/{id}/{id}-json.log"),
        "Name": format!("/{name}"),
        "Driver": "overlay2", "OS": "linux", "RestartCount": 0, "MountPoints": {},
    })
}
