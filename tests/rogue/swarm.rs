//! Honest swarms without nodes above them.

use std::collections::BTreeSet;
use std::time::Duration;

use althing_net::{Config, Event, Limits, Net, Profile};
use althing_record::{NetworkId, NodeId, NodeKey};
use libp2p::{Multiaddr, PeerId};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) const NETWORK: NetworkId = NetworkId([7; 32]);
pub(crate) const KEY: [u8; 32] = [42; 32];
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A swarm of ours without a node above it.
pub(crate) struct Swarm {
    pub(crate) net: Net,
    events: mpsc::Receiver<Event>,
}

impl Swarm {
    pub(crate) async fn start(bootstrap: Option<Multiaddr>) -> Self {
        let (sender, events) = mpsc::channel(4096);
        let config = Config {
            key: NodeKey::from_seed(&random()),
            network: NETWORK,
            listen: ["tcp/0", "udp/0/quic-v1"]
                .map(|end| format!("/ip4/127.0.0.1/{end}").parse().unwrap())
                .into(),
            bootstrap: bootstrap.into_iter().collect(),
            mdns: false,
            reachability: althing_net::ReachMode::Auto,
            relay: false,
            upnp: false,
            profile: Profile::Testnet,
            shelf: None,
            streams: None,
            limits: Limits::default(),
        };
        let net = althing_net::start(config, &mut Registry::default(), sender).await.unwrap();
        Self { net, events }
    }

    pub(crate) fn peer(&self) -> PeerId {
        PeerId::from_bytes(&self.net.id().to_peer_id_bytes()).unwrap()
    }

    pub(crate) fn address(&self) -> Multiaddr {
        let listen = self.net.state().listen[0].clone();
        listen.with(libp2p::multiaddr::Protocol::P2p(self.peer()))
    }

    pub(crate) async fn routed(&self, peers: usize) {
        let mut state = self.net.watch();
        let enough = state.wait_for(|state| state.routing_table >= peers);
        timeout(SOON, enough).await.expect("a routing table").unwrap();
    }

    /// Waits for events until one is taken.
    pub(crate) async fn event<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Some(picked) = pick(self.events.recv().await.unwrap()) {
                    return picked;
                }
            }
        };
        timeout(SOON, wait).await.expect("an event")
    }

    pub(crate) async fn provide(&mut self, key: [u8; 32]) {
        self.net.provide(key).unwrap();
        self.event(|event| matches!(event, Event::Provided { .. }).then_some(())).await;
    }

    /// Looks up until the lookup has ended. Gives whether the provider was found.
    pub(crate) async fn looks_up(&mut self, key: [u8; 32], wanted: NodeId) -> bool {
        self.net.lookup(1, key).unwrap();
        let mut found = false;
        self.event(|event| {
            let Event::Providers { providers, last, .. } = event else { return None };
            found |= providers.contains(&wanted);
            last.then_some(found)
        })
        .await
    }

    /// Whether a lookup finds a provider, and after how many other claims.
    pub(crate) async fn finds(&mut self, key: [u8; 32], wanted: NodeId) -> Option<usize> {
        self.net.lookup(1, key).unwrap();
        let mut claims = BTreeSet::new();
        self.event(|event| {
            let Event::Providers { providers, last, .. } = event else { return None };
            if providers.contains(&wanted) {
                return Some(Some(claims.len()));
            }
            claims.extend(providers);
            last.then_some(None)
        })
        .await
    }
}

pub(crate) fn random() -> [u8; 32] {
    let secret = libp2p::identity::Keypair::generate_ed25519();
    let bytes = secret.try_into_ed25519().unwrap().secret();
    bytes.as_ref().try_into().unwrap()
}

/// Honest swarms that know each other.
pub(crate) async fn honest(count: usize) -> Vec<Swarm> {
    let mut swarms: Vec<Swarm> = Vec::new();
    for number in 0..count {
        let before = swarms.get(number / 2).or(swarms.first()).map(Swarm::address);
        swarms.push(Swarm::start(before).await);
    }
    // Each announces something of its own, as nodes do; so they get to know each other.
    for enough in [1, count * 3 / 4] {
        let mut tasks = JoinSet::new();
        for (number, mut swarm) in swarms.drain(..).enumerate() {
            tasks.spawn(async move {
                swarm.routed(1).await;
                swarm.provide(random()).await;
                swarm.routed(enough).await;
                (number, swarm)
            });
        }
        let mut done = tasks.join_all().await;
        done.sort_unstable_by_key(|(number, _)| *number);
        swarms.extend(done.into_iter().map(|(_, swarm)| swarm));
    }
    swarms
}
