use std::time::Duration;

/// The bounds of one swarm. The defaults are those of the security checklist.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Inbound connections at a time.
    pub inbound_max: u32,
    /// Slots that inbound connections can never take. 56 of 184 is 30 %.
    pub outbound_reserved: u32,
    /// Inbound handshakes at a time.
    pub pending_inbound_max: u32,
    /// Outbound dials at a time.
    pub pending_outbound_max: u32,
    /// Inbound connections per /24 (IPv4) or /48 (IPv6).
    pub inbound_per_range_max: usize,
    /// Resident memory of this process above which connections are refused, in bytes.
    pub process_memory_max: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection that nobody uses stays open.
    pub idle_timeout: Duration,
    /// Multiplexed streams per connection, in both directions together.
    pub streams_max: usize,
    /// Receive window of all streams of one connection, in bytes. At least 256 KiB per stream.
    pub window_max: usize,

    /// Commands waiting for the swarm task; more are answered [`Busy`](crate::Busy).
    pub commands_max: usize,
    /// Events kept back while the event channel is full; more are dropped and counted.
    pub backlog_max: usize,
    /// Bytes in those events.
    pub backlog_bytes_max: usize,

    /// Gossip messages that wait for a verdict; more are ignored.
    pub undecided_max: usize,
    /// Gossip messages per peer and second, sustained; more are ignored.
    pub gossip_rate: f64,
    /// Gossip messages per peer at once.
    pub gossip_burst: f64,
    /// Size of one gossip transmission, in bytes.
    pub gossip_bytes_max: usize,

    /// Size of a request, in bytes.
    pub request_bytes_max: usize,
    /// Size of a response, in bytes.
    pub response_bytes_max: usize,
    /// How long an answer may take once the request is on its way.
    pub request_timeout: Duration,
    /// Requests per peer and second, sustained; more are dropped.
    pub request_rate: f64,
    /// Requests per peer at once.
    pub request_burst: f64,
    /// Inbound requests without an answer yet.
    pub inbound_requests_max: usize,
    /// Inbound requests without an answer yet, per peer.
    pub inbound_requests_per_peer_max: usize,
    /// Bytes of responses that are being sent; more requests are dropped.
    pub responses_bytes_max: usize,
    /// Outbound requests on their way per peer; more wait. Half of what a peer takes: older nodes send more at once.
    pub outbound_requests_per_peer_max: usize,
    /// Outbound requests that wait or are on their way; more fail as overloaded.
    pub outbound_requests_max: usize,
    /// Bytes of outbound requests that wait.
    pub outbound_waiting_bytes_max: usize,

    /// Live sessions per peer, in each direction.
    pub sessions_per_peer_max: usize,
    /// Live streams of single calls per peer, those of plain HTTP included, in each direction.
    pub calls_per_peer_max: usize,
    /// Live streams in all, in each direction.
    pub channels_max: usize,
    /// Streams that wait to be open, dialing included.
    pub opens_max: usize,
    /// How long that may take.
    pub open_timeout: Duration,

    /// How long a lookup may take.
    pub lookup_timeout: Duration,
    /// Lookups and announcements at a time.
    pub queries_max: usize,
    /// Lookups and announcements that wait.
    pub queries_waiting_max: usize,
    /// Providers reported per lookup.
    pub lookup_providers_max: usize,
    /// Keys that this node provides. Each is announced under a second key too.
    pub own_keys_max: usize,
    /// Keys of which this node stores providers.
    pub provider_keys_max: usize,
    /// Provider records in all.
    pub provider_records_max: usize,
    /// Provider records per key.
    pub providers_per_key_max: usize,
    /// Keys per provider.
    pub keys_per_provider_max: usize,
    /// Providers per key from one /24 (IPv4) or /48 (IPv6).
    pub providers_per_range_max: usize,
    /// Announcements per peer and second, sustained; more are dropped.
    pub announcement_rate: f64,
    /// Announcements per peer at once.
    pub announcement_burst: f64,
    /// How long a provider record lives.
    pub provider_ttl: Duration,
    /// How often own provider records are announced again.
    pub announce_interval: Duration,

    /// Places at this relay for nodes behind NAT.
    pub relay_places_max: usize,
    /// Places per peer: two, for one that comes back before its old connection is known to be gone.
    pub relay_places_per_peer_max: usize,
    /// Places per /24 (IPv4) or /48 (IPv6).
    pub relay_places_per_range_max: usize,
    /// How long a place holds, unless it is renewed.
    pub relay_place_time: Duration,
    /// Circuits through this relay.
    pub relay_circuits_max: usize,
    /// Circuits through this relay per peer, at either end.
    pub relay_circuits_per_peer_max: usize,
    /// How long one may last.
    pub relay_circuit_time: Duration,
    /// Bytes through one, in both directions together.
    pub relay_circuit_bytes_max: u64,
    /// Requests for a place or a circuit per peer and second, sustained; more are refused.
    pub relay_rate: f64,
    /// Such requests per peer at once.
    pub relay_burst: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inbound_max: 128,
            outbound_reserved: 56,
            pending_inbound_max: 16,
            pending_outbound_max: 16,
            inbound_per_range_max: 16,
            process_memory_max: 2 << 30,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            streams_max: 64,
            window_max: 16 << 20,
            commands_max: 1024,
            backlog_max: 1024,
            backlog_bytes_max: 32 << 20,
            undecided_max: 4096,
            gossip_rate: 500.0,
            gossip_burst: 1000.0,
            gossip_bytes_max: 128 << 10,
            request_bytes_max: 68 << 10,
            response_bytes_max: 2 << 20,
            request_timeout: Duration::from_secs(10),
            request_rate: 100.0,
            request_burst: 200.0,
            inbound_requests_max: 256,
            inbound_requests_per_peer_max: 16,
            responses_bytes_max: 64 << 20,
            outbound_requests_per_peer_max: 8,
            outbound_requests_max: 1024,
            outbound_waiting_bytes_max: 16 << 20,
            sessions_per_peer_max: 2,
            calls_per_peer_max: 8,
            channels_max: 512,
            opens_max: 256,
            open_timeout: Duration::from_secs(10),
            lookup_timeout: Duration::from_secs(5),
            queries_max: 8,
            queries_waiting_max: 2048,
            lookup_providers_max: 1024,
            own_keys_max: 1024,
            provider_keys_max: 32_768,
            provider_records_max: 131_072,
            providers_per_key_max: 64,
            keys_per_provider_max: 2048,
            providers_per_range_max: 16,
            announcement_rate: 50.0,
            announcement_burst: 2400.0,
            provider_ttl: Duration::from_secs(3600),
            announce_interval: Duration::from_secs(1200),
            relay_places_max: 128,
            relay_places_per_peer_max: 2,
            relay_places_per_range_max: 16,
            relay_place_time: Duration::from_secs(3600),
            relay_circuits_max: 64,
            relay_circuits_per_peer_max: 8,
            relay_circuit_time: Duration::from_secs(300),
            relay_circuit_bytes_max: 8 << 20,
            relay_rate: 0.2,
            relay_burst: 20.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_checklist() {
        let limits = Limits::default();
        let total = limits.inbound_max + limits.outbound_reserved;
        assert!(f64::from(limits.outbound_reserved) / f64::from(total) >= 0.3);
        assert_eq!(
            (limits.inbound_max, limits.pending_inbound_max, limits.pending_outbound_max),
            (128, 16, 16)
        );
        assert_eq!((limits.streams_max, limits.window_max), (64, 16 << 20));
        assert!(limits.window_max >= limits.streams_max * (256 << 10), "yamux asserts this");
        assert!(limits.announce_interval * 2 < limits.provider_ttl);
    }

    // One stream over the limit closes the whole connection in yamux, so what an honest pair opens has to fit.
    #[test]
    fn streams_of_an_honest_pair_fit_into_one_connection() {
        let limits = Limits::default();
        let requests = 2 * limits.outbound_requests_per_peer_max;
        let channels = 2 * (limits.sessions_per_peer_max + limits.calls_per_peer_max);
        let queries = 2 * (limits.queries_max + 1);
        let gossip_identify_ping = 2 + 4 + 2;
        assert!(requests <= limits.outbound_requests_per_peer_max + limits.inbound_requests_per_peer_max);
        assert!(requests + channels + queries + gossip_identify_ping < limits.streams_max);
    }
}
