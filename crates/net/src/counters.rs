use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::{StreamKind, Topic};

type One = [(&'static str, &'static str); 1];
type Two = [(&'static str, &'static str); 2];
type Three = [(&'static str, &'static str); 3];

/// This crate's own metrics, under `althing_net`. Labels come from fixed lists, never from peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    peers: Gauge,
    gossip: Family<Two, Counter>,
    requests: Family<Two, Counter>,
    dropped: Family<One, Counter>,
    refused: Family<One, Counter>,
    lookups: Family<One, Counter>,
    announcements: Family<One, Counter>,
    neighbours: Family<One, Counter>,
    kept: Family<One, Counter>,
    mismatched: Family<One, Counter>,
    streams: Family<Three, Counter>,
    channels: Family<One, Gauge>,
}

impl Counters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counters = Self::default();
        let registry = registry.sub_registry_with_prefix("althing_net");
        registry.register("peers", "Connected peers of this network", counters.peers.clone());
        registry.register("gossip_messages", "Gossip messages by topic and verdict", counters.gossip.clone());
        registry.register("requests", "Requests by direction and outcome", counters.requests.clone());
        registry.register(
            "dropped",
            "What a full queue or an empty bucket dropped",
            counters.dropped.clone(),
        );
        registry.register("refused_connections", "Refused connections by reason", counters.refused.clone());
        registry.register("lookups", "Provider lookups by outcome", counters.lookups.clone());
        registry.register(
            "announcements",
            "Provider records of others by outcome",
            counters.announcements.clone(),
        );
        registry.register(
            "neighbours",
            "What multicast DNS heard and what became of it",
            counters.neighbours.clone(),
        );
        registry.register(
            "kept_providers",
            "Provider records found on disk at the start, by outcome",
            counters.kept.clone(),
        );
        registry.register(
            "mismatched_peers",
            "Peers of this network that share no version of a protocol with this node",
            counters.mismatched.clone(),
        );
        registry.register(
            "streams",
            "Streams by direction, kind and outcome of opening",
            counters.streams.clone(),
        );
        registry.register("channels", "Live streams by direction", counters.channels.clone());
        counters
    }

    pub(crate) fn kept(&self, outcome: &'static str) {
        self.kept.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn peers(&self, connected: usize) {
        self.peers.set(i64::try_from(connected).unwrap_or(i64::MAX));
    }

    pub(crate) fn gossip(&self, topic: Option<Topic>, verdict: &'static str) {
        let topic = topic.map_or("unknown", Topic::name);
        self.gossip.get_or_create(&[("topic", topic), ("verdict", verdict)]).inc();
    }

    pub(crate) fn request(&self, direction: Direction, outcome: &'static str) {
        self.requests.get_or_create(&[("direction", direction.name()), ("outcome", outcome)]).inc();
    }

    pub(crate) fn stream(&self, direction: Direction, kind: StreamKind, outcome: &'static str) {
        let labels = [("direction", direction.name()), ("kind", kind.name()), ("outcome", outcome)];
        self.streams.get_or_create(&labels).inc();
    }

    /// How many streams of a direction live.
    pub(crate) fn channels(&self, direction: Direction) -> Gauge {
        self.channels.get_or_create_owned(&[("direction", direction.name())])
    }

    pub(crate) fn dropped(&self, queue: &'static str) {
        self.dropped.get_or_create(&[("queue", queue)]).inc();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn lookup(&self, outcome: &'static str) {
        self.lookups.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn announcement(&self, outcome: &'static str) {
        self.announcements.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn neighbour(&self, outcome: &'static str) {
        self.neighbours.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn mismatched(&self, protocol: &'static str) {
        self.mismatched.get_or_create(&[("protocol", protocol)]).inc();
    }

    #[cfg(test)]
    pub(crate) fn kept_as(&self, outcome: &'static str) -> u64 {
        self.kept.get_or_create(&[("outcome", outcome)]).get()
    }

    #[cfg(test)]
    pub(crate) fn drops(&self, queue: &'static str) -> u64 {
        self.dropped.get_or_create(&[("queue", queue)]).get()
    }
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}
