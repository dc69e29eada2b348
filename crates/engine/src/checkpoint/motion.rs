use althing_ballot::{
    BallotError, CLOSERS_MAX, ClosedTerms, Closing, Electorate, Proposal, ProposalBody, Question, Quorum,
    Rule, Subject,
};
use althing_record::{AgentId, Digest, Network, RecordId};

/// How the question of a motion begins; the checkpoint's id follows.
const QUESTION: &str = "checkpoint ";

/// How the subject of a motion begins; the id of the checkpoint that it follows comes after, or [`NOTHING`].
const SUBJECT: &str = "checkpoint after ";
const NOTHING: &str = "nothing";

/// How much of what is cast has to be for it.
const RULE: Rule = Rule::SuperMajority { num: 2, den: 3 };

/// A proposal by which the network's committee decides on a checkpoint. It has one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Motion {
    /// The checkpoint that the new one follows.
    pub(super) prev: Option<RecordId>,
    /// The new one.
    pub(super) checkpoint: RecordId,
}

/// Who decides on checkpoints: those of the genesis's committee who close votes, by id.
pub(super) fn committee(network: &Network) -> Vec<AgentId> {
    let mut committee = network.genesis().committee.to_vec();
    committee.sort_unstable();
    committee.truncate(CLOSERS_MAX);
    committee
}

/// How many of `members` must say yes: so many that two such sets share an honest member.
pub(super) fn yes_needed(members: usize) -> usize {
    Closing::reports_needed(members)
}

impl Motion {
    /// What a proposal moves, if it is a motion for a checkpoint.
    pub(super) fn read(proposal: &Proposal, network: &Network) -> Option<Self> {
        let committee = committee(network);
        let closing = proposal.closing()?;
        let checkpoint = proposal.question.strip_prefix(QUESTION)?.parse().ok()?;
        let name = proposal.subject.as_ref()?.name.strip_prefix(SUBJECT)?;
        let prev = if name == NOTHING { None } else { Some(name.parse().ok()?) };
        // Another spelling of the same id would be another subject.
        if subject(prev).ok()?.name != proposal.subject.as_ref()?.name {
            return None;
        }
        let is_open = closing.by_committee && !closing.delegation && closing.sealing.is_none();
        let has_form = is_open
            && proposal.item.is_none()
            && proposal.group.is_none()
            && proposal.rule == RULE
            && proposal.options == ["yes", "no"]
            && proposal.against == Some(1)
            && committee.binary_search(&proposal.proposer).is_ok()
            && Electorate::equal(committee).is_ok_and(|electorate| electorate == proposal.electorate);
        has_form.then_some(Self { prev, checkpoint })
    }

    /// The proposal.
    pub(super) fn body(
        &self,
        network: &Network,
        window_ms: u64,
        nonce: [u8; 8],
    ) -> Result<ProposalBody, BallotError> {
        let committee = committee(network);
        let members = committee.len();
        let question = Question {
            text: &format!("{QUESTION}{}", self.checkpoint),
            options: &[],
            rule: RULE,
            electorate: &Electorate::equal(committee)?,
            window_ms,
            nonce,
        };
        let quorum = Some(Quorum::Weight(yes_needed(members) as u64));
        let terms = ClosedTerms { quorum, by_committee: true, ..ClosedTerms::default() };
        let body = ProposalBody::closed(&question, &terms)?;
        Ok(ProposalBody { subject: Some(subject(self.prev)?), ..body })
    }

    /// Under what the motions for what follows a checkpoint are found.
    pub(super) fn key(network: &Network, prev: Option<RecordId>) -> Option<Digest> {
        let electorate = Electorate::equal(committee(network)).ok()?;
        Some(subject(prev).ok()?.key(&electorate))
    }
}

fn subject(prev: Option<RecordId>) -> Result<Subject, BallotError> {
    let prev = prev.map_or_else(|| NOTHING.to_owned(), |prev| prev.to_string());
    Subject::new(&format!("{SUBJECT}{prev}"), None)
}
