//! A testnet that outlives the command which started it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::dir::Dir;
use crate::ending::end_all;
use crate::state::State;
use crate::{Plan, Report, Stopped, Testnet, TestnetError, interrupted};

/// Starts a testnet and leaves it running. When it fails or is interrupted, nothing but logs stays.
///
/// # Errors
/// When the directory cannot be used, a node ends, or does not get ready in time.
pub async fn up(
    plan: &Plan,
    limit: Duration,
    progress: &mut dyn FnMut(String),
) -> Result<Report, TestnetError> {
    let mut testnet = Testnet::create(plan)?;
    let launched = async {
        testnet.launch(plan.nodes, progress).await?;
        let report =
            Report::of(testnet.dir().to_owned(), testnet.genesis().to_owned(), testnet.nodes()).await;
        report.all_answer()?;
        Ok(report)
    };
    let result = tokio::select! {
        result = launched => result,
        () = interrupted() => Err(TestnetError::Interrupted),
        () = tokio::time::sleep(limit) => Err(TestnetError::TimedOut {
            number: None,
            what: format!("starting {} nodes", plan.nodes),
            limit,
            missing: format!("logs are in {}", plan.dir.join("logs").display()),
        }),
    };
    if result.is_err() {
        testnet.clear().await?;
    }
    result
}

/// How the testnet is doing.
///
/// # Errors
/// When there is none.
pub async fn status(dir: &Path) -> Result<Report, TestnetError> {
    let dir = Dir::open(dir)?;
    let none = || TestnetError::NotRunning { dir: dir.path().to_owned() };
    let state = State::load(&dir.state())?.ok_or_else(none)?;
    Ok(Report::of(dir.path().to_owned(), state.genesis, &state.nodes).await)
}

/// Stops the testnet, if there is one. What its nodes stored stays until the next one starts there.
///
/// # Errors
/// When a node cannot be ended.
pub async fn down(dir: &Path) -> Result<Stopped, TestnetError> {
    let stopped = |nodes| Stopped { schema: "althing.testnet-stopped/v1", dir: dir.to_owned(), nodes };
    let opened = match Dir::open(dir) {
        Err(TestnetError::NotRunning { .. }) => return Ok(stopped(Vec::new())),
        other => other?,
    };
    let Some(state) = State::load(&opened.state())? else { return Ok(stopped(Vec::new())) };
    let ended = end_all(&state.nodes).await?;
    fs::remove_file(opened.state()).map_err(TestnetError::io("remove", &opened.state()))?;
    Ok(stopped(ended))
}
