//! Real swarms on loopback. Nothing sleeps: every wait is for an event or a state, with a deadline.
use std::future::Future;
use std::time::Duration;

use althing_record::{NetworkId, NodeId, NodeKey, Verdict};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Swarm};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::names::Names;
use crate::{Config, Event, Limits, Net, NetState, Profile, ReachMode, StartError, Topic};

mod conduct;
mod connect;
mod gossip;
mod lookup;
mod relays;
mod requests;
mod scores;
mod streams;
mod versions;

const DEADLINE: Duration = Duration::from_secs(30);
const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

struct Node {
    net: Net,
    events: mpsc::Receiver<Event>,
    registry: Registry,
}

fn config(seed: u8) -> Config {
    Config {
        key: NodeKey::from_seed(&[seed; 32]),
        network: NetworkId([7; 32]),
        listen: vec![TCP.parse().expect("an address")],
        bootstrap: Vec::new(),
        mdns: false,
        reachability: ReachMode::Auto,
        relay: true,
        upnp: false,
        profile: Profile::Testnet,
        shelf: None,
        streams: None,
        limits: Limits::default(),
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("no {what} within {DEADLINE:?}"),
    }
}

impl Node {
    async fn start(config: Config) -> Self {
        Self::try_start(config, 1024).await.expect("loopback has room")
    }

    async fn try_start(config: Config, events_max: usize) -> Result<Self, StartError> {
        let names = Names::new(&config.network);
        Self::start_as(config, names, events_max).await
    }

    async fn start_as(config: Config, names: Names, events_max: usize) -> Result<Self, StartError> {
        let (events, received) = mpsc::channel(events_max);
        let mut registry = Registry::default();
        let net = crate::start::start_as(config, names, &mut registry, events).await?;
        Ok(Self { net, events: received, registry })
    }

    /// A node that speaks these versions of the engine protocol.
    async fn speaking(versions: &[u32], config: Config) -> Self {
        let names = Names::speaking(&config.network, versions);
        Self::start_as(config, names, 1024).await.expect("loopback has room")
    }

    fn id(&self) -> NodeId {
        self.net.id()
    }

    /// Where it listens, with its PeerId.
    fn address(&self) -> Multiaddr {
        let address = self.net.watch().borrow().listen.first().cloned();
        let address = address.expect("a listening node");
        address.with(Protocol::P2p(crate::peers::peer_of(&self.id())))
    }

    /// The first event that `pick` takes; the others are dropped.
    async fn event<T>(&mut self, what: &str, mut pick: impl FnMut(&Net, Event) -> Option<T>) -> T {
        let net = self.net.clone();
        within(what, async {
            loop {
                let event = self.events.recv().await.expect("the swarm runs");
                if let Some(picked) = pick(&net, event) {
                    return picked;
                }
            }
        })
        .await
    }

    async fn connected(&mut self, peer: NodeId) -> bool {
        self.event("connection", |_, event| match event {
            Event::Connected { node, outbound, .. } if node == peer => Some(outbound),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self, peer: NodeId) {
        self.event("disconnection", |_, event| {
            matches!(event, Event::Disconnected { node } if node == peer).then_some(())
        })
        .await;
    }

    async fn state(&self, what: &str, holds: impl FnMut(&NetState) -> bool) -> NetState {
        let mut state = self.net.watch();
        within(what, async { state.wait_for(holds).await.expect("the swarm runs").clone() }).await
    }

    async fn meshed(&self, topic: Topic, peers: usize) {
        self.state("mesh", |state| state.mesh.get(&topic) == Some(&peers)).await;
    }

    /// A line of the metrics page, without its number.
    fn metric(&self, name: &str) -> Option<String> {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry).expect("metrics can be written");
        page.lines().find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
    }

    /// Waits until a metric has a value. The state is refreshed every second, so this looks again that often.
    async fn metric_is(&self, name: &str, value: &str) {
        self.state(name, |_| self.metric(name).as_deref() == Some(value)).await;
    }

    /// Answers every gossip message as told, in the background of waiting for one that `pick` takes.
    async fn gossip(&mut self, verdict: impl Fn(&[u8]) -> Verdict, last: &[u8]) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        self.event("gossip", |net, event| {
            let Event::Gossip { message, bytes, .. } = event else { return None };
            net.verdict(message, verdict(&bytes)).expect("room for a command");
            seen.push(bytes);
            (seen.last().map(Vec::as_slice) == Some(last)).then_some(())
        })
        .await;
        seen
    }
}

fn accept(_: &[u8]) -> Verdict {
    Verdict::Accept
}

/// Two connected nodes.
async fn pair(first: Config, mut second: Config) -> (Node, Node) {
    let mut a = Node::start(first).await;
    second.bootstrap = vec![a.address()];
    let mut b = Node::start(second).await;
    let (a_id, b_id) = (a.id(), b.id());
    tokio::join!(a.connected(b_id), b.connected(a_id));
    (a, b)
}
