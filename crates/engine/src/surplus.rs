//! What voters, closers and trustees say beyond what those say who keep to the rules.
//!
//! Who keeps to the rules says each thing about a vote once. Whoever does not could fill the stores of all nodes with
//! ballots, reports and statements that contradict each other. So of what is *surplus* here, each author's on each vote, some
//! is taken at once and the rest at a slow rate.
//!
//! What is surplus depends on what came first, so it must not be refused for good: two honest nodes would differ for ever.
//! It is early. Reconciliation offers it again, and once its author stops, all nodes come to have all of it. And nobody waits
//! for what a decision needs: a word that a value of the agreement names, or that a quorum may lack, is taken at any rate.

use althing_agree::{Entry, Step};
use althing_ballot::{
    Ack, Ballot, CloseReport, Closing, Mode, decision_of, has_acked, has_answered, has_voted, keys_of,
    opening_of, precommits, reports_of, statements_at,
};
use althing_record::{AgentId, Record, RecordId};
use althing_store::{ReadError, Snapshot};

use crate::body::Body;
use crate::engine::Engine;
use crate::quota::Buckets;
use crate::{Now, Source};

/// How much surplus of one author on one vote is taken at once: more than there can be closers who each heard another word
/// of it first.
pub const SURPLUS_BURST: u64 = 32;

/// How long the author then earns the right to one more, in milliseconds.
pub const SURPLUS_PERIOD_MS: u64 = 600_000;

/// The same for keys and openings of a trustee. They are short, and voters wait for those that ballots are sealed with.
pub const KEYS_BURST: u64 = 256;
/// See [`KEYS_BURST`].
pub const KEYS_PERIOD_MS: u64 = 10_000;

/// From which round on statements are surplus, whatever they say: a closer that keeps to the rules gets there after minutes
/// of disagreement, and then says three a round, which takes up to four seconds.
pub const ROUNDS_FREE: u32 = 64;

/// How many of these are taken at once.
pub const FAR_BURST: u64 = 512;

/// How long one more is earned, in milliseconds.
pub const FAR_PERIOD_MS: u64 = 250;

/// The values being judged whose reports and ballots are taken at any rate: the latest.
const JUDGED_MAX: usize = 4;

/// How much surplus there was of each author, on each vote.
pub(crate) type Surpluses = Buckets<(AgentId, RecordId, Surplus)>;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surplus {
    /// Contradictions and repetitions.
    Words,
    /// Keys of trustees, and what opens them.
    Keys,
    /// Statements of far rounds.
    FarRounds,
}

impl Surplus {
    fn period_ms_and_burst(self) -> (u64, u64) {
        match self {
            Self::Words => (SURPLUS_PERIOD_MS, SURPLUS_BURST),
            Self::Keys => (KEYS_PERIOD_MS, KEYS_BURST),
            Self::FarRounds => (FAR_PERIOD_MS, FAR_BURST),
        }
    }
}

impl<S: Snapshot> Engine<S> {
    /// Whether a record has to wait because its author has said too much about a vote. Asked last, of what would be new: it
    /// counts. What agents of this node said is never too much: it must be known here.
    pub(crate) fn is_over_surplus(
        &mut self,
        record: &Record,
        body: &Body,
        source: Source,
        now: Now,
    ) -> Result<bool, ReadError> {
        let is_heard = matches!(source, Source::Gossip | Source::Sync | Source::Search);
        if !is_heard || self.hosted(record.agent()).is_some() {
            return Ok(false);
        }
        let Some((vote, surplus)) = self.surplus(record, body)? else { return Ok(false) };
        let of = (record.agent(), vote, surplus);
        if self.surpluses.take(of, surplus.period_ms_and_burst(), now.ticks) {
            return Ok(false);
        }
        Ok(!self.is_needed(record, vote, body)?)
    }

    /// The vote of which a record says more than once what is said once, if it does.
    fn surplus(&mut self, record: &Record, body: &Body) -> Result<Option<(RecordId, Surplus)>, ReadError> {
        Ok(match body {
            Body::Ballots(ballots) => {
                let mut found = None;
                for ballot in ballots {
                    if found.is_none() && self.is_said(ballot, record.signing_key())? {
                        found = Some((ballot.proposal, Surplus::Words));
                    }
                }
                found
            }
            Body::Answers(answers) => {
                let said = has_answered(&self.store, answers.docket, answers.voter)?;
                said.then_some((answers.docket, Surplus::Words))
            }
            Body::Acks(acks) => self.acked_before(record.agent(), acks)?,
            Body::Report(report) => {
                let said = !reports_of(&self.store, report.proposal, report.closer, 1)?.is_empty();
                said.then_some((report.proposal, Surplus::Words))
            }
            Body::Statement(vote, entry) => {
                let statement = entry.statement();
                if !statements_at(&self.store, *vote, statement)?.is_empty() {
                    Some((*vote, Surplus::Words))
                } else {
                    (statement.round >= ROUNDS_FREE).then_some((*vote, Surplus::FarRounds))
                }
            }
            Body::TrusteeKey(said) => {
                let has_one = !keys_of(&self.store, said.proposal, said.trustee, 1)?.is_empty();
                has_one.then_some((said.proposal, Surplus::Keys))
            }
            Body::Opening(opening) => {
                let public = opening.secret.public();
                let opened = opening_of(&self.store, opening.proposal, opening.trustee, &public)?;
                opened.map(|_| (opening.proposal, Surplus::Keys))
            }
            Body::Card(_)
            | Body::Lease(_)
            | Body::Identity
            | Body::Group(_)
            | Body::Proposal(_)
            | Body::Docket(_)
            | Body::Agreement(_)
            | Body::Attestations(_)
            | Body::Checkpoint
            | Body::Evidence(_) => None,
        })
    }

    /// Whether a voter said enough before: in a Direct decision the same, because there every option that it names counts.
    fn is_said(&mut self, ballot: &Ballot, key: &[u8; 32]) -> Result<bool, ReadError> {
        let Some(proposal) = self.proposal(ballot.proposal)? else { return Ok(false) };
        let same = matches!(proposal.mode, Mode::Direct { .. }).then_some((key, &ballot.choice));
        has_voted(&self.store, ballot.proposal, ballot.voter, same)
    }

    fn acked_before(&self, closer: AgentId, acks: &[Ack]) -> Result<Option<(RecordId, Surplus)>, ReadError> {
        for ack in acks {
            if has_acked(&self.store, ack.proposal, closer, ack.voter)? {
                return Ok(Some((ack.proposal, Surplus::Words)));
            }
        }
        Ok(None)
    }

    /// Whether a decision may depend on it.
    fn is_needed(&mut self, record: &Record, vote: RecordId, body: &Body) -> Result<bool, ReadError> {
        if let Body::Statement(_, entry) = body {
            return self.may_complete(record.agent(), vote, entry);
        }
        let is_ballot = matches!(body, Body::Ballots(_) | Body::Answers(_));
        if !is_ballot && !matches!(body, Body::Report(_)) {
            return Ok(false);
        }
        let mut values: Vec<Vec<u8>> = decision_of(&self.store, vote)?.into_iter().collect();
        values.extend(self.closings.judged(vote, JUDGED_MAX));
        let reports = values.iter().flat_map(|value| value.chunks(RecordId::LEN));
        for id in reports.filter_map(|id| RecordId::try_from(id).ok()) {
            if id == record.id() {
                return Ok(true);
            }
            if !is_ballot {
                continue;
            }
            let Some(report) = self.record(id)? else { continue };
            let report = CloseReport::from_record(&report);
            if report.is_ok_and(|report| report.ballots.iter().any(|(_, batch)| *batch == record.id())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a precommit may be the one that a quorum lacks: so many others precommitted the value in the round that one of
    /// them is honest. That is so for one value a round at most.
    fn may_complete(&mut self, closer: AgentId, vote: RecordId, entry: &Entry) -> Result<bool, ReadError> {
        let statement = entry.statement();
        let (Step::Precommit, Some(value)) = (statement.step, statement.value) else { return Ok(false) };
        let Some(proposal) = self.proposal(vote)? else { return Ok(false) };
        let Some(closing) = proposal.closing() else { return Ok(false) };
        let closers = closing.closers(&self.network).len();
        let faulty = closers - Closing::reports_needed(closers);
        let said = precommits(&self.store, vote, statement.round, value)?;
        Ok(!said.contains(&closer) && said.len() > faulty)
    }
}
