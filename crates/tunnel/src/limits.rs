use althing_route::Rate;

/// Bounds on calls. What is over one is refused, never queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls of local clients under way at once.
    pub calls_out_max: usize,
    /// Calls from other nodes under way at once.
    pub calls_in_max: usize,
    /// Calls from one node under way at once.
    pub calls_per_peer_max: usize,
    /// How often one node may call.
    pub rate_per_peer: Rate,
    /// Calls to one agent under way at once, unless its exposure says otherwise.
    pub calls_per_agent_max: usize,
    /// Longest body of a request, in bytes; of requests without a length what is over it is cut off.
    pub request_bytes_max: u64,
    /// Longest body of a request that has to be read before it is passed on, because it may set a push notification.
    pub read_bytes_max: usize,
    /// All such bodies that are read at once, in bytes; short ones are not counted.
    pub read_bytes_all_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_out_max: 16_384,
            calls_in_max: 16_384,
            calls_per_peer_max: 2_048,
            rate_per_peer: Rate { per_second: 20_000, burst: 20_000 },
            calls_per_agent_max: 4_096,
            request_bytes_max: 16 * 1_024 * 1_024 * 1_024,
            read_bytes_max: 16 * 1_024 * 1_024,
            read_bytes_all_max: 256 * 1_024 * 1_024,
        }
    }
}
