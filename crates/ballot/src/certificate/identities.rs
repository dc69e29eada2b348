//! The identity records that a certificate carries for those who signed with another key than their first.

use std::collections::BTreeSet;

use althing_agree::Statement;
use althing_record::cbor::{Blob, List};
use althing_record::{AgentId, KeyHistory, Kind, Network, Record};

use super::{CertificateError, record};

/// The identity records of those among the signers whose keys were rotated, and of `rotated`, as a file has them.
pub(crate) fn needed_identities<'r>(
    signed: impl IntoIterator<Item = &'r Record>,
    rotated: impl IntoIterator<Item = AgentId>,
    others: &[Record],
) -> Option<List<Blob<1_024>, 4_096>> {
    let signers = signed.into_iter().filter(|record| record.header().key.is_some()).map(Record::agent);
    let rotated: BTreeSet<_> = signers.chain(rotated).collect();
    let is_identity = |record: &&Record| matches!(record.kind(), Kind::Inception | Kind::Rotation);
    let identities = others.iter().filter(is_identity);
    let mut identities: Vec<&Record> =
        identities.filter(|record| rotated.contains(&record.agent())).collect();
    identities.sort_by_key(|record| record.id());
    identities.dedup_by_key(|record| record.id());
    let blobs: Option<Vec<_>> =
        identities.iter().map(|record| Blob::try_from(record.envelope().to_vec()).ok()).collect();
    List::try_from(blobs?).ok()
}

/// The identity records of a file, and whose are needed.
pub(crate) struct Identities {
    records: Vec<Record>,
    needed: BTreeSet<AgentId>,
}

impl Identities {
    pub(crate) fn read(network: &Network, blobs: &[Blob<1_024>]) -> Result<Self, CertificateError> {
        let records: Result<_, _> =
            blobs.iter().map(|bytes| record(network, "identity record", bytes)).collect();
        Ok(Self { records: records?, needed: BTreeSet::new() })
    }

    /// The key that signed a record must be its agent's.
    pub(crate) fn require(&mut self, record: &Record) -> Result<(), &'static str> {
        if record.header().key.is_none() {
            return Ok(());
        }
        self.needed.insert(record.agent());
        let history = KeyHistory::fold(record.agent(), &self.records);
        history.rank(record).map(|_| ()).ok_or("the signing key is not proved to be its agent's")
    }

    /// The key that signed a record must be, or have been, its agent's on whichever branch: what the closers agreed on, and
    /// who was in a group, stays so whichever branch wins later.
    pub(crate) fn require_known(&mut self, record: &Record) -> Result<(), &'static str> {
        if record.header().key.is_none() {
            return Ok(());
        }
        self.needed.insert(record.agent());
        let history = KeyHistory::fold(record.agent(), &self.records);
        if history.knows(record) { Ok(()) } else { Err("the signing key is not proved to be the agent's") }
    }

    /// Which keys are, or were, an agent's on whichever branch, as above.
    pub(crate) fn keys(&self) -> impl Fn(AgentId, &[u8; 32]) -> bool {
        |agent, key| KeyHistory::fold(agent, &self.records).has(key)
    }

    /// Those who spoke under another key than their first need their identity records.
    pub(crate) fn need<'s>(&mut self, said: impl IntoIterator<Item = &'s Statement>) {
        let rotated = said.into_iter().filter(|statement| statement.key.is_some());
        self.needed.extend(rotated.map(|statement| statement.closer));
    }

    /// None may be there that nobody needs, or out of order: a certificate has one form.
    pub(crate) fn check_all_needed(&self) -> Result<(), CertificateError> {
        let in_order = self.records.windows(2).all(|pair| pair[0].id() < pair[1].id());
        let is_needed = |record: &Record| {
            matches!(record.kind(), Kind::Inception | Kind::Rotation) && self.needed.contains(&record.agent())
        };
        if in_order && self.records.iter().all(is_needed) { Ok(()) } else { Err(CertificateError::Surplus) }
    }
}
