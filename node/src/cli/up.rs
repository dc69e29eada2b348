use std::path::Path;

use althing_net::Profile;
use althing_telemetry::{LogError, LogFormat, init_logs};
use serde_json::json;
use tokio::runtime::Builder;

use super::args;
use super::failure::{Exit, Failure};
use super::network;
use super::page::{Page, Screen, Text, color};
use super::session::{Session, runtime};
use crate::daemon::{self, Options, RunError, Summary};

/// Runs a node until it is asked to stop. What is printed when it is ready is all that goes to standard output.
pub(crate) fn up(args: args::Up, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let format = match args.log_format {
        args::LogFormat::Text => LogFormat::Text,
        args::LogFormat::Json => LogFormat::Json,
    };
    init_logs(format, &args.log, color()).map_err(|error| match error {
        LogError::Filter { .. } | LogError::Format { .. } => Failure::new(Exit::Usage, error),
        LogError::AlreadySet => Failure::new(Exit::Failed, error),
    })?;
    let genesis = args.genesis.as_deref().map(network::read).transpose()?;
    let options = Options {
        home: session.home().to_owned(),
        listen: args.listen,
        join: args.join,
        api: args.api,
        genesis,
        profile: match args.profile {
            args::Profile::Default => Profile::Default,
            args::Profile::Testnet => Profile::Testnet,
        },
        accept_rollback: args.accept_rollback,
    };
    let ready = |summary: &Summary| {
        if let Ok(page) = ready_page(summary, args.genesis.as_deref()) {
            screen.show(&page);
        }
    };
    runtime(Builder::new_multi_thread())?.block_on(daemon::run(options, ready)).map_err(|error| {
        let hint = if matches!(&error, RunError::File { path, .. } if is_passphrase_file(path)) {
            Some("let ALTHING_PASSPHRASE_FILE name a file that this user can read, or unset it".to_owned())
        } else {
            error.hint()
        };
        Failure::new(Exit::Failed, error).hint(hint)
    })?;
    Ok(Page::nothing())
}

fn is_passphrase_file(path: &Path) -> bool {
    std::env::var_os("ALTHING_PASSPHRASE_FILE").is_some_and(|named| path == Path::new(&named))
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
    pairs.push(("api", format!("http://{}", summary.api)));
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
        "api": summary.api.to_string(),
        "join": join,
        "waiting_for": summary.waiting_for,
    });
    Page::new(&document, text)
}
