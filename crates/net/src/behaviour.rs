use std::num::NonZeroUsize;
use std::time::Duration;

use libp2p::gossipsub::{self, MessageAuthenticity, ValidationMode};
use libp2p::identity::Keypair;
use libp2p::kad::{self, BucketInserts, StoreInserts};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, connection_limits, identify, memory_connection_limits, ping, relay, upnp};
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};

use crate::addresses::Addresses;
use crate::codec::Codec;
use crate::counters::Counters;
use crate::duplicates::Duplicates;
use crate::gate::Gate;
use crate::names::Names;
use crate::pings::{Pinger, pinger};
use crate::probes::{ProbeClient, ProbeServer, Probes};
use crate::providers::ProviderStore;
use crate::punch::Punch;
use crate::relay_desk::RelayDesk;
use crate::streams::Streams;
use crate::{Config, Limits, Profile, Topic, score};

type SubscriptionFilter = gossipsub::MaxCountSubscriptionFilter<gossipsub::WhitelistSubscriptionFilter>;
pub(crate) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, SubscriptionFilter>;
pub(crate) type Kademlia = kad::Behaviour<ProviderStore>;
pub(crate) type Requests = request_response::Behaviour<Codec>;

/// How long gossip remembers a message id.
const DUPLICATE_CACHE: Duration = Duration::from_secs(300);
/// Gossip messages that wait to be sent to one peer.
const GOSSIP_QUEUE: usize = 256;
/// Kademlia's own bound on a query. Long enough to outlast a peer that does not answer; lookups have their own, shorter.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything the swarm speaks. What may refuse a connection comes first: a behaviour that has admitted a connection
/// which a later one refuses would keep it as if it were open.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    pub(crate) duplicates: Duplicates,
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(crate) probe_server: ProbeServer,
    pub(crate) probe_client: ProbeClient,
    /// Comes with its transport.
    pub(crate) relay_client: Toggle<relay::client::Behaviour>,
    pub(crate) relay: relay::Behaviour,
    punch: Punch,
    upnp: Toggle<upnp::tokio::Behaviour>,
    pub(crate) addresses: Addresses,
    pub(crate) pinger: Pinger,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) gossip: Gossip,
    pub(crate) kademlia: Kademlia,
    pub(crate) requests: Requests,
    pub(crate) streams: Streams,
}

impl Behaviour {
    /// # Errors
    /// When gossipsub refuses its configuration.
    pub(crate) fn new(
        key: &Keypair,
        config: &Config,
        names: &Names,
        counters: Counters,
        relay_desk: &RelayDesk,
        registry: &mut Registry,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (local, limits) = (key.public().to_peer_id(), &config.limits);
        let pending_max = usize::try_from(limits.pending_inbound_max).unwrap_or(usize::MAX);
        let mut gossip = gossip(names, config.profile, limits)?.with_metrics(
            registry.sub_registry_with_prefix("gossipsub"),
            gossipsub::MetricsConfig::default(),
        );
        for topic in Topic::ALL {
            gossip.subscribe(&names.topic(topic)).map_err(|error| error.to_string())?;
        }
        let identify = identify::Config::new(names.protocol_version.clone(), key.public())
            .with_agent_version(names.agent_version.clone())
            .with_push_listen_addr_updates(true);
        let requests = request_response::Config::default()
            .with_request_timeout(limits.request_timeout)
            .with_max_concurrent_streams(
                limits.inbound_requests_per_peer_max + limits.outbound_requests_per_peer_max,
            );
        let probes = Probes::default();
        let mut relay = relay::Behaviour::new(local, relay_desk.config());
        // Who may be a relay is decided here, and not by whether there is any external address: a circuit's is one too.
        relay.set_status(Some(relay::Status::Disable));
        Ok(Self {
            gate: Gate::new(limits.inbound_per_range_max, pending_max, config.profile.caps_loopback()),
            duplicates: Duplicates::new(local, probes.clone()),
            limits: connection_limits::Behaviour::new(connection_limits(limits)),
            memory: memory_connection_limits::Behaviour::with_max_bytes(limits.process_memory_max),
            probe_server: ProbeServer::new(probes.clone()),
            probe_client: ProbeClient::new(probes),
            relay_client: Toggle::from(None),
            relay,
            punch: Punch::new(local, !config.profile.caps_loopback()),
            upnp: Toggle::from(config.upnp.then(upnp::tokio::Behaviour::default)),
            addresses: Addresses::default(),
            pinger: pinger(),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::default(),
            gossip,
            kademlia: kademlia(local, names, limits),
            requests: Requests::with_codec(
                Codec::new(limits, names, counters),
                names.engine.iter().map(|version| (version.clone(), ProtocolSupport::Full)),
                requests,
            ),
            streams: Streams::new(names, config.streams.is_some()),
        })
    }
}

fn connection_limits(limits: &Limits) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_inbound_max))
        .with_max_pending_outgoing(Some(limits.pending_outbound_max))
        .with_max_established_incoming(Some(limits.inbound_max))
        .with_max_established(Some(limits.inbound_max + limits.outbound_reserved))
}

pub(crate) fn gossip(names: &Names, profile: Profile, limits: &Limits) -> Result<Gossip, String> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(names.gossip_prefix.clone())
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .heartbeat_initial_delay(profile.heartbeat())
        .heartbeat_interval(profile.heartbeat())
        .history_length(profile.history_length())
        .duplicate_cache_time(DUPLICATE_CACHE)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .max_transmit_size(limits.gossip_bytes_max)
        .build()
        .map_err(|error| error.to_string())?;
    let topics = || Topic::ALL.into_iter().map(|topic| names.topic(topic).hash());
    let filter = gossipsub::MaxCountSubscriptionFilter {
        filter: gossipsub::WhitelistSubscriptionFilter(topics().collect()),
        max_subscribed_topics: Topic::ALL.len(),
        max_subscriptions_per_request: 2 * Topic::ALL.len(),
    };
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)?;
    gossip.with_peer_score(score::params(topics(), profile), score::thresholds())?;
    Ok(gossip)
}

/// SHA-256 of topic and data. No topic is a prefix of another, so the two cannot run into each other.
fn message_id(message: &gossipsub::Message) -> gossipsub::MessageId {
    let mut hash = Sha256::new();
    hash.update(message.topic.as_str());
    hash.update(&message.data);
    gossipsub::MessageId::new(&hash.finalize())
}

fn kademlia(local: PeerId, names: &Names, limits: &Limits) -> Kademlia {
    let mut config = kad::Config::new(names.kademlia.clone());
    config
        .disjoint_query_paths(true)
        .set_kbucket_inserts(BucketInserts::Manual)
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_query_timeout(QUERY_TIMEOUT)
        .set_parallelism(NonZeroUsize::MIN.saturating_add(2))
        .set_provider_record_ttl(Some(limits.provider_ttl))
        // The swarm task announces again by itself: Kademlia's job would start up to a hundred queries at once, more
        // than one connection has streams.
        .set_provider_publication_interval(None)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_caching(kad::Caching::Disabled);
    let store = ProviderStore::new(local, limits.clone());
    let mut kademlia = Kademlia::with_config(local, store, config);
    // Until it is known that others can dial this node.
    kademlia.set_mode(Some(kad::Mode::Client));
    kademlia
}
