//! Peers that stand around a key and lie: real swarms that name our network, speak its Kademlia, and take announcements
//! without ever giving them back.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use althing_record::NetworkId;
use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::kad::store::{RecordStore, Result as StoreResult};
use libp2p::kad::{self, KBucketKey, ProviderRecord, Record, RecordKey};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, noise, ping, tcp, yamux};
use tokio::task::JoinHandle;

/// What a Sybil says when it is asked for providers and for peers that are closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Nothing at all.
    Nothing,
    /// No providers, and the other Sybils as closer peers.
    EachOther,
    /// Providers that do not exist, and the other Sybils as closer peers.
    Lies,
}

/// Most Sybils announce nothing; squatters claim to provide the key themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claims {
    Nothing,
    TheKey,
}

/// A crowd of Sybils. They end when it is dropped.
pub(crate) struct Sybils {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Sybils {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The PeerId that an address ends in.
pub(crate) fn peer_in(address: &Multiaddr) -> PeerId {
    match address.iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => peer,
        other => panic!("expected an address that ends in a PeerId: {other:?}"),
    }
}

/// The Kademlia key of a digest.
pub(crate) fn record_key(digest: &[u8; 32]) -> RecordKey {
    RecordKey::from([&[0x12, 0x20], &digest[..]].concat())
}

/// Draws keys until one is closer to the target than every honest node.
pub(crate) fn ground(target: &RecordKey, honest: &[PeerId]) -> Keypair {
    let target = KBucketKey::new(target.clone());
    let distance = |peer: &PeerId| KBucketKey::from(*peer).distance(&target);
    let bar = honest.iter().map(distance).min();
    loop {
        let key = Keypair::generate_ed25519();
        if bar.is_none_or(|bar| distance(&key.public().to_peer_id()) < bar) {
            return key;
        }
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kademlia: kad::Behaviour<Liar>,
}

/// Says that it stored what it drops, and answers as told.
struct Liar {
    answers: Answers,
    fakes: Vec<PeerId>,
    /// Where the fakes are said to be: packets are taken there, and nobody answers.
    silent: Multiaddr,
    turn: std::sync::atomic::AtomicUsize,
    own: Vec<ProviderRecord>,
}

impl RecordStore for Liar {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }
    fn put(&mut self, _: Record) -> StoreResult<()> {
        Ok(())
    }
    fn remove(&mut self, _: &RecordKey) {}
    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }
    fn add_provider(&mut self, record: ProviderRecord) -> StoreResult<()> {
        self.own.push(record);
        Ok(())
    }
    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        if self.answers != Answers::Lies {
            return Vec::new();
        }
        let start = self.turn.fetch_add(20, std::sync::atomic::Ordering::Relaxed);
        let fakes = self.fakes.iter().cycle().skip(start % self.fakes.len().max(1)).take(20);
        fakes
            .map(|fake| ProviderRecord {
                key: key.clone(),
                provider: *fake,
                expires: None,
                addresses: vec![self.silent.clone()],
            })
            .collect()
    }
    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }
    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}

fn swarm(key: &Keypair, network: &NetworkId, liar: Liar, claims: Claims) -> Swarm<Behaviour> {
    let tag = network.tag();
    let kademlia = StreamProtocol::try_from_owned(format!("/althing/{tag}/kad/1")).unwrap();
    let mut config = kad::Config::new(kademlia);
    config.set_kbucket_inserts(kad::BucketInserts::Manual).set_periodic_bootstrap_interval(None);
    if claims == Claims::TheKey {
        // To every node there is, not to the closest.
        config.set_replication_factor(NonZeroUsize::new(128).unwrap());
    }
    let mut behaviour = kad::Behaviour::with_config(key.public().to_peer_id(), liar, config);
    // Squatters only claim: they stay out of routing tables, so that every answer is an honest node's.
    behaviour.set_mode(Some(match claims {
        Claims::Nothing => kad::Mode::Server,
        Claims::TheKey => kad::Mode::Client,
    }));
    let identify = identify::Config::new(format!("/althing/{tag}/1"), key.public())
        .with_agent_version(format!("althing/0.1.0 ({network})"));
    SwarmBuilder::with_existing_identity(key.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_quic()
        .with_behaviour(|_| Behaviour {
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::default(),
            kademlia: behaviour,
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}

impl Sybils {
    /// Starts `keys` as Sybils around `target` and connects each to every honest node.
    pub(crate) async fn start(
        network: &NetworkId,
        keys: Vec<Keypair>,
        targets: &[RecordKey],
        (answers, claims): (Answers, Claims),
        honest: &[Multiaddr],
        silent: &Multiaddr,
    ) -> Self {
        let fakes: Vec<_> = match answers {
            Answers::Lies => (0..400).map(|_| Keypair::generate_ed25519().public().to_peer_id()).collect(),
            Answers::Nothing | Answers::EachOther => Vec::new(),
        };
        let mut swarms = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let liar = Liar {
                answers,
                fakes: fakes.clone(),
                silent: silent.clone(),
                turn: std::sync::atomic::AtomicUsize::new(number * 20),
                own: Vec::new(),
            };
            let mut swarm = swarm(key, network, liar, claims);
            swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
            let address = loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    break address;
                }
            };
            swarms.push((key.public().to_peer_id(), address, swarm));
        }
        let crowd: Vec<_> = swarms.iter().map(|(id, address, _)| (*id, address.clone())).collect();
        let mut tasks = Vec::new();
        for (own, _, mut swarm) in swarms {
            if answers != Answers::Nothing {
                for (peer, address) in crowd.iter().filter(|(peer, _)| *peer != own) {
                    swarm.behaviour_mut().kademlia.add_address(peer, address.clone());
                }
            }
            let honest = honest.to_vec();
            let targets = targets.to_vec();
            tasks.push(tokio::spawn(async move {
                let mut claimed = claims == Claims::Nothing;
                let mut identified = BTreeSet::new();
                // Nodes take in sixteen handshakes at a time: whoever was refused tries again.
                let mut again = tokio::time::interval(Duration::from_millis(300));
                loop {
                    let event = tokio::select! {
                        event = swarm.select_next_some() => event,
                        _ = again.tick() => {
                            for address in &honest {
                                // Refused where it is connected, or being dialed.
                                let _ = swarm.dial(DialOpts::peer_id(peer_in(address)).addresses(vec![address.clone()]).build());
                            }
                            continue;
                        }
                    };
                    if let SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                        peer_id,
                        info,
                        ..
                    })) = event
                    {
                        identified.insert(peer_id);
                        if claims == Claims::TheKey {
                            for address in info.listen_addrs {
                                swarm.behaviour_mut().kademlia.add_address(&peer_id, address);
                            }
                        }
                        if identified.len() >= honest.len() && !std::mem::replace(&mut claimed, true) {
                            for target in &targets {
                                swarm.behaviour_mut().kademlia.start_providing(target.clone()).unwrap();
                            }
                        }
                    }
                }
            }));
        }
        Self { tasks }
    }
}
