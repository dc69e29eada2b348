//! The node itself: the engine in the middle, and around it what it needs of the world.
//!
//! ```text
//!   libp2p swarm ──► inbound (verifies off the loop) ──► ┌────────────┐ ──► committer thread (guard, RocksDB)
//!   gateway ───────► asks ─────────────────────────────► │ event loop │ ──► swarm, gateway, logs, metrics
//!   committer ─────► durable ──────────────────────────► └────────────┘      (what waits for a commit: after it)
//! ```
//! Every arrow is a bounded queue or a watched value. The event loop waits for nobody but the committer.

mod acquaintances;
mod attest;
mod call_counts;
mod calls;
mod clock;
mod descriptors;
mod desk;
mod event_loop;
mod experience;
mod expose;
pub(crate) mod home;
mod inbound;
mod instruments;
mod leaves;
mod places;
mod reaching;
mod receipts;
mod run_error;
mod service;
mod shelf;
mod signals;
mod tasks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use althing_engine::{Config, Engine, GuardStatus, Timing};
use althing_gateway::api::ProtocolHealth;
use althing_gateway::{Asked, Backend, Calls, Gateway, Tls};
use althing_net::{Limits, Membership, Multiaddr, Net, NetState, Profile, ReachMode, Topic};
use althing_record::{AgentId, Network, NetworkId, NodeId};
use althing_rocks::{GuardState, OpenError, Rocks};
use althing_store::{CommitNo, Guard};
use althing_telemetry::{Build, FILE_ONLY_TARGET, LogFile, Metrics};
use althing_tunnel::{KeysHere, Meter};
use tokio::sync::{Notify, mpsc, watch};

use calls::Tunnel;
use clock::Clock;
use desk::Desk;
use event_loop::EventLoop;
use expose::ExposeDesk;
use inbound::Inbound;
use instruments::Instruments;
use reaching::{dialable, peer_info};
pub(crate) use run_error::RunError;
use service::Service;
use signals::Signals;

/// Events of the swarm that may wait to be taken up.
const NET_EVENTS_MAX: usize = 1_024;

/// Inputs that may wait for the event loop.
const INPUTS_MAX: usize = 1_024;

/// How long `up` waits for a first peer before it says that there is none yet.
const FIRST_PEER_WITHIN: Duration = Duration::from_secs(5);

/// How long clients and peers may hold up a node that stops, once all is on disk.
const FAREWELL_MAX: Duration = Duration::from_millis(1_200);

/// Asks of local clients that may wait for the event loop.
const ASKS_MAX: usize = 256;

/// What a node is started with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The node's directory; made if it does not exist.
    pub(crate) home: PathBuf,
    /// The file whose first line is the keystore's passphrase.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Multiaddrs to listen on; empty: the defaults.
    pub(crate) listen: Vec<Multiaddr>,
    /// Multiaddrs of nodes to join by.
    pub(crate) join: Vec<Multiaddr>,
    /// Where to serve the local API over TCP.
    pub(crate) api: SocketAddr,
    /// With what to serve it over TLS.
    pub(crate) api_tls: Option<Tls>,
    /// Under which names, with ports, it may be asked for besides its own address.
    pub(crate) api_hosts: Vec<String>,
    /// Most clients of it over TCP at once.
    pub(crate) api_connections: u32,
    /// Most calls of one node under way here at once.
    pub(crate) calls_per_peer: u32,
    /// Whether to publish how calls to other agents went.
    pub(crate) publish_ratings: bool,
    /// Whether to hold what raters publish.
    pub(crate) keeps_ledger: bool,
    /// Seconds between checkpoints that committee members here propose, at least; 0: none.
    pub(crate) checkpoint_seconds: u32,
    /// The network; `None`: the one that this home is in already, or else the built-in one.
    pub(crate) genesis: Option<Network>,
    /// Where the node runs.
    pub(crate) profile: Profile,
    /// Whether to look for nodes on the local network, and be found there.
    pub(crate) mdns: bool,
    /// Whether peers can dial this node, if the operator knows.
    pub(crate) reachability: ReachMode,
    /// Whether to relay for nodes that peers cannot dial.
    pub(crate) relay: bool,
    /// Whether to ask the router for a way in.
    pub(crate) upnp: bool,
    /// Run, without voting, on a store that is older than its vote guard.
    pub(crate) accept_rollback: bool,
    /// The log, which gets its file once the home is this node's.
    pub(crate) log: LogFile,
    /// The node has no terminal: what would go to standard error belongs into the log.
    pub(crate) detached: bool,
}

/// What `up` prints when the node is ready.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// The node.
    pub(crate) node: NodeId,
    /// Its default agent.
    pub(crate) agent: AgentId,
    /// The network's id.
    pub(crate) network: NetworkId,
    /// The network's name.
    pub(crate) network_name: String,
    /// The addresses that peers can dial, as multiaddrs that end in `/p2p/<node>`.
    pub(crate) listen: Vec<String>,
    /// The address of the local API, as a URL.
    pub(crate) api: String,
    /// What is missing before the node is ready, after it was given a moment.
    pub(crate) waiting_for: Vec<String>,
    /// The log.
    pub(crate) log: PathBuf,
}

/// Where the store is in a home.
#[must_use]
pub(crate) fn store_dir(home: &Path) -> PathBuf {
    home.join("store")
}

/// The book of Accepts: how many this node's agents have signed to whom.
pub(crate) fn accepts_file(home: &Path) -> PathBuf {
    store_dir(home).join("accepts")
}

/// How many files a node may have open at once.
pub(crate) fn files_needed() -> u64 {
    descriptors::needed_by_default()
}

/// Where the log is in a home.
#[must_use]
pub(crate) fn log_file(home: &Path) -> PathBuf {
    home.join("node.log")
}

/// Runs a node until it is asked to stop: SIGINT, SIGTERM, or `POST /v1/shutdown`.
///
/// # Errors
/// When it cannot start, or has to stop by itself.
pub(crate) async fn run(options: Options, ready: impl FnOnce(&Summary)) -> Result<(), RunError> {
    let outcome = run_to_end(options, ready).await;
    if let Err(error) = &outcome {
        tracing::error!(target: FILE_ONLY_TARGET, %error, "the node ends");
    }
    outcome
}

async fn run_to_end(options: Options, ready: impl FnOnce(&Summary)) -> Result<(), RunError> {
    let local = althing_gateway::Config {
        tcp: options.api,
        tls: options.api_tls,
        hosts: options.api_hosts,
        connections_max: usize::try_from(options.api_connections).unwrap_or(usize::MAX),
        ..althing_gateway::Config::new(&options.home)
    };
    let limits = Limits::default();
    // What can be refused without a trace is refused first.
    Gateway::admit(&local)?;
    let unlock = home::unlock(options.passphrase_file.as_deref())?;
    let calls_room = descriptors::raise(&limits, descriptors::clients_max(&local))?;
    gather_entropy();
    home::make(&options.home)?;
    // Its lock tells a second node on this home whose it is, before anything else is touched.
    let store = althing_rocks::Options { accept_rollback: options.accept_rollback, ..Default::default() };
    let opened = Rocks::open(&store_dir(&options.home), store);
    if !matches!(opened, Err(OpenError::Locked { .. })) {
        let path = log_file(&options.home);
        if let Err(error) = options.log.attach(&path, options.detached) {
            tracing::warn!(%error, path = %path.display(), "no log file");
        }
    }
    let opened = opened?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "starting");
    let network = home::network(&options.home, options.genesis.as_ref())?;
    let join = home::remember_join(&options.home, &options.join)?;
    // Keys that are made now have signed nothing, whatever a restored store holds.
    let unused = opened.commit == CommitNo(0) || !options.home.join("keys").exists();
    let home::Agents { keystore, hosted: agents, made, caller: identity, identities } = home::keys(
        (&options.home, &network),
        unlock,
        unused,
        |agent| althing_engine::recovery_key_hash_of(&opened.rocks, &network, agent),
        |agent| althing_engine::identity_records(&opened.rocks, &network, agent),
    )?;
    let node_key = keystore.node_key();
    let node = node_key.node();

    let mut metrics = Metrics::new(Build {
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("ALTHING_REVISION").unwrap_or("unknown"),
    });
    let instruments = Arc::new(Instruments::register(metrics.registry_mut()));
    let meter = Meter::default();
    call_counts::register(metrics.registry_mut(), meter.clone());
    tasks::register(metrics.registry_mut());
    let (shelf, keeping) = shelf::open(opened.rocks.clone())?;
    let (net_sender, net_events) = mpsc::channel(NET_EVENTS_MAX);
    let (streams, inbound_streams) = mpsc::channel(calls::STREAMS_MAX);
    let net = althing_net::start(
        althing_net::Config {
            key: node_key.clone(),
            network: network.id(),
            listen: if options.listen.is_empty() { home::default_listen() } else { options.listen.clone() },
            bootstrap: join.iter().cloned().chain(acquaintances::read(&options.home)).collect(),
            mdns: options.mdns,
            reachability: options.reachability,
            relay: options.relay,
            upnp: options.upnp,
            profile: options.profile,
            shelf: Some(shelf),
            streams: Some(streams),
            limits,
        },
        metrics.registry_mut(),
        net_sender,
    )
    .await?;

    let clock = Clock::start();
    let here: Vec<_> = agents.iter().map(|hosted| hosted.agent).collect();
    let default_agent = here.first().copied();
    let config = Config {
        network: network.clone(),
        node_key,
        agents,
        guard: guard_status(&opened.guard),
        last_commit: opened.commit,
        expects_peers: !join.is_empty(),
        keeps_ledger: options.keeps_ledger,
        timing: Timing { checkpoint_ms: 1_000 * u64::from(options.checkpoint_seconds), ..Timing::default() },
    };
    let rocks = opened.rocks.clone();
    let publishing = attest::Publishing::default();
    let experience = experience::Experience::default();
    let rating = (publishing.clone(), experience.clone());
    let desk = Desk::new((rocks.clone(), network.clone(), clock), identity.clone(), rating);
    metrics.registry_mut().register_collector(Box::new(desk.clone()));
    let engine = Engine::new(config, opened.rocks, seed()?, clock.now())?;
    if engine.is_restored() {
        tracing::info!(
            "the store was restored from a copy or a key from shares: voters' nodes are asked before a ballot"
        );
    }

    let (inputs, input_queue) = mpsc::channel(INPUTS_MAX);
    let (asks, ask_queue) = mpsc::channel(ASKS_MAX);
    let (missing, missing_now) = watch::channel(vec!["the event loop".to_owned()]);
    let (journaled, journaled_now) = watch::channel(0);
    let metrics = Arc::new(metrics);
    let shutdown = Arc::new(Notify::new());
    let mut readiness = missing_now.clone();
    let mut call_limits = althing_tunnel::Limits::default();
    call_limits.calls_per_peer_max = usize::try_from(options.calls_per_peer).unwrap_or(usize::MAX);
    call_limits.calls_in_max = call_limits.calls_in_max.min(calls_room);
    let keys = calls::key_book(rocks.clone(), network.clone(), asks.clone());
    let agents = KeysHere { all: &here, made: &made };
    let tunnel = Tunnel::open((keys, &options.home), agents, &net, meter, call_limits, clock)?;
    let exposing = ExposeDesk::new(
        (network.id(), options.home.clone()),
        (keystore, identity.clone()),
        asks.clone(),
        (tunnel.exposures.clone(), tunnel.callee.clone()),
        tunnel.tls.clone(),
        tunnel.limits.clone(),
    );
    let (network_kept, rater) = (network.clone(), identity.clone());
    let keeper = receipts::Keeper {
        rocks: rocks.clone(),
        network: network_kept,
        rater,
        experience: experience.clone(),
        clock,
        calls_max: receipts::CALLS_MAX,
        asks: asks.clone(),
    };
    let telling = tokio::spawn(experience.tell(asks.clone()));
    let receipts = tokio::spawn(receipts::keep(keeper, tunnel.evidence));
    let attesting = default_agent.filter(|_| options.publish_ratings).map(|agent| {
        let network = network.clone();
        let attesting = attest::Attesting { rocks: rocks.clone(), network, agent, clock, publishing };
        tokio::spawn(attest::publish(attesting, asks.clone()))
    });
    let serving = tokio::spawn(calls::serve(tunnel.callee.clone(), inbound_streams));
    let calls = Calls {
        network: network.id(),
        caller: tunnel.caller.clone(),
        exposures: tunnel.exposures.clone(),
        log: tunnel.log.clone(),
        identity,
        desk: Arc::new(exposing.clone()),
    };
    let inside = (&net, calls);
    let backend =
        backend(asks, inside, missing_now, journaled_now, metrics.clone(), shutdown.clone(), desk.clone());
    let mut signals =
        Signals::catch().map_err(|error| RunError::Halted(format!("signals cannot be caught: {error}")))?;
    let gateway = Gateway::start(local, backend).await?;

    let stop = Arc::new(Notify::new());
    let service = Service::from_env();
    let exposing = tokio::spawn(exposing.run(identities));
    let remembering = tokio::spawn(acquaintances::remember(options.home.clone(), net.watch()));
    let announcing = tokio::spawn(service.clone().follow(readiness.clone(), net.watch()));
    let inbound = Inbound::new(network.clone(), net.clone(), inputs, instruments.clone());
    let mut inbound = tokio::spawn(inbound.run(net_events));
    let shower = leaves::Shower::new(rocks.clone(), network.clone(), net.clone());
    let event_loop = EventLoop::new(
        engine,
        opened.committer,
        (net.clone(), shower, tunnel.callee),
        clock,
        instruments,
        missing,
        journaled,
    );
    let mut running = tokio::spawn(event_loop.run(input_queue, ask_queue, stop.clone(), service.watchdog()));

    let stopped_early = tokio::select! {
        _ = tokio::time::timeout(FIRST_PEER_WITHIN, readiness.wait_for(Vec::is_empty)) => false,
        () = signals.stop(&shutdown, &options.log) => true,
    };
    let waiting_for = readiness.borrow().clone();
    if !waiting_for.is_empty() {
        tracing::warn!(?waiting_for, "not ready yet; trying on");
    }
    let state = net.state();
    ready(&Summary {
        node,
        agent: default_agent.unwrap_or(AgentId([0; 32])),
        network: network.id(),
        network_name: network.genesis().name.to_string(),
        listen: dialable(&state, node),
        api: gateway.url().to_owned(),
        waiting_for,
        log: log_file(&options.home),
    });
    tracing::info!(%node, network = %network.id(), "node is up");

    let halted = |cause: &dyn std::fmt::Display| Err(RunError::Halted(cause.to_string()));
    let mut ended_by_itself = tokio::select! {
        outcome = &mut running => Some(outcome.unwrap_or_else(|error| halted(&error))),
        // It ends when the swarm does: a node without one would only look alive.
        ended = &mut inbound => Some(ended.map_or_else(|error| halted(&error), |()| halted(&"the swarm ended"))),
        () = async { if !stopped_early { signals.stop(&shutdown, &options.log).await } } => None,
    };
    let windup = async {
        service.stopping();
        announcing.abort();
        remembering.abort();
        exposing.abort();
        serving.abort();
        receipts.abort();
        telling.abort();
        attesting.as_ref().inspect(|task| task.abort());
        let mut outcome = ended_by_itself.take();
        if !running.is_finished() {
            stop.notify_one();
            let committed = (&mut running).await.unwrap_or_else(|error| halted(&error));
            outcome = outcome.or(Some(committed));
        }
        inbound.abort();
        desk.close();
        let farewell = async { tokio::join!(gateway.stop(), net.shutdown()) };
        if tokio::time::timeout(FAREWELL_MAX, farewell).await.is_err() {
            tracing::debug!("did not wait any longer for clients and peers");
        }
        // Ends with the swarm, once the last provider records are written.
        if tokio::time::timeout(FAREWELL_MAX, keeping).await.is_err() {
            tracing::debug!("did not wait any longer for provider records");
        }
        outcome.unwrap_or(Ok(()))
    };
    let outcome = tokio::select! {
        outcome = windup => outcome,
        () = signals.kill_if_interrupted() => Ok(()),
    };
    tracing::info!("stopped");
    outcome
}

fn guard_status(guard: &GuardState) -> GuardStatus {
    match guard {
        GuardState::Fresh => GuardStatus::Ready(Guard::default()),
        GuardState::Intact(guard) => GuardStatus::Ready(guard.clone()),
        GuardState::Missing | GuardState::Unreadable { .. } | GuardState::DatabaseBehind { .. } => {
            GuardStatus::Stopped(guard.to_string())
        }
    }
}

/// TLS's randomness (AWS-LC) times the processor's jitter when it is first asked, for some 25 ms in all. Asked now, on a
/// thread of its own, it does not hold up the first handshake over QUIC.
fn gather_entropy() {
    drop(tokio::task::spawn_blocking(|| {
        // What it gives is not used; if it cannot give anything, the first handshake says so.
        let _ = rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut [0]);
    }));
}

#[expect(clippy::disallowed_methods, reason = "the shell draws the engine's seed")]
fn seed() -> Result<[u8; 32], RunError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| RunError::Entropy(error.to_string()))?;
    Ok(seed)
}

fn backend(
    asks: mpsc::Sender<Asked>,
    (net, calls): (&Net, Calls),
    missing: watch::Receiver<Vec<String>>,
    journaled: watch::Receiver<u64>,
    metrics: Arc<Metrics>,
    shutdown: Arc<Notify>,
    desk: Desk,
) -> Backend {
    let state = net.watch();
    let node = net.id();
    let (peers, listen, reach, health) = (state.clone(), state.clone(), state.clone(), state);
    let pinging = net.clone();
    let stopped = missing.clone();
    Backend {
        asks,
        peers: Arc::new(move || peers.borrow().peers.iter().map(peer_info).collect()),
        reach: Arc::new(move || reaching::reach(&reach.borrow())),
        ping: Arc::new(move |node, addresses| reaching::ping(&pinging, node, &addresses)),
        listen: Arc::new(move || dialable(&listen.borrow(), node)),
        metrics: Arc::new(move || metrics.encode()),
        ready: Arc::new(move || {
            let missing = missing.borrow();
            if missing.is_empty() { Ok(()) } else { Err(missing.clone()) }
        }),
        health: Arc::new(move || protocols(&health.borrow(), stopped.has_changed().is_ok())),
        store: Arc::new(desk),
        calls,
        journaled,
        shutdown,
    }
}

fn protocols(state: &NetState, loop_runs: bool) -> Vec<ProtocolHealth> {
    let members = state.peers.iter().filter(|peer| peer.membership == Membership::Member).count();
    let mesh = |topic: Topic| state.mesh.get(&topic).copied().unwrap_or(0);
    let protocol = |name: &str, healthy, detail| ProtocolHealth { name: name.to_owned(), healthy, detail };
    vec![
        protocol(
            "transport",
            !state.listen.is_empty(),
            format!("{} addresses, {members} peers", state.listen.len()),
        ),
        protocol("kademlia", true, format!("peers in the routing table: {}", state.routing_table)),
        protocol(
            "gossipsub",
            true,
            format!("mesh: {} directory, {} ledger", mesh(Topic::Directory), mesh(Topic::Ledger)),
        ),
        protocol("engine", loop_runs, if loop_runs { "running".to_owned() } else { "stopped".to_owned() }),
    ]
}
