//! How records and what is known of them stand in the tables. docs/spec/store.md has the same for people.

use althing_record::{AgentId, Digest, Domain, Incarnation, Kind, Millis, RecordId, merkle};
use althing_trust::RatingEpoch;

/// A record that never expires has this deadline.
pub(crate) const NEVER: Millis = Millis(u64::MAX);

/// A row of `records`: the deadline, then the carried bytes. No bytes: the record was here and its time is over.
pub(crate) struct StoredRecord<'a> {
    pub(crate) deadline: Millis,
    pub(crate) bytes: &'a [u8],
}

impl<'a> StoredRecord<'a> {
    pub(crate) fn read(row: &'a [u8]) -> Option<Self> {
        let (deadline, bytes) = row.split_first_chunk::<8>()?;
        Some(Self { deadline: Millis(u64::from_be_bytes(*deadline)), bytes })
    }

    pub(crate) fn to_row(&self) -> Vec<u8> {
        [&self.deadline.0.to_be_bytes()[..], self.bytes].concat()
    }
}

/// A row of `slot`: which record holds the slot, and until when that is remembered after the record is gone, so that
/// an older one cannot come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotHead {
    pub(crate) revision: u64,
    pub(crate) id: RecordId,
    pub(crate) deadline: Millis,
    pub(crate) keep_until: Millis,
    /// The key that signed the record: a head goes when its key is replaced, record or not.
    pub(crate) key: [u8; 32],
}

impl SlotHead {
    pub(crate) fn read(row: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_be_bytes(row.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            revision: word(0)?,
            id: RecordId::try_from(row.get(8..40)?).ok()?,
            deadline: Millis(word(40)?),
            keep_until: Millis(word(48)?),
            key: row.get(56..88)?.try_into().ok()?,
        })
    }

    pub(crate) fn to_row(self) -> Vec<u8> {
        [
            &self.revision.to_be_bytes()[..],
            &self.id.0,
            &self.deadline.0.to_be_bytes(),
            &self.keep_until.0.to_be_bytes(),
            &self.key,
        ]
        .concat()
    }
}

pub(crate) fn slot_key(agent: AgentId, kind: Kind, name: &str) -> Vec<u8> {
    [&agent.0[..], &kind.code().to_be_bytes(), name.as_bytes()].concat()
}

pub(crate) fn chain_prefix(agent: AgentId, stream: &str, incarnation: Option<Incarnation>) -> Vec<u8> {
    let length = u8::try_from(stream.len()).unwrap_or(u8::MAX);
    let incarnation = incarnation.map_or([0; 8], |incarnation| incarnation.0);
    [&agent.0[..], &[length], stream.as_bytes(), &incarnation].concat()
}

pub(crate) fn chain_key(prefix: &[u8], seq: u64, id: RecordId) -> Vec<u8> {
    [prefix, &seq.to_be_bytes(), &id.0].concat()
}

pub(crate) fn sync_prefix(domain: Domain) -> [u8; 1] {
    match domain {
        Domain::Directory => [0],
        Domain::Ledger => [1],
        Domain::Ratings => [2],
    }
}

pub(crate) fn sync_key(domain: Domain, made: Millis, id: RecordId) -> Vec<u8> {
    [&sync_prefix(domain)[..], &made.0.to_be_bytes(), &id.0].concat()
}

pub(crate) fn identity_key(agent: AgentId, id: RecordId) -> Vec<u8> {
    [agent.0, id.0].concat()
}

pub(crate) fn trust_prefix(rater: AgentId, epoch: RatingEpoch) -> Vec<u8> {
    [&rater.0[..], &epoch.0.to_be_bytes()].concat()
}

pub(crate) fn trust_key(rater: AgentId, epoch: RatingEpoch, id: RecordId) -> Vec<u8> {
    [&trust_prefix(rater, epoch)[..], &id.0].concat()
}

/// What a row of `expiry` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expiring {
    /// A record's time is over.
    Record(RecordId),
    /// What is left of a record need not be remembered any more.
    Trace(RecordId),
    /// A slot's head need not be remembered any more.
    Slot(Vec<u8>),
}

impl Expiring {
    pub(crate) fn key(&self, at: Millis) -> Vec<u8> {
        let (tag, rest) = match self {
            Self::Record(id) => (b'r', &id.0[..]),
            Self::Trace(id) => (b't', &id.0[..]),
            Self::Slot(key) => (b's', &key[..]),
        };
        [&at.0.to_be_bytes()[..], &[tag], rest].concat()
    }

    pub(crate) fn read(key: &[u8]) -> Option<Self> {
        let rest = key.get(9..)?;
        match key.get(8)? {
            b'r' => Some(Self::Record(RecordId::try_from(rest).ok()?)),
            b't' => Some(Self::Trace(RecordId::try_from(rest).ok()?)),
            b's' => Some(Self::Slot(rest.to_vec())),
            _ => None,
        }
    }
}

/// The key of a case of misbehaviour. Of all records that prove it, the row names the lowest and the lowest that
/// contradicts that one, so that every node shows the same.
pub(crate) fn evidence_key(agent: AgentId, offence: u8, subject: &[u8]) -> Vec<u8> {
    [&agent.0[..], &[offence], subject].concat()
}

/// What a case is called: which records prove it may change, the case does not.
pub(crate) fn case_id(key: &[u8]) -> Digest {
    merkle::root(&[&b"althing/case/1"[..], key])
}

/// Offence: two ballots of one voter for one proposal.
pub(crate) const DOUBLE_BALLOT: u8 = b'b';

/// Offence: two batches of one voter that answer one docket differently.
pub(crate) const DOUBLE_ANSWERS: u8 = b'a';

/// Offence: two statements of one closer at one place of an agreement.
pub(crate) const DOUBLE_STATEMENT: u8 = b's';

/// Offence: two close reports of one closer for one proposal.
pub(crate) const DOUBLE_REPORT: u8 = b'r';

/// Offence: two keys of one trustee for one proposal.
pub(crate) const DOUBLE_KEY: u8 = b'k';

/// Offence: two attestations of one rater on one rating epoch.
pub(crate) const DOUBLE_ATTESTATION: u8 = b't';

/// Offence: two Accepts of one callee with one place. Its subject begins with the two keys that signed.
pub(crate) const DOUBLE_ACCEPT: u8 = b'c';

/// Offence: two records at one position of one chain.
pub(crate) const CHAIN_FORK: u8 = b'f';

/// What an offence is called.
pub(crate) fn offence_name(offence: u8) -> &'static str {
    match offence {
        CHAIN_FORK => "chain fork",
        DOUBLE_BALLOT | DOUBLE_ANSWERS => "double ballot",
        DOUBLE_STATEMENT => "double statement",
        DOUBLE_REPORT => "double report",
        DOUBLE_KEY => "double trustee key",
        DOUBLE_ATTESTATION => "double attestation",
        DOUBLE_ACCEPT => "double accept",
        _ => "unknown offence",
    }
}
