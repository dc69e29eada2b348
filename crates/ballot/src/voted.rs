use std::collections::BTreeMap;

use althing_group::{GroupError, State};
use althing_record::cbor::{self, Blob, DecodeError, Limits, List};
use althing_record::{Change, Membership, Network, Record, cbor_map};

use crate::certificate::{Identities, VoteProof, needed_identities, record, voters, weigh};
use crate::{BallotError, CertificateError, Choice, GroupState, Mode, Proposal, Subject, ballots_of};

/// Most votes that one change shows: a vote of each member.
const VOTES_MAX: usize = althing_group::MEMBERS_MAX;

/// A vote has ten digests a path and five entries.
const LIMITS: Limits = Limits { depth: 5, items: 16_384 };

/// The place of `yes` among a motion's options.
const YES: u32 = 0;

cbor_map! {
    /// The members' decision on a change to their group, as the change's record carries it: what a Direct certificate has
    /// beside the network and the way to the group's state, which whoever judges the change has to know anyway.
    pub struct VotedChange: version 1 {
        /// The envelope of the proposal.
        1 => pub proposal: Blob<65_536>,
        /// The ballots for it, ascending by voter.
        2 => pub votes: List<VoteProof, VOTES_MAX>,
        /// Identity records of those who signed with a rotated key, ascending by id.
        3 => pub identities: List<Blob<1_024>, 4_096>,
    }
}

/// Why a change is not one that the members decided on; the first fault found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VotedChangeError {
    /// The change does not follow the state before it, whoever decided on it.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// What it carries is no such decision.
    #[error("the decision is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The proposal in it is none.
    #[error("the decision's proposal: {0}")]
    Proposal(#[from] BallotError),
    /// It is not the members' at the state before the change.
    #[error("the decision is of another group or state, or not of its members")]
    OtherState,
    /// It is on another change, or on something else.
    #[error("the decision is not on this change")]
    OtherChange,
    /// It is made in a way that proves nothing to others.
    #[error("the decision is not a motion that ballots alone decide")]
    NotDirect,
    /// The change was made by somebody else than put it to the vote.
    #[error("the change is not made by who put it to the vote")]
    Author,
    /// The votes do not prove it.
    #[error("the decision: {0}")]
    Votes(#[from] CertificateError),
}

impl VotedChange {
    /// What a vote about a change decides about.
    ///
    /// # Errors
    /// Never: the name is short.
    pub fn subject(change: &Change) -> Result<Subject, BallotError> {
        let (_, agent) = change.parts();
        Subject::new(&format!("group {} {agent}", change.name()), None)
    }

    /// What a vote about a change asks: whoever votes is told what follows.
    #[must_use]
    pub fn question(state: &State, change: &Change) -> String {
        let (_, agent) = change.parts();
        format!("{} {agent} in group {}, after {}?", change.name(), state.group(), state.head())
    }

    /// Whether a proposal asks the members of a state to decide on a change, so that ballots alone prove it.
    #[must_use]
    pub fn asks(proposal: &Proposal, state: &State, change: &Change) -> bool {
        Self::misfit(proposal, state, change).is_none()
    }

    /// Writes the decision on a change from the batches that hold ballots for it, with their leaves, and the `identities` of
    /// those with rotated keys. `None` if they do not prove it, or it is too long for a record.
    #[must_use]
    pub fn write(
        network: &Network,
        state: &State,
        change: &Change,
        proposal: &Record,
        batches: &[Record],
        identities: &[Record],
    ) -> Option<Blob<65_536>> {
        let parsed = Proposal::from_record(proposal).ok()?;
        let mut votes = BTreeMap::new();
        for batch in batches {
            let said = ballots_of(batch).ok()?;
            let index =
                said.iter().position(|one| one.proposal == parsed.id && one.choice == Choice::Option(YES));
            if let Some(index) = index.filter(|_| parsed.electorate.weight(batch.agent()).is_some()) {
                votes.entry(batch.agent()).or_insert((batch, index));
            }
        }
        // No more than decide, so that the change fits a record.
        let needed = usize::try_from(parsed.threshold()?).ok()?;
        let votes: Vec<_> = votes.into_values().take(needed).collect();
        let signed = [proposal].into_iter().chain(votes.iter().map(|(batch, _)| *batch));
        let identities = needed_identities(signed, [], identities)?;
        let proofs: Option<Vec<_>> =
            votes.iter().map(|(batch, index)| VoteProof::of(batch, *index)).collect();
        let decision = Self {
            proposal: Blob::try_from(proposal.envelope().to_vec()).ok()?,
            votes: List::try_from(proofs?).ok()?,
            identities,
        };
        decision.verify(network, state, proposal, change).ok()?;
        Blob::try_from(cbor::to_vec(&decision)).ok()
    }

    /// Checks what a change's record carries, by the bytes and the state before the change alone.
    ///
    /// # Errors
    /// When it carries nothing, or not the decision of the members of `state` on this change.
    pub fn check(
        network: &Network,
        state: &State,
        record: &Record,
        body: &Membership,
    ) -> Result<(), VotedChangeError> {
        let bytes = body.decision.as_ref().ok_or(VotedChangeError::OtherChange)?;
        let decision: Self = cbor::from_slice(bytes, LIMITS)?;
        decision.verify(network, state, record, &body.change)
    }

    /// `made_by`: a record of who makes the change.
    fn verify(
        &self,
        network: &Network,
        state: &State,
        made_by: &Record,
        change: &Change,
    ) -> Result<(), VotedChangeError> {
        let proposal_record = record(network, "proposal", &self.proposal)?;
        let proposal = Proposal::from_record(&proposal_record)?;
        if let Some(misfit) = Self::misfit(&proposal, state, change) {
            return Err(misfit);
        }
        if proposal.proposer != made_by.agent() {
            return Err(VotedChangeError::Author);
        }
        let mut identities = Identities::read(network, &self.identities)?;
        // Who is in a group stays so whichever branch of whose identity wins later.
        identities.require_known(&proposal_record).map_err(CertificateError::Signer)?;
        let voters =
            voters((network, &proposal, 0), YES, &self.votes, |batch| identities.require_known(batch))?;
        identities.check_all_needed()?;
        weigh(&proposal, YES, &voters)?;
        Ok(())
    }

    fn misfit(proposal: &Proposal, state: &State, change: &Change) -> Option<VotedChangeError> {
        let of = GroupState { group: state.group(), head: state.head() };
        let members = state.members().map(|(agent, _)| agent);
        let is_theirs = proposal.electorate.group() == Some(of)
            && members.eq(proposal.electorate.voters().iter().map(|voter| voter.agent))
            && state.is_member(proposal.proposer);
        if !is_theirs {
            return Some(VotedChangeError::OtherState);
        }
        let is_on_it = proposal.question == Self::question(state, change)
            && proposal.subject.is_some()
            && proposal.subject == Self::subject(change).ok();
        if !is_on_it {
            return Some(VotedChangeError::OtherChange);
        }
        let is_motion = matches!(proposal.mode, Mode::Direct { .. })
            && proposal.against == Some(1)
            && proposal.options.len() == 2
            && proposal.pardon.is_none();
        (!is_motion).then_some(VotedChangeError::NotDirect)
    }
}

#[cfg(test)]
mod tests;
