use althing_record::cbor::Text;
use althing_record::{AgentId, Digest, Genesis, Millis, NetworkId, cbor_map};

use crate::{CallBody, RatingEpoch, Signed, Statement, TaskId};

/// The highest index of an Accept: 2³².
pub const INDEX_MAX: u64 = 1 << 32;

cbor_map! {
    /// What a callee says before the agent behind it is asked: I take this call, as the k-th of this caller.
    pub struct AcceptBody: version 1 {
        /// In which network.
        1 => pub network: NetworkId,
        /// Which call.
        2 => pub task: TaskId,
        /// Who called.
        3 => pub caller: AgentId,
        /// Who takes it; never the caller.
        4 => pub callee: AgentId,
        /// For which skill, as a path; empty: for none in particular.
        5 => pub skill: Text<128>,
        /// The hash that the call names.
        6 => pub request_head_hash: Digest,
        /// In how many milliseconds the callee promises its answer; 0: it promises nothing.
        7 => pub sla_ms: u32,
        /// Counts the Accepts of this callee to this caller in this rating epoch from 1 to 2³².
        8 => pub index: u64,
        /// When, by the callee's clock.
        9 => pub made: Millis,
        /// The signing key, absent when it is the callee's first.
        10 => pub key: Option<[u8; 32]>,
    }
}

/// An Accept that its callee signed.
pub type Accept = Signed<AcceptBody>;

/// Why an Accept is not the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It was made for another network.
    #[error("accept is for network {found}, the call for {expected}")]
    Network {
        /// The call's.
        expected: NetworkId,
        /// The Accept's.
        found: NetworkId,
    },
    /// It takes another call.
    #[error("accept is for task {found}, the call is {expected}")]
    Task {
        /// The call's.
        expected: TaskId,
        /// The Accept's.
        found: TaskId,
    },
    /// It names another caller.
    #[error("accept is for caller {found}, the call is by {expected}")]
    Caller {
        /// The call's.
        expected: AgentId,
        /// The Accept's.
        found: AgentId,
    },
    /// Another agent signed it.
    #[error("accept is by {found}, the call is for {expected}")]
    Callee {
        /// The call's.
        expected: AgentId,
        /// The Accept's.
        found: AgentId,
    },
    /// It names another request.
    #[error("accept is for request head {found}, the call has {expected}")]
    RequestHead {
        /// The call's.
        expected: Digest,
        /// The Accept's.
        found: Digest,
    },
}

impl Statement for AcceptBody {
    const DOMAIN: &'static str = "althing/accept/1";
    const NAME: &'static str = "accept";

    fn network(&self) -> NetworkId {
        self.network
    }

    fn agent(&self) -> AgentId {
        self.callee
    }

    fn key(&self) -> Option<[u8; 32]> {
        self.key
    }

    fn with_key(self, key: Option<[u8; 32]>) -> Self {
        Self { key, ..self }
    }

    fn fault(&self) -> Option<&'static str> {
        if self.caller == self.callee {
            Some("caller and callee are one agent")
        } else if !(1..=INDEX_MAX).contains(&self.index) {
            Some("index is not between 1 and 4294967296")
        } else if !is_path(&self.skill) {
            Some("skill is not a path")
        } else {
            None
        }
    }
}

impl AcceptBody {
    /// Takes a call as the `index`-th of its caller, for no skill in particular and without a promise.
    #[must_use]
    pub fn to(call: &CallBody, index: u64, made: Millis) -> Self {
        Self {
            network: call.network,
            task: call.task,
            caller: call.caller,
            callee: call.callee,
            skill: Text::default(),
            request_head_hash: call.request_head_hash,
            sla_ms: 0,
            index,
            made,
            key: None,
        }
    }

    /// Whether this is the answer to `call`.
    ///
    /// # Errors
    /// With the first part that does not fit.
    pub fn answers(&self, call: &CallBody) -> Result<(), Mismatch> {
        if self.network != call.network {
            return Err(Mismatch::Network { expected: call.network, found: self.network });
        }
        if self.task != call.task {
            return Err(Mismatch::Task { expected: call.task, found: self.task });
        }
        if self.caller != call.caller {
            return Err(Mismatch::Caller { expected: call.caller, found: self.caller });
        }
        if self.callee != call.callee {
            return Err(Mismatch::Callee { expected: call.callee, found: self.callee });
        }
        if self.request_head_hash != call.request_head_hash {
            let (expected, found) = (call.request_head_hash, self.request_head_hash);
            return Err(Mismatch::RequestHead { expected, found });
        }
        Ok(())
    }
}

impl Accept {
    /// Whether the callee contradicts itself: one index of one caller in one rating epoch, and not the same content.
    /// A second signature under the same content is no contradiction.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self, genesis: &Genesis) -> bool {
        let place = |accept: &AcceptBody| {
            let epoch = RatingEpoch::of(accept.made, genesis);
            (accept.network, accept.callee, accept.caller, epoch, accept.index)
        };
        place(self) == place(other) && self.id() != other.id()
    }
}

/// Whether a text is empty or a skill path: up to 8 segments of a–z, 0–9, `-`, `_` and `.`.
pub(crate) fn is_path(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(plain);
    text.is_empty() || (text.split('/').count() <= 8 && text.split('/').all(is_segment))
}
