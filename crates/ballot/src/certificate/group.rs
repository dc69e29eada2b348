//! The way to the state of a group that an electorate is of, in a certificate.

use std::collections::BTreeMap;

use althing_group::{HEIGHT_MAX, State};
use althing_record::cbor::{Blob, List};
use althing_record::{Kind, Membership, Network, Record, RecordId};

use super::CertificateError;
use crate::{Proposal, VotedChange};

/// The envelopes of a Founding and of changes after it.
pub(super) type GroupPath = List<Blob<65_536>, { HEIGHT_MAX as usize + 1 }>;

/// The records from the Founding to the state of a proposal's group, in order; an inner `None` if it names its voters.
///
/// `None` if one is missing.
pub(super) fn path<'r>(proposal: &Proposal, others: &'r [Record]) -> Option<Option<Vec<&'r Record>>> {
    let Some(of) = proposal.electorate.group() else { return Some(None) };
    let by_id: BTreeMap<RecordId, &Record> = others.iter().map(|record| (record.id(), record)).collect();
    let mut path = vec![*by_id.get(&of.head)?];
    while let Some(last) = path.last().filter(|last| last.kind() != Kind::Founding) {
        let body: Membership = last.body().ok()?;
        path.push(by_id.get(&body.prev)?);
    }
    path.reverse();
    Some(Some(path))
}

/// The same as it stands in a file.
pub(super) fn written(path: Option<&[&Record]>) -> Option<Option<GroupPath>> {
    let Some(path) = path else { return Some(None) };
    let blobs: Option<Vec<_>> =
        path.iter().map(|record| Blob::try_from(record.envelope().to_vec()).ok()).collect();
    List::try_from(blobs?).ok().map(Some)
}

/// Checks that the electorate is the members of the state that it names, and that one of them proposed. `require` says
/// whether the key that signed a record is its agent's.
pub(super) fn check(
    network: &Network,
    proposal: &Proposal,
    path: Option<&GroupPath>,
    mut require: impl FnMut(&Record) -> Result<(), &'static str>,
) -> Result<(), CertificateError> {
    let fault = |cause: &str| CertificateError::Group(cause.to_owned());
    let (of, path) = match (proposal.electorate.group(), path) {
        (None, None) => return Ok(()),
        (Some(of), Some(path)) => (of, path),
        (Some(_), None) => return Err(fault("the records of its members are missing")),
        (None, Some(_)) => return Err(fault("the electorate is no group's")),
    };
    let mut records = Vec::with_capacity(path.len());
    for (index, bytes) in path.iter().enumerate() {
        let record = super::record(network, &format!("group record {index}"), bytes)?;
        require(&record).map_err(fault)?;
        records.push(record);
    }
    let state =
        State::replay(&records, |state, record, body| VotedChange::check(network, state, record, body))
            .map_err(|error| CertificateError::Group(error.to_string()))?;
    if (state.group(), state.head()) != (of.group, of.head) {
        return Err(fault("the records are not of the state that the electorate names"));
    }
    let members = state.members().map(|(agent, _)| agent);
    if !members.eq(proposal.electorate.voters().iter().map(|voter| voter.agent)) {
        return Err(fault("the electorate is not the members"));
    }
    if !state.is_member(proposal.proposer) {
        return Err(fault("the proposer was no member"));
    }
    Ok(())
}
