use althing_record::{AgentId, Digest, Millis, NetworkId, NodeId, cbor_map};

use crate::{Refusal, Signed, Statement, TaskId};

/// How far a caller's clock and the callee's may be apart, in milliseconds: 11 minutes, as for records.
pub const CLOCK_ERROR_MS_MAX: u64 = 11 * Millis::MINUTE;

cbor_map! {
    /// What a caller says: I call this agent, from this node, with this request.
    pub struct CallBody: version 1 {
        /// In which network.
        1 => pub network: NetworkId,
        /// Who calls.
        2 => pub caller: AgentId,
        /// Who is called. It may be the caller itself; such a call is never accepted for the ledger.
        3 => pub callee: AgentId,
        /// Which call of the caller.
        4 => pub task: TaskId,
        /// The node that opened the stream.
        5 => pub caller_node: NodeId,
        /// [`crate::request_head_hash`] of the request that follows.
        6 => pub request_head_hash: Digest,
        /// When, by the caller's clock.
        7 => pub made: Millis,
        /// The signing key, absent when it is the caller's first.
        8 => pub key: Option<[u8; 32]>,
    }
}

/// A call that its caller signed.
pub type Call = Signed<CallBody>;

impl Statement for CallBody {
    const DOMAIN: &'static str = "althing/call/1";
    const NAME: &'static str = "call";

    fn network(&self) -> NetworkId {
        self.network
    }

    fn agent(&self) -> AgentId {
        self.caller
    }

    fn key(&self) -> Option<[u8; 32]> {
        self.key
    }

    fn with_key(self, key: Option<[u8; 32]>) -> Self {
        Self { key, ..self }
    }

    fn fault(&self) -> Option<&'static str> {
        None
    }
}

impl CallBody {
    /// Whether a call that came from `peer` at `now` may be answered at all. Whom it is for is not looked at.
    ///
    /// # Errors
    /// When another node signed up for it, or its clock is too far off.
    pub fn admit(&self, peer: NodeId, now: Millis) -> Result<(), Refusal> {
        if self.caller_node != peer {
            return Err(Refusal::WrongAgent);
        }
        if now.since(self.made).max(self.made.since(now)) > CLOCK_ERROR_MS_MAX {
            return Err(Refusal::Clock);
        }
        Ok(())
    }
}
