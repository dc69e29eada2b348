use std::time::Duration;

/// Where the swarm runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The open internet: many peers behind one address range lose score and are capped.
    #[default]
    Default,
    /// Many nodes on one machine: loopback is exempt from the caps per address range, sharing one IP costs no score, and
    /// gossip's heartbeat is faster.
    Testnet,
}

impl Profile {
    /// How often gossip looks after its mesh.
    pub(crate) fn heartbeat(self) -> Duration {
        match self {
            Self::Default => Duration::from_secs(1),
            Self::Testnet => Duration::from_millis(300),
        }
    }

    /// How many heartbeats a message waits for its verdict: 20 seconds either way.
    pub(crate) fn history_length(self) -> usize {
        match self {
            Self::Default => 20,
            Self::Testnet => 67,
        }
    }

    /// The first wait before bootstrap addresses are dialed again.
    pub(crate) fn redial_min(self) -> Duration {
        match self {
            Self::Default => Duration::from_secs(1),
            Self::Testnet => Duration::from_millis(250),
        }
    }

    /// Whether connections from loopback count towards the caps per address range.
    pub(crate) fn caps_loopback(self) -> bool {
        self == Self::Default
    }
}
