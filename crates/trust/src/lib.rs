//! What two parties sign about one call, how it travels between them, and the scores that follow.
//!
//! The caller opens a stream with a signed [`Call`]; the callee answers with a signed [`Accept`] before it asks the
//! agent behind it. `docs/spec/calls.md` is the format for people. When the call has ended, the caller signs a [`Receipt`];
//! a [`Summary`] of a rating epoch's receipts is what it publishes. A [`Ledger`] of many raters' [`Attestations`] gives
//! [`Scores`]; `docs/spec/reputation.md` is the rule.
//!
//! Verification is parsing: [`Signed::verify`] is the only way to a statement that somebody else made. This crate
//! deliberately opens no streams, keeps no state, and does not know whether a rotated key speaks for its agent
//! ([`althing_record::KeyHistory`] does).
//!
//! ```
//! use althing_record::{AgentKey, Millis, Network, NodeKey};
//! use althing_trust::{Accept, AcceptBody, Call, CallBody, TaskId, request_head_hash};
//!
//! let network = Network::builtin();
//! let (caller, callee) = (AgentKey::from_seed(&[1; 32]), AgentKey::from_seed(&[2; 32]));
//! let call = CallBody {
//!     network: network.id(),
//!     caller: caller.agent(),
//!     callee: callee.agent(),
//!     task: TaskId([7; 16]),
//!     caller_node: NodeKey::from_seed(&[3; 32]).node(),
//!     request_head_hash: request_head_hash(b"GET / HTTP/1.1\r\n\r\n"),
//!     made: Millis(1_795_132_800_000),
//!     key: None,
//! };
//! let call = Call::sign(call, &caller)?;
//! let accept = AcceptBody { skill: "text/upper".try_into()?, ..AcceptBody::to(&call, 1, call.made) };
//! let accept = Accept::sign(accept, &callee)?;
//!
//! let arrived = Accept::verify(accept.bytes(), network.id())?;
//! assert_eq!(arrived.answers(&call), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod accept;
mod accusation;
mod answer;
mod attestations;
mod call;
mod checkpoint;
mod comment;
mod contradiction;
mod demand;
mod epoch;
mod frame;
mod head;
mod kept;
mod lineage;
mod reason;
mod receipt;
mod refusal;
mod score;
mod signature;
mod signed;
mod task;

pub use accept::{Accept, AcceptBody, INDEX_MAX, Mismatch};
pub use accusation::{Accusation, AccusationError, DoubleAccept, EvidenceBody};
pub use answer::Answer;
pub use attestations::{
    Attestations, AttestationsBody, AttestationsError, ROWS_MAX, Row, SKILLS_MAX, Summary, Top,
};
pub use call::{CLOCK_ERROR_MS_MAX, Call, CallBody};
pub use checkpoint::{
    CHANGES_MAX, Checkpoint, CheckpointBody, CheckpointChanges, CheckpointError, TAKEN_MAX, Unproved,
};
pub use comment::{COMMENT_BYTES_MAX, Comment, CommentError};
pub use contradiction::{Contradiction, ContradictionBytes, ContradictionError};
pub use demand::{DEMANDS_PER_ROW, Demand, ReceiptProof, RowProof, Unproven};
pub use epoch::RatingEpoch;
pub use frame::{CallFrame, FrameError, Progress};
pub use head::{HEAD_BYTES_MAX, head_end, request_head_hash};
pub use kept::{KeptCall, KeptError, ProvenCall};
pub use lineage::{LINEAGE_BYTES_MAX, Lineage, LineageError};
pub use reason::{REASON_BYTES_MAX, Reason};
pub use receipt::{Outcome, ProvenReceipt, Receipt, ReceiptBody, ReceiptError, ReceiptLeaf};
pub use refusal::Refusal;
pub use score::{
    Contribution, Counts, CountsError, Factor, Ledger, Params, Q32, QUALITY_MAX, Rating, ScoreProof,
    ScoreProofError, Scores, Slash, Standing, View,
};
pub use signature::{BATCH_MAX, Claim, Signature};
pub use signed::{SIGNED_BYTES_MAX, Signed, Statement, StatementError, Unsigned};
pub use task::TaskId;
