//! How the agent itself behaves: `shutdown`, `http`, `log`.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(test)]
use super::schema;
use super::units::duration;

/// `shutdown`: what SIGTERM means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// On SIGTERM: `stop` sends what is complete and reads the rest at the next start; `drain` first reads
    /// every file to its end and gives out everything, for a sidecar. Default: `stop`.
    pub mode: ShutdownMode,
    /// How long that may take; keep it below the pod's `terminationGracePeriodSeconds`. Default: `25s`.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "schema::Duration"))]
    pub timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { mode: ShutdownMode::Stop, timeout: Duration::from_secs(25) }
    }
}

/// What is done before the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ShutdownMode {
    /// Reading stops; what is complete is sent; the rest is read at the next start.
    #[default]
    Stop,
    /// Every file is read to its end and all of it given out: for a sidecar, which has no next start.
    Drain,
}

/// `http`: the agent's own server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port of `/livez`, `/readyz`, `/metrics`, `/status`; IPv4 alone where there is no IPv6; port
    /// 0 picks one and logs it. Default: `[::]:9605`.
    pub listen: Listen,
    /// Adds namespace, pod and container to the metrics of reading and lag. Default: `false`.
    pub per_container_metrics: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: Listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9605))), per_container_metrics: false }
    }
}

/// Where the agent's own server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Listen(pub SocketAddr);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || format!("`{text}` is not an address with a port; write such as [::]:9605 or 127.0.0.1:9605");
        text.parse().map(Self).map_err(|_| serde::de::Error::custom(wrong()))
    }
}

/// `log`: the agent's own log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`; `$SKIDDER_LOG` comes before it. Default: `info`.
    pub level: Level,
    /// `text`, `json`, or `auto`: text on a terminal, JSON elsewhere. Default: `auto`.
    pub format: LogFormat,
}

/// How much the agent says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What needs someone.
    Error,
    /// What may need someone.
    Warn,
    /// What has changed.
    #[default]
    Info,
    /// What helps to find a cause.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The name that stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How the agent's own log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text.
    Text,
    /// JSON with ECS names.
    Json,
}
