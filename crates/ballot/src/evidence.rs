use althing_record::{AgentId, Record, RecordId};

use crate::{Choice, ballots_of};

/// Proof that one voter answered one proposal in two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubleBallot {
    /// The voter.
    pub voter: AgentId,
    /// The proposal.
    pub proposal: RecordId,
    /// The batches that hold the two ballots, ascending by id.
    pub batches: [RecordId; 2],
    /// What they say, in the order of the batches.
    pub choices: [Choice; 2],
}

impl DoubleBallot {
    /// The proofs that two batches of one voter give: one for each proposal that they answer differently.
    #[must_use]
    pub fn prove(one: &Record, other: &Record) -> Vec<Self> {
        if one.agent() != other.agent() {
            return Vec::new();
        }
        let (first, second) = if one.id() < other.id() { (one, other) } else { (other, one) };
        let (Ok(mine), Ok(theirs)) = (ballots_of(first), ballots_of(second)) else { return Vec::new() };
        let theirs: std::collections::BTreeMap<_, _> =
            theirs.iter().map(|ballot| (ballot.proposal, ballot.choice.clone())).collect();
        mine.iter()
            .filter_map(|ballot| {
                let other = theirs.get(&ballot.proposal).filter(|choice| **choice != ballot.choice)?;
                Some(Self {
                    voter: ballot.voter,
                    proposal: ballot.proposal,
                    batches: [first.id(), second.id()],
                    choices: [ballot.choice.clone(), other.clone()],
                })
            })
            .collect()
    }
}
