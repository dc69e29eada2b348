use althing_ballot::{
    BallotError, CLOSERS_MAX, ClosedTerms, Closing, Electorate, ProposalBody, Question, Quorum, Rule, Subject,
};
use althing_record::{AgentId, Digest, Kind, Network, Record, RecordId};

/// How the question of a motion begins; the checkpoint's id follows.
const QUESTION: &str = "checkpoint ";

/// How the subject of a motion begins; the id of the checkpoint that it follows comes after, or [`NOTHING`].
const SUBJECT: &str = "checkpoint after ";
const NOTHING: &str = "nothing";

/// How much of what is cast has to be for it.
const RULE: Rule = Rule::SuperMajority { num: 2, den: 3 };

/// How long the members have to vote, in milliseconds: a quarter of a rating epoch within these.
const WINDOW_MS_MIN: u64 = 5_000;
const WINDOW_MS_MAX: u64 = 600_000;

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

/// How long the members have to vote, in milliseconds.
pub(super) fn window_ms(network: &Network) -> u64 {
    (network.genesis().rating_epoch_ms / 4).clamp(WINDOW_MS_MIN, WINDOW_MS_MAX)
}

/// How many of `members` must say yes: so many that two such sets share an honest member.
pub(super) fn yes_needed(members: usize) -> usize {
    Closing::reports_needed(members)
}

impl Motion {
    /// What a record moves, if it is a motion for a checkpoint: a proposal in exactly the form of [`Motion::body`]. So no
    /// member can make a vote that stays open for longer than others do, or that ends otherwise.
    pub(super) fn read(record: &Record, network: &Network) -> Option<Self> {
        let has_place = record.kind() == Kind::Proposal && record.group().is_none();
        if !has_place || committee(network).binary_search(&record.agent()).is_err() {
            return None;
        }
        let body: ProposalBody = record.body().ok()?;
        let checkpoint = body.question.strip_prefix(QUESTION)?.parse().ok()?;
        let name = body.subject.as_ref()?.name.strip_prefix(SUBJECT)?;
        let prev = if name == NOTHING { None } else { Some(name.parse().ok()?) };
        let motion = Self { prev, checkpoint };
        motion.body(network, body.nonce).is_ok_and(|form| form == body).then_some(motion)
    }

    /// The proposal.
    pub(super) fn body(&self, network: &Network, nonce: [u8; 8]) -> Result<ProposalBody, BallotError> {
        let committee = committee(network);
        let members = committee.len();
        let question = Question {
            text: &format!("{QUESTION}{}", self.checkpoint),
            options: &[],
            rule: RULE,
            electorate: &Electorate::equal(committee)?,
            window_ms: window_ms(network),
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
