//! Other configurations for an agent that runs.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::plan::{Plan, keep_fixed};
use super::reader::Course;
use super::{Agent, shown};
use crate::config::{Config, ConfigError};
use crate::observe::Configuration;
use crate::observe::log::Log;
use crate::observe::metrics::ResultLabel;
use crate::ship::elasticsearch::StateHandle;

/// How long a shift may take to its end before what is under way is left to the next one. Nothing is read meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where the output takes nothing: what waits for it may well be what the new configuration is for.
const PATIENCE_IN_TROUBLE: Duration = Duration::from_secs(1);

/// Configurations as they are loaded anew, or why they could not be.
pub struct Reloads {
    loaded: mpsc::Receiver<Result<Config, ConfigError>>,
    log: Option<Log>,
}

impl Reloads {
    /// Takes what is loaded; `log` is given the level that it says.
    pub fn new(loaded: mpsc::Receiver<Result<Config, ConfigError>>, log: Log) -> Self {
        Self { loaded, log: Some(log) }
    }

    /// None will ever come.
    pub fn none() -> Self {
        Self { loaded: mpsc::channel(1).1, log: None }
    }

    /// Waits for a configuration that is valid and another than the `running` one. What cannot be applied is said and
    /// left as it is.
    pub(super) async fn next(&mut self, running: &Config, course: Course, agent: &Agent) -> Plan {
        loop {
            let Some(loaded) = self.loaded.recv().await else { return std::future::pending().await };
            let refused = match loaded.map_err(|error| error.to_string()) {
                Ok(mut config) => {
                    let kept = keep_fixed(running, &mut config);
                    for key in &kept {
                        warn!("{key} has changed; restart the agent to apply it");
                    }
                    if config == *running {
                        info!("the configuration was loaded again; nothing that can be applied has changed");
                        self.applied(running, agent);
                        continue;
                    }
                    match Plan::new(config, course) {
                        Ok(plan) => {
                            info!("applying the changed configuration {}", plan.config.hash());
                            return plan;
                        }
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => error,
            };
            error!("the changed configuration is not applied, the running one stays: {refused}");
            agent.metrics.config_reloads.get_or_create_owned(&ResultLabel { result: "failure" }).inc();
            agent.metrics.config_last_reload_successful.set(0);
            agent.status.configured(Configuration { refused: Some(refused), ..shown(running) });
        }
    }

    /// A configuration that was loaded again is in use.
    pub(super) fn applied(&self, config: &Config, agent: &Agent) {
        if let Some(Err(error)) = self.log.as_ref().map(|log| log.set_level(config.log.level.name())) {
            warn!("log.level: {error}");
        }
        agent.metrics.config_reloads.get_or_create_owned(&ResultLabel { result: "success" }).inc();
        agent.configured(config);
    }
}

/// Resolves when an ending shift is waited for no longer.
pub(super) async fn out_of_patience(output: &StateHandle) {
    let in_trouble = async {
        loop {
            while output.now().ready().is_ok() {
                tokio::time::sleep(PATIENCE_IN_TROUBLE / 10).await;
            }
            tokio::time::sleep(PATIENCE_IN_TROUBLE).await;
            if output.now().ready().is_err() {
                return;
            }
        }
    };
    // Either way it is over.
    let _ = tokio::time::timeout(PATIENCE, in_trouble).await;
}
