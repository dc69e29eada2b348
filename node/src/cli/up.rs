use std::path::Path;

use althing_telemetry::{LogError, init_logs};
use serde_json::json;
use tokio::runtime::Builder;

use super::args;
use super::failure::{Exit, Failure};
use super::network;
use super::page::{Page, Screen, Text, color};
use super::session::runtime;
use crate::daemon::{self, Options, Summary};
use crate::settings::Settings;

/// Runs a node until it is asked to stop. What is printed when it is ready is all that goes to standard output.
pub(crate) fn up(args: &args::Up, settings: &Settings, screen: Screen) -> Result<Page, Failure> {
    init_logs(settings.log_format, &settings.log_filter, color()).map_err(|error| match error {
        LogError::Filter { .. } | LogError::Format { .. } => Failure::new(Exit::Usage, error),
        LogError::AlreadySet => Failure::new(Exit::Failed, error),
    })?;
    let genesis = settings.genesis.as_deref();
    let options = Options {
        home: settings.home.clone(),
        passphrase_file: settings.passphrase_file.clone(),
        listen: settings.listen.clone(),
        join: settings.join.clone(),
        api: settings.api_listen,
        api_tls: settings.api_tls.clone(),
        api_hosts: settings.api_hosts.clone(),
        genesis: genesis.map(network::read).transpose()?,
        profile: settings.profile,
        mdns: settings.mdns,
        accept_rollback: args.accept_rollback,
    };
    let ready = |summary: &Summary| {
        if let Ok(page) = ready_page(summary, genesis) {
            screen.show(&page);
        }
    };
    runtime(Builder::new_multi_thread())?.block_on(daemon::run(options, ready)).map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Failed, error).hint(hint)
    })?;
    Ok(Page::nothing())
}

fn ready_page(summary: &Summary, genesis: Option<&Path>) -> Result<Page, Failure> {
    let genesis = genesis.map(|file| format!(" --genesis {}", file.display())).unwrap_or_default();
    let join = summary.listen.first().map(|address| format!("althing up --join {address}{genesis}"));
    let mut pairs = vec![
        ("node", summary.node.to_string()),
        ("agent", summary.agent.to_string()),
        ("network", format!("{} ({})", summary.network_name, summary.network)),
    ];
    pairs.extend(summary.listen.iter().map(|address| ("listen", address.clone())));
    pairs.push(("api", summary.api.clone()));
    if let Some(join) = &join {
        pairs.push(("join with", join.clone()));
    }
    let mut text = Text::default();
    let state = if summary.waiting_for.is_empty() {
        "ready; Ctrl-C or `althing down` stops it".to_owned()
    } else {
        let missing = summary.waiting_for.join(", ");
        format!(
            "up, but still waiting for {missing}: are the --join addresses right, and of the same network?"
        )
    };
    text.pairs(&pairs).line(&state);
    let document = json!({
        "schema": "althing.up/v1",
        "node": summary.node.to_string(),
        "agent": summary.agent.to_string(),
        "network": summary.network.to_string(),
        "network_name": summary.network_name,
        "listen": summary.listen,
        "api": summary.api,
        "join": join,
        "waiting_for": summary.waiting_for,
    });
    Page::new(&document, text)
}
