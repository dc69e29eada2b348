use std::fmt;

use althing_record::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use althing_record::{AgentId, NetworkId, admit_key};

/// Most closers of one decision.
pub const CLOSERS_MAX: usize = 31;

/// The last round. A message that names a later one is no message.
pub const ROUND_MAX: u32 = 10_000;

/// Which decision: 32 bytes that its proposal, or a batch of them, gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub [u8; 32]);

/// What is fixed about one decision: the network, its id and its closers. A closer has one seat, whichever of its keys
/// it speaks with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    network: NetworkId,
    id: InstanceId,
    closers: Vec<AgentId>,
}

/// Why closers cannot decide together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosersError {
    /// None, or too many.
    #[error("{found} closers, 1 to {CLOSERS_MAX} are allowed")]
    Count {
        /// How many.
        found: usize,
    },
    /// An agent occurs twice: it would have two votes.
    #[error("{agent} is named twice")]
    Twice {
        /// Whose.
        agent: AgentId,
    },
    /// An agent whose first key cannot sign.
    #[error("the first key of {agent} is not a key, or weak")]
    Key {
        /// Whose.
        agent: AgentId,
    },
}

impl Instance {
    /// A decision of `closers`, in any order.
    ///
    /// # Errors
    /// When they are none or too many, one is named twice, or one has a key that cannot sign.
    pub fn new(network: NetworkId, id: InstanceId, mut closers: Vec<AgentId>) -> Result<Self, ClosersError> {
        if closers.is_empty() || closers.len() > CLOSERS_MAX {
            return Err(ClosersError::Count { found: closers.len() });
        }
        closers.sort_unstable();
        for (at, agent) in closers.iter().enumerate() {
            admit_key(&agent.0).map_err(|_| ClosersError::Key { agent: *agent })?;
            if closers[..at].contains(agent) {
                return Err(ClosersError::Twice { agent: *agent });
            }
        }
        Ok(Self { network, id, closers })
    }

    /// In which network.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// Which decision.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// The closers in the order of their ids.
    #[must_use]
    pub fn closers(&self) -> &[AgentId] {
        &self.closers
    }

    /// How many closers may be faulty: ⌊(n−1)/3⌋.
    #[must_use]
    pub fn faulty_max(&self) -> usize {
        (self.closers.len() - 1) / 3
    }

    /// How many closers must say the same: n − f, which is more than two thirds.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.closers.len() - self.faulty_max()
    }

    /// Whose turn it is to propose in a round.
    #[must_use]
    pub fn leader(&self, round: u32) -> AgentId {
        self.closers[self.leader_seat(round).index()]
    }

    pub(crate) fn leader_seat(&self, round: u32) -> Seat {
        let first: [u8; 8] = self.id.0[..8].try_into().expect("8 of 32 bytes");
        let at = (u128::from(u64::from_be_bytes(first)) + u128::from(round)) % self.closers.len() as u128;
        Seat(u8::try_from(at).expect("fewer than 256 closers"))
    }

    pub(crate) fn seat(&self, agent: AgentId) -> Option<Seat> {
        let at = self.closers.binary_search(&agent).ok()?;
        Some(Seat(u8::try_from(at).expect("fewer than 256 closers")))
    }

    pub(crate) fn closer(&self, seat: Seat) -> Option<AgentId> {
        self.closers.get(seat.index()).copied()
    }
}

/// A closer's position in the order of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seat(pub(crate) u8);

impl Seat {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({self})")
    }
}

impl Encode for InstanceId {
    fn encode(&self, to: &mut Writer) {
        self.0.encode(to);
    }
}

impl Decode for InstanceId {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use althing_testkit::{agent, network};

    use super::*;

    fn instance(n: u8) -> Result<Instance, ClosersError> {
        let closers = (1..=n).map(|n| agent(n).agent()).collect();
        Instance::new(network().id(), InstanceId([0xff; 32]), closers)
    }

    #[test]
    fn quorum_is_what_the_honest_can_reach_and_two_of_them_share_one() {
        for n in 1..=31 {
            let instance = instance(n).unwrap();
            let (n, f, q) = (usize::from(n), instance.faulty_max(), instance.quorum());
            assert_eq!(q, n - f);
            assert!(3 * q > 2 * n);
            assert!(2 * q - n > f, "two quorums share an honest closer");
        }
    }

    #[test]
    fn everyone_leads_in_turn() {
        let instance = instance(5).unwrap();
        let mut leaders: Vec<_> = (0..5).map(|round| instance.leader(round)).collect();
        leaders.sort_unstable();
        assert_eq!(leaders, instance.closers());
        assert_eq!(instance.leader(0), instance.leader(5));
        assert_eq!(instance.leader_seat(0), Seat(0), "2^64 - 1 divides by 5");
    }

    #[test]
    fn closers_who_cannot_decide_are_refused() {
        assert_eq!(instance(0), Err(ClosersError::Count { found: 0 }));
        let all = (1..=32).map(|n| agent(n).agent()).collect::<Vec<_>>();
        let new = |closers| Instance::new(network().id(), InstanceId([0; 32]), closers);
        assert_eq!(new(all.clone()), Err(ClosersError::Count { found: 32 }));
        assert_eq!(new(vec![all[0], all[1], all[0]]), Err(ClosersError::Twice { agent: all[0] }));
        let weak = AgentId([0; 32]);
        assert_eq!(new(vec![weak]), Err(ClosersError::Key { agent: weak }));
    }
}
