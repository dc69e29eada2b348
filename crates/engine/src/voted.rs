//! Changes of groups that members decide on by vote, instead of an admin: the vote, and the change that shows its outcome.

use althing_ballot::{
    Electorate, GroupState, Outcome, Proposal, ProposalBody, Rule, VotedChange, proposals_on,
};
use althing_group::State;
use althing_record::{AgentId, Change, Content, GroupId, Kind, Record, cbor};
use althing_store::{ReadError, Snapshot};
use rand_core::Rng;

use crate::engine::Engine;
use crate::{Answer, AskNo, HostedAgent, Now, RefusalKind};

/// Most votes about one change that are looked at, those with the lowest ids.
const VOTES_MAX: usize = 256;

/// The place of `yes` among a motion's options.
const YES: u32 = 0;

impl<S: Snapshot> Engine<S> {
    /// Has the members of a group vote on a change, finds the vote that they hold already or, once they decided, makes the
    /// change if this agent put it to them.
    pub(crate) fn on_vote_change(
        &mut self,
        no: AskNo,
        (agent, group): (AgentId, GroupId),
        change: &Change,
        window_ms: u64,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some((hosted, tip)) = self.open_group(no, agent, group)? else { return Ok(()) };
        let state = &tip.state;
        if let Err(error) = state.after_vote(state.head(), agent, change) {
            self.refuse_change(no, &error);
            return Ok(());
        }
        let votes = self.votes_on_change(state, change)?;
        for proposal in votes.iter().filter(|proposal| proposal.proposer == agent) {
            if self.outcome(proposal)? == Outcome::Decided(YES) {
                return self.make_decided(no, &hosted, (state, change), proposal, now);
            }
        }
        // One that somebody else put and has not made a change of in time does not hold others up.
        if let Some(proposal) = votes.iter().find(|proposal| proposal.closes() > now.wall) {
            let (proposal, proposer) = (proposal.id, proposal.proposer);
            self.answer(no, Answer::ChangeVote { proposal, proposer, is_new: false });
            return Ok(());
        }
        let body = match self.body_of_change(state, change, window_ms) {
            Ok(body) => body,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(());
            }
        };
        match self.sign_link(&hosted, Kind::Proposal, Content::Body(cbor::to_vec(&body)), now) {
            Ok(record) => {
                let proposal = record.id();
                self.answer(no, Answer::ChangeVote { proposal, proposer: agent, is_new: true });
                Ok(())
            }
            Err(error) => self.refuse_unsigned(no, error),
        }
    }

    /// The votes that ask the members of a state to decide on a change, ascending.
    fn votes_on_change(&self, state: &State, change: &Change) -> Result<Vec<Proposal>, ReadError> {
        let (Ok(electorate), Ok(subject)) = (electorate_of(state), VotedChange::subject(change)) else {
            return Ok(Vec::new());
        };
        let mut votes = Vec::new();
        for id in proposals_on(&self.store, subject.key(&electorate), VOTES_MAX)? {
            let proposal = self.record(id)?.and_then(|record| Proposal::from_record(&record).ok());
            votes.extend(proposal.filter(|proposal| VotedChange::asks(proposal, state, change)));
        }
        Ok(votes)
    }

    fn body_of_change(
        &mut self,
        state: &State,
        change: &Change,
        window_ms: u64,
    ) -> Result<ProposalBody, althing_ballot::BallotError> {
        let mut nonce = [0; 8];
        self.random.fill_bytes(&mut nonce);
        let (question, electorate) = (VotedChange::question(state, change), electorate_of(state)?);
        let body = ProposalBody::direct(&question, &[], Rule::Approvals(0), &electorate, window_ms, nonce)?;
        Ok(ProposalBody { subject: Some(VotedChange::subject(change)?), ..body })
    }

    /// Makes the change that members decided on.
    fn make_decided(
        &mut self,
        no: AskNo,
        hosted: &HostedAgent,
        (state, change): (&State, &Change),
        proposal: &Proposal,
        now: Now,
    ) -> Result<(), ReadError> {
        if !self.knows_newest(no, state) {
            return Ok(());
        }
        let Some(record) = self.record(proposal.id)? else { return Ok(()) };
        let mut batches: Vec<Record> = Vec::new();
        for cast in self.standing_ballots(proposal.id, None)? {
            batches.extend(self.record(cast.batch)?);
        }
        let identities = self.identities_of(batches.iter().chain([&record]), [])?;
        let decision = VotedChange::write(&self.network, state, change, &record, &batches, &identities);
        let Some(decision) = decision else {
            let cause = format!(
                "what {} decided does not fit the record of a change: its ballots came in large batches",
                proposal.id
            );
            self.refuse(no, RefusalKind::Conflict, cause, None);
            return Ok(());
        };
        match self.sign_change(hosted, state, change.clone(), Some(decision), now) {
            Ok(record) => self.answer_group(no, state.group(), record.id()),
            Err(error) => self.refuse_unsigned(no, error),
        }
    }
}

/// The members of a state as an electorate.
pub(crate) fn electorate_of(state: &State) -> Result<Electorate, althing_ballot::BallotError> {
    let of = GroupState { group: state.group(), head: state.head() };
    Electorate::of_group(of, state.members().map(|(agent, _)| agent).collect())
}
