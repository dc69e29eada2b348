use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::behaviour::Behaviour;
use crate::counters::Counters;
use crate::mdns::{HINTS_MAX, Mdns};
use crate::muxer::Yamux;
use crate::names::Names;
use crate::peers::peer_of;
use crate::range::ip_of;
use crate::relay_desk::RelayDesk;
use crate::task::{Ends, Task};
use crate::{Config, Event, Net, NetState};

/// How long binding may take.
const BIND_MAX: Duration = Duration::from_secs(10);

/// Why a swarm did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The transport does not know this kind of address. The operator's fault.
    #[error("cannot listen on {address}: expected /ip4|ip6/…/tcp/… or /ip4|ip6/…/udp/…/quic-v1")]
    Address {
        /// Which address.
        address: Multiaddr,
    },
    /// The operating system refused: the port is in use, or the address is not this machine's.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Which address.
        address: Multiaddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The system's DNS configuration cannot be read.
    #[error("cannot read the DNS configuration: {0}")]
    Dns(io::Error),
    /// The node's key, or a limit, is not one libp2p takes.
    #[error("libp2p refuses the configuration: {0}")]
    Configuration(String),
}

/// Starts a swarm: binds every listen address, then spawns the one swarm task on the current tokio runtime.
///
/// `events` is the way back; the swarm never waits for it (see [`Event`]). The swarm ends when its receiver is dropped.
///
/// # Errors
/// When an address cannot be bound, naming it, or the configuration does not hold together.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn start(
    config: Config,
    registry: &mut Registry,
    events: mpsc::Sender<Event>,
) -> Result<Net, StartError> {
    let names = Names::new(&config.network);
    start_as(config, names, registry, events).await
}

/// [`start`] under other names.
pub(crate) async fn start_as(
    config: Config,
    names: Names,
    registry: &mut Registry,
    events: mpsc::Sender<Event>,
) -> Result<Net, StartError> {
    let limits = &config.limits;
    if limits.window_max / (256 << 10) < limits.streams_max {
        let text = format!("expected a window of 256 KiB for each of {} streams", limits.streams_max);
        return Err(StartError::Configuration(text));
    }
    let metrics = libp2p::metrics::Metrics::new(registry);
    let counters = Counters::register(registry);
    let relay_desk = RelayDesk::new(limits, config.profile.caps_loopback());
    let mut swarm = build(&config, &names, counters.clone(), &relay_desk, registry)?;
    let listeners = listen(&mut swarm, &config.listen)?;

    let (commands, received) = mpsc::channel(limits.commands_max);
    let (stop, stopped) = watch::channel(false);
    let (state, watched) = watch::channel(NetState::default());
    let (hints, heard) = mpsc::channel(HINTS_MAX);
    let (listens, listens_now) = watch::channel(Vec::new());
    let id = config.key.node();
    let mdns = Mdns { peer: peer_of(&id), listens: listens_now, hints, counters: counters.clone() };
    let ends = Ends { commands: received, stop: stopped, state, events, heard, listens };
    let mut task = Task::new(swarm, &config, names, ends, relay_desk, counters.clone(), metrics);
    match tokio::time::timeout(BIND_MAX, bound(&mut task, listeners)).await {
        Ok(result) => result?,
        Err(_) => return Err(StartError::Configuration("binding took too long".to_owned())),
    }
    task.publish_state();
    if config.mdns {
        // Ends with the swarm task, whose addresses it watches.
        tokio::spawn(mdns.run());
    }
    tokio::spawn(task.run());
    Ok(Net { id, commands, state: watched, stop: Arc::new(stop), counters })
}

fn build(
    config: &Config,
    names: &Names,
    counters: Counters,
    relay_desk: &RelayDesk,
    registry: &mut Registry,
) -> Result<Swarm<Behaviour>, StartError> {
    let mut seed = config.key.seed();
    let refused = |error: &dyn std::fmt::Display| StartError::Configuration(error.to_string());
    let key = Keypair::ed25519_from_bytes(&mut seed[..]).map_err(|error| refused(&error))?;
    let limits = &config.limits;
    // The registry is needed twice while the builder lives.
    let mut behaviour = Behaviour::new(&key, config, names, counters, relay_desk, registry)
        .map_err(|error| refused(&error))?;
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, || {
            Yamux::new(limits.streams_max, limits.window_max)
        })
        .map_err(|error| refused(&error))?
        .with_quic_config(|mut quic| {
            quic.handshake_timeout = limits.handshake_timeout;
            quic.max_concurrent_stream_limit = u32::try_from(limits.streams_max).unwrap_or(u32::MAX);
            quic.max_connection_data = u32::try_from(limits.window_max).unwrap_or(u32::MAX);
            quic.max_stream_data = quic.max_stream_data.min(quic.max_connection_data);
            quic
        })
        .with_dns()
        .map_err(StartError::Dns)?
        .with_relay_client(noise::Config::new, || Yamux::new(limits.streams_max, limits.window_max))
        .map_err(|error| refused(&error))?
        .with_bandwidth_metrics(registry)
        .with_behaviour(|_, relay_client| {
            behaviour.relay_client = Some(relay_client).into();
            behaviour
        })
        .map_err(|error| refused(&error))?
        .with_swarm_config(|swarm| {
            swarm
                .with_smart_dial()
                .with_idle_connection_timeout(limits.idle_timeout)
                .with_max_negotiating_inbound_streams(limits.streams_max)
        })
        .with_connection_timeout(limits.handshake_timeout)
        .build();
    Ok(swarm)
}

fn listen(
    swarm: &mut Swarm<Behaviour>,
    addresses: &[Multiaddr],
) -> Result<Vec<(ListenerId, Multiaddr)>, StartError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let failed = |cause| StartError::Listen { address: address.clone(), cause };
        probe(address).map_err(failed)?;
        let listener = swarm.listen_on(address.clone()).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(_) => StartError::Address { address: address.clone() },
            TransportError::Other(cause) => failed(cause),
        })?;
        listeners.push((listener, address.clone()));
    }
    Ok(listeners)
}

/// libp2p binds TCP with `SO_REUSEPORT`, so two nodes of one user would share a port without a word and each get half of
/// the connections. An ordinary bind tells.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let (Some(ip), Some(Protocol::Tcp(port))) = (ip_of(address), address.iter().nth(1)) else {
        return Ok(());
    };
    if port == 0 { Ok(()) } else { std::net::TcpListener::bind((ip, port)).map(drop) }
}

/// Runs the swarm until each listener has an address.
async fn bound(task: &mut Task, listeners: Vec<(ListenerId, Multiaddr)>) -> Result<(), StartError> {
    let mut waiting: BTreeSet<usize> = (0..listeners.len()).collect();
    let index = |id: &ListenerId| listeners.iter().position(|(listener, _)| listener == id);
    while !waiting.is_empty() {
        let event = task.swarm.select_next_some().await;
        if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
            index(listener_id).map(|index| waiting.remove(&index));
        }
        if let SwarmEvent::ListenerError { listener_id, error } = &event
            && let Some(index) = index(listener_id)
        {
            let cause = io::Error::new(error.kind(), error.to_string());
            return Err(StartError::Listen { address: listeners[index].1.clone(), cause });
        }
        task.on_swarm_event(event);
    }
    Ok(())
}
