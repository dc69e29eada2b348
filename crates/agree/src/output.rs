use std::sync::Arc;

use althing_record::Millis;

use crate::{CommitCertificate, Entry, Evidence, Message, SignedStatement, Value};

/// What the user of an [`Agreement`](crate::Agreement) is to do, strictly in this order: nothing that comes after a
/// [`Keep`](Output::Keep) is done before its bytes are on disk.
#[derive(Clone, Debug)]
pub enum Output {
    /// Put [`Entry::bytes`] on disk, synced, then send [`Entry::message`] to the other closers.
    Keep(Arc<Entry>),
    /// Send to the other closers: messages sent before, or signed by others.
    Send(Vec<Message>),
    /// Send to whoever the last message came from.
    Answer(Message),
    /// Find out whether the value is valid and tell with [`judge`](crate::Agreement::judge).
    Judge(Value),
    /// Call [`wake`](crate::Agreement::wake) at this time. It replaces any deadline before.
    WakeAt(Millis),
    /// The decision. It comes once.
    Decided {
        /// What was decided.
        value: Value,
        /// The proof.
        certificate: CommitCertificate,
    },
    /// A closer contradicted itself.
    Evidence(Evidence),
    /// A statement that is signed with this closer's key and was not kept here. The instance has fallen silent.
    Doubled(Box<SignedStatement>),
}
