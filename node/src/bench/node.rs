use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use althing_net::{Limits, Membership, Net, Profile, ReachMode};
use althing_record::{NetworkId, NodeKey};
use althing_testnet::{ProcessId, Signal, Testnet};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::mpsc;

use super::cards::{CARDS, cost_of_cards};
use super::figure::Runs;
use super::lab::Lab;
use super::{BenchError, Benchmark, Figure, ms};

/// Starts of one run.
const STARTS: usize = 20;
/// Connections of one run.
const CONNECTIONS: usize = 64;
/// How long memory is given to settle.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);

/// One node: how fast it starts, what it takes, and what more it takes for each connection.
pub(crate) async fn node(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    let mut runs = Runs::new(Benchmark::Node);
    for run in 1..=lab.runs {
        say(format!("node: run {run} of {}, {STARTS} starts", lab.runs));
        let home = lab.dir().join(format!("start-{run}"));
        let mut samples = Vec::new();
        let mut first = 0.0;
        for start in 0..STARTS {
            let took = ms(time_to_ready(&lab.program, &home).await?);
            if start == 0 { first = took } else { samples.push(took) }
        }
        runs.one("first start, to ready", "ms", first, 1);
        runs.times("start, to ready", samples);

        say(format!("node: run {run} of {}, {CONNECTIONS} connections", lab.runs));
        let testnet = lab.network(&format!("node-{run}"), 1).await?;
        let (idle, connected, cards) = lab
            .on(testnet, async |testnet| {
                let (idle, connected) = memory_of_connections(testnet).await?;
                say(format!("node: run {run} of {}, {CARDS} cards", lab.runs));
                Ok((idle, connected, cost_of_cards(testnet).await?))
            })
            .await?;
        runs.one("resident memory, idle", "MB", idle / 1e6, 1);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let each = (connected - idle) / CONNECTIONS as f64;
        runs.one("resident memory, each connection", "kB", each / 1e3, CONNECTIONS);
        runs.one("resident memory, each stored card", "kB", cards.memory / 1e3, CARDS as usize);
        runs.one("disk, each stored card", "kB", cards.disk / 1e3, CARDS as usize);
        runs.one("cards imported", "1/s", cards.rate, 1);
    }
    Ok(runs.figures())
}

/// From the start of the process to what it prints when it is ready.
async fn time_to_ready(program: &Path, home: &Path) -> Result<Duration, BenchError> {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args([
            "up",
            "--json",
            "--config",
            "",
            "--profile",
            "testnet",
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--home",
        ])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| BenchError::unexpected(&error))?;
    let out = child.stdout.take().ok_or_else(|| BenchError::unexpected(&"the node has no output"))?;
    let document = first_document(out).await?;
    let took = start.elapsed();
    if document["schema"] != "althing.up/v1" || document["waiting_for"] != serde_json::json!([]) {
        return Err(BenchError::Unexpected(format!("a node is not ready: {document}")));
    }
    if let Some(process) = child.id().and_then(ProcessId::of) {
        process.signal(Signal::Term).map_err(|error| BenchError::unexpected(&error))?;
    }
    child.wait().await.map_err(|error| BenchError::unexpected(&error))?;
    Ok(took)
}

/// The first JSON document that a command prints.
async fn first_document(out: ChildStdout) -> Result<Value, BenchError> {
    let (mut lines, mut text) = (BufReader::new(out).lines(), String::new());
    while let Some(line) = lines.next_line().await.map_err(|error| BenchError::unexpected(&error))? {
        text.push_str(&line);
        if let Ok(document) = serde_json::from_str(&text) {
            return Ok(document);
        }
    }
    Err(BenchError::Unexpected(format!("a node ended before it was ready: {text}")))
}

/// The resident memory of a node in bytes, without peers and with [`CONNECTIONS`].
async fn memory_of_connections(testnet: &Testnet) -> Result<(f64, f64), BenchError> {
    let node = testnet.node(1)?;
    let address = node.listen.first().ok_or_else(|| BenchError::unexpected(&"the node listens nowhere"))?;
    tokio::time::sleep(SETTLE).await;
    let idle = resident(node.process.pid)?;
    let mut peers = Vec::new();
    for number in 0..CONNECTIONS {
        peers.push(connect(number, testnet.network().id(), address).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let connected = resident(node.process.pid)?;
    for peer in peers {
        peer.shutdown().await;
    }
    Ok((idle, connected))
}

/// A peer that does nothing but be connected.
async fn connect(number: usize, network: NetworkId, address: &str) -> Result<Net, BenchError> {
    let mut seed = [0xb7; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let config = althing_net::Config {
        key: NodeKey::from_seed(&seed),
        network,
        listen: Vec::new(),
        bootstrap: vec![address.parse().map_err(|error| BenchError::unexpected(&error))?],
        mdns: false,
        reachability: ReachMode::Auto,
        relay: false,
        upnp: false,
        profile: Profile::Testnet,
        shelf: None,
        streams: None,
        limits: Limits::default(),
    };
    let (events, mut received) = mpsc::channel(64);
    let net = althing_net::start(config, &mut Registry::default(), events)
        .await
        .map_err(|error| BenchError::unexpected(&error))?;
    // Whoever does not take its events is a slow node, and that is not what is measured.
    tokio::spawn(async move { while received.recv().await.is_some() {} });
    let mut state = net.watch();
    let member = state.wait_for(|state| state.peers.iter().any(|peer| peer.membership == Membership::Member));
    match tokio::time::timeout(Duration::from_secs(10), member).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => return Err(BenchError::Unexpected(format!("connection {number} fails"))),
    }
    Ok(net)
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<f64, BenchError> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|error| BenchError::unexpected(&error))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    Ok(kib.ok_or_else(|| BenchError::Unexpected(format!("{path} tells no memory")))? * 1_024.0)
}
