//! How a sealed vote stands.

use althing_ballot::{Proposal, has_opened, keys_of};
use althing_record::AgentId;
use althing_store::{ReadError, Snapshot};

use crate::engine::Engine;
use crate::{Now, VoteState};

/// How long after the decision, as this node saw it, a vote that is not opened is called so, in milliseconds.
const UNOPENED_AFTER_MS: u64 = 60_000;

/// Who opens the ballots of a sealed vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTerms {
    /// How many trustees open a ballot.
    pub threshold: u64,
    /// The trustees, ascending.
    pub trustees: Vec<Trustee>,
}

/// A trustee of a sealed vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trustee {
    /// Who.
    pub agent: AgentId,
    /// Whether its key for this vote is known.
    pub has_key: bool,
    /// Whether its secret is known. Before the vote is closed none should be.
    pub has_opened: bool,
}

impl<S: Snapshot> Engine<S> {
    /// The trustees of a vote, and what they have published.
    pub(crate) fn sealed_terms(&self, proposal: &Proposal) -> Result<Option<SealedTerms>, ReadError> {
        let Some(sealing) = proposal.sealing() else { return Ok(None) };
        let mut trustees = Vec::with_capacity(sealing.trustees().len());
        for agent in sealing.trustees() {
            trustees.push(Trustee {
                agent: *agent,
                has_key: !keys_of(&self.store, proposal.id, *agent, 1)?.is_empty(),
                has_opened: has_opened(&self.store, proposal.id, *agent)?,
            });
        }
        Ok(Some(SealedTerms { threshold: sealing.threshold() as u64, trustees }))
    }

    /// The state of a sealed vote whose ballots are decided and not counted.
    pub(crate) fn unopened_state(
        &self,
        proposal: &Proposal,
        terms: &SealedTerms,
        now: Now,
    ) -> Result<VoteState, ReadError> {
        let opened = terms.trustees.iter().filter(|trustee| trustee.has_opened).count() as u64;
        let since = self.saw_decision(proposal.id)?.map_or(0, |seen| now.wall.0.saturating_sub(seen));
        if opened < terms.threshold && since >= UNOPENED_AFTER_MS {
            let silent = terms.trustees.iter().filter(|trustee| !trustee.has_opened);
            return Ok(VoteState::Unopened { missing: silent.map(|trustee| trustee.agent).collect() });
        }
        Ok(VoteState::Opening { opened, threshold: terms.threshold })
    }
}
