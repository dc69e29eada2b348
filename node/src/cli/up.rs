use std::path::{Path, PathBuf};

use althing_gateway::api;
use althing_record::Network;
use althing_telemetry::{LogError, LogFile, Logs, Rotation, init_logs, log_panics};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use super::args;
use super::detach;
use super::failure::{Exit, Failure};
use super::network;
use super::page::{Page, Screen, Text, color};
use super::session::{Session, runtime};
use crate::daemon::{self, Options, Summary};
use crate::settings::Settings;

/// How long what runs in the background may take to end, once the node has stopped.
const RUNTIME_END_MAX: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs a node until it is asked to stop. What is printed when it is ready is all that goes to standard output.
pub(crate) fn up(
    args: &args::Up,
    settings: &Settings,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    let detached = detach::is_child();
    if args.detach && !detached {
        return session.block_on(detach::up(session));
    }
    let mut home = settings.home.clone();
    if detached {
        detach::leave_terminal()?;
        home = std::path::absolute(&home).map_err(|error| Failure::file("use", &home, &error))?;
    }
    let log = LogFile::new(Rotation::default());
    let logs = Logs {
        format: settings.log_format,
        filter: settings.log_filter.clone(),
        stderr: !detached,
        color: color(),
        file: Some(log.clone()),
    };
    init_logs(logs).map_err(|error| match error {
        LogError::Filter { .. } | LogError::Format { .. } => Failure::new(Exit::Usage, error),
        LogError::AlreadySet => Failure::new(Exit::Failed, error),
    })?;
    log_panics();
    let genesis = settings.genesis.as_deref();
    let options = Options {
        home: home.clone(),
        passphrase_file: settings.passphrase_file.clone(),
        listen: settings.listen.clone(),
        join: settings.join.clone(),
        api: settings.api_listen,
        api_tls: settings.api_tls.clone(),
        api_hosts: settings.api_hosts.clone(),
        api_connections: settings.api_connections,
        calls_per_peer: settings.calls_per_peer,
        publish_ratings: settings.publish_ratings,
        keeps_ledger: settings.keeps_ledger,
        checkpoint_seconds: settings.checkpoint_seconds,
        genesis: genesis.map(network::read).transpose()?,
        profile: settings.profile,
        mdns: settings.mdns,
        reachability: settings.reachability,
        relay: settings.relay,
        upnp: settings.upnp,
        accept_rollback: args.accept_rollback,
        log,
        detached,
    };
    let end = format!("Ctrl-C or `althing down{}` stops it", session.home_flag());
    let ready = |summary: &Summary| {
        if let Ok(page) = Up::new(summary, &home).page(&end) {
            screen.show(&page);
        }
        if detached {
            detach::leave_rest(&home);
        }
    };
    let runtime = runtime(Builder::new_multi_thread())?;
    let outcome = runtime.block_on(daemon::run(options, ready));
    runtime.shutdown_timeout(RUNTIME_END_MAX);
    outcome.map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Failed, error).hint(hint)
    })?;
    Ok(Page::nothing())
}

/// What `up` says of the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Up {
    schema: String,
    node: String,
    agent: String,
    network: String,
    network_name: String,
    listen: Vec<String>,
    api: String,
    join: Option<String>,
    waiting_for: Vec<String>,
    pid: u32,
    log: PathBuf,
    /// The node ran before this command.
    already_running: bool,
}

impl Up {
    pub(super) const SCHEMA: &str = "althing.up/v1";

    fn new(summary: &Summary, home: &Path) -> Self {
        let network = summary.network.to_string();
        Self {
            schema: Self::SCHEMA.to_owned(),
            node: summary.node.to_string(),
            agent: summary.agent.to_string(),
            join: join_with(&summary.listen, &network, home),
            network,
            network_name: summary.network_name.clone(),
            listen: summary.listen.clone(),
            api: summary.api.clone(),
            waiting_for: summary.waiting_for.clone(),
            pid: std::process::id(),
            log: summary.log.clone(),
            already_running: false,
        }
    }

    /// The same of a node that runs already.
    pub(super) fn of_running(status: api::Status, log: PathBuf, home: &Path) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            join: join_with(&status.listen, &status.network, home),
            node: status.node,
            agent: status.agents.into_iter().next().unwrap_or_default(),
            network: status.network,
            network_name: status.network_name,
            listen: status.listen,
            api: status.api,
            waiting_for: status.waiting_for,
            pid: status.pid,
            log,
            already_running: true,
        }
    }

    /// As it is printed; `end` says how the node is stopped.
    pub(super) fn page(&self, end: &str) -> Result<Page, Failure> {
        let mut pairs = vec![
            ("node", self.node.clone()),
            ("agent", self.agent.clone()),
            ("network", format!("{} ({})", self.network_name, self.network)),
        ];
        pairs.extend(self.listen.iter().map(|address| ("listen", address.clone())));
        pairs.push(("api", self.api.clone()));
        pairs.push(("pid", self.pid.to_string()));
        pairs.push(("log", self.log.display().to_string()));
        if let Some(join) = &self.join {
            pairs.push(("join with", join.clone()));
        }
        let mut text = Text::default();
        text.pairs(&pairs);
        if self.already_running {
            text.line(&format!("it runs already (pid {}); options given now have no effect on it", self.pid));
        }
        let missing = self.waiting_for.join(", ");
        text.line(&match missing.as_str() {
            "" => format!("ready; {end}"),
            missing => format!(
                "up, but still waiting for {missing}: are the --join addresses right, and of the same network? They \
                 are kept in the file join beside {}",
                self.log.display()
            ),
        });
        Page::new(self, text)
    }
}

/// How others join; a network of one's own needs its file too.
fn join_with(listen: &[String], network: &str, home: &Path) -> Option<String> {
    let address = listen.first()?;
    let genesis = if network == Network::builtin().id().to_string() {
        String::new()
    } else {
        format!(" --genesis {}", home.join("genesis.cbor").display())
    };
    Some(format!("althing up --join {address}{genesis}"))
}
