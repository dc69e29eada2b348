//! Byzantine agreement among the closers of one decision.
//!
//! [`Agreement`] is one closer's part in one decision. Up to a third of the closers may do anything; the others never
//! decide differently, and they decide once messages arrive again. `docs/spec/agreement.md` has the rules and bytes.
//!
//! The rounds are run by the Tendermint core of Malachite. Around it, this crate signs and verifies, keeps what must
//! outlive a crash, repeats what may have been lost, proves contradictions, and bounds everything. It deliberately has
//! no clock, no network, no disk and no keys, and does not know what a value means.
//!
//! ```
//! use std::sync::Arc;
//!
//! use althing_agree::{Agreement, Instance, InstanceId, Output, Value};
//! use althing_record::{AgentKey, Millis, Network};
//!
//! let key = AgentKey::from_seed(&[1; 32]);
//! let closers = vec![key.agent()];
//! let instance = Arc::new(Instance::new(Network::builtin().id(), InstanceId([7; 32]), closers)?);
//! let mut alone = Agreement::new(instance, Some(key.agent()), Millis(0));
//! alone.offer(Millis(0), Value::new(b"yes")?, &key);
//! let mut decided = false;
//! while let Some(output) = alone.poll() {
//!     decided |= matches!(output, Output::Decided { value, .. } if value.bytes() == b"yes");
//! }
//! assert!(decided);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod agreement;
mod certificate;
mod context;
mod entry;
mod evidence;
mod instance;
mod message;
mod output;
mod statement;
mod timing;
mod value;

pub use agreement::{Agreement, RestoreError};
pub use certificate::{CERTIFICATE_BYTES_MAX, CertificateError, CommitCertificate};
pub use entry::{ENTRY_BYTES_MAX, Entry, EntryError};
pub use evidence::{EVIDENCE_BYTES_MAX, Evidence, EvidenceError};
pub use instance::{CLOSERS_MAX, ClosersError, Instance, InstanceId, ROUND_MAX};
pub use message::{MESSAGE_BYTES_MAX, Message, MessageError};
pub use output::Output;
pub use statement::{FIRST_KEYS, Keys, SignedStatement, Signer, Statement, StatementError, Step};
pub use timing::{ANSWER_MS, RESEND_MS, timeout_ms};
pub use value::{VALUE_BYTES_MAX, Value, ValueTooLong};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod rotated;
#[cfg(test)]
mod simulation;
