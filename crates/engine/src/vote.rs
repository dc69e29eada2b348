//! Proposals and ballots: what this node's agents say, and what anyone may read from the records.

use std::collections::BTreeSet;

use althing_ballot::{
    Ballot, CastBallot, Certificate, Choice, Electorate, Outcome, Proposal, ProposalBody, Rule, Tally,
    ballots_for, leaf,
};
use althing_record::{AgentId, Content, Kind, Record, RecordId, cbor};
use althing_store::{ReadError, Snapshot, Table};
use rand_core::Rng;

use crate::engine::Engine;
use crate::{
    Answer, AskNo, Method, Note, Now, OptionTally, ProposalDraft, RefusalKind, Vote, VoteState, Voter,
};

/// Most proposals that one answer lists.
pub const VOTES_MAX: usize = 1_000;

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_propose(
        &mut self,
        no: AskNo,
        agent: AgentId,
        draft: &ProposalDraft,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let rule = match draft.method {
            Method::Approvals(count) => Rule::Approvals(count),
            Method::Supermajority { num, den } => Rule::SuperMajority { num, den },
            Method::Unanimous => Rule::Unanimous,
        };
        let mut nonce = [0; 8];
        self.random.fill_bytes(&mut nonce);
        let body = Electorate::equal(draft.voters.clone()).and_then(|electorate| {
            ProposalBody::direct(&draft.question, &draft.options, rule, &electorate, draft.window_ms, nonce)
        });
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(());
            }
        };
        let content = Content::Body(cbor::to_vec(&body));
        let record = match self.sign_link(&hosted, Kind::Proposal, content, now) {
            Ok(record) => record,
            Err(error) => return self.refuse_unsigned(no, error),
        };
        if let Ok(proposal) = Proposal::from_record(&record) {
            let (threshold, tolerates) = (proposal.threshold, proposal.electorate.tolerates());
            self.answer(no, Answer::Proposed { proposal: record.id(), threshold, tolerates });
        }
        Ok(())
    }

    pub(crate) fn on_cast(
        &mut self,
        no: AskNo,
        agent: AgentId,
        id: RecordId,
        choice: &str,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let Some(proposal) = self.proposal(id)? else {
            self.refuse_unknown_proposal(no, id);
            return Ok(());
        };
        if proposal.electorate.weight(agent).is_none() {
            let cause = format!("agent {agent} is not in the electorate of {id}");
            self.refuse(no, RefusalKind::Invalid, cause, Some("`althing vote show` lists the voters"));
            return Ok(());
        }
        let choice = match Choice::parse(choice, &proposal) {
            Ok(choice) => choice,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(());
            }
        };
        if let Some(earlier) = self.standing_ballots(id, Some(agent))?.first() {
            if earlier.ballot.choice == choice {
                self.answer(no, Answer::Cast { ballot: earlier.batch, repeated: true });
            } else {
                let cause = format!(
                    "agent {agent} already voted \"{}\" on {id}",
                    earlier.ballot.choice.text(&proposal)
                );
                self.refuse(
                    no,
                    RefusalKind::Conflict,
                    cause,
                    Some("a ballot is final; a second one would be a proof of cheating"),
                );
            }
            return Ok(());
        }
        if proposal.closes() <= now.wall {
            let cause = format!("the window of {id} closed {} ms ago", now.wall.since(proposal.closes()));
            self.refuse(no, RefusalKind::Conflict, cause, Some("propose the question again"));
            return Ok(());
        }
        if !self.has_asked_before_ballot(no, agent, &proposal, now)? {
            return Ok(());
        }
        let content = Content::Leaves(vec![leaf(id, choice)]);
        match self.sign_link(&hosted, Kind::BallotBatch, content, now) {
            Ok(record) => self.answer(no, Answer::Cast { ballot: record.id(), repeated: false }),
            Err(error) => return self.refuse_unsigned(no, error),
        }
        Ok(())
    }

    fn refuse_unknown_proposal(&mut self, no: AskNo, id: RecordId) {
        let hint = Some("`althing vote ls` shows the known proposals; a new one may take a moment to arrive");
        self.refuse(no, RefusalKind::NotFound, format!("proposal {id} is not known here"), hint);
    }

    pub(crate) fn on_vote(&mut self, no: AskNo, id: RecordId, now: Now) -> Result<(), ReadError> {
        match self.vote(id, now)? {
            Some(vote) => self.answer(no, Answer::Vote(Box::new(vote))),
            None => self.refuse_unknown_proposal(no, id),
        }
        Ok(())
    }

    pub(crate) fn on_votes(&mut self, no: AskNo, now: Now) -> Result<(), ReadError> {
        let mut votes = Vec::new();
        for id in althing_ballot::proposals(&self.store, VOTES_MAX)? {
            votes.extend(self.vote(id, now)?);
        }
        votes.sort_by_key(|vote| (std::cmp::Reverse(vote.made), vote.proposal));
        self.answer(no, Answer::Votes(votes));
        Ok(())
    }

    fn vote(&mut self, id: RecordId, now: Now) -> Result<Option<Vote>, ReadError> {
        let Some(proposal) = self.proposal(id)? else { return Ok(None) };
        let tally = self.tally(&proposal)?;
        let text = |index: u32| proposal.options[index as usize].clone();
        let state = match tally.outcome(&proposal) {
            Outcome::Decided(option) => VoteState::Decided { option: text(option) },
            Outcome::Conflicting(options) => {
                VoteState::Conflicting { options: options.into_iter().map(text).collect() }
            }
            Outcome::Undecided if proposal.closes() <= now.wall => VoteState::Expired,
            Outcome::Undecided => VoteState::Open,
        };
        let voters = proposal.electorate.voters().iter().map(|voter| Voter {
            agent: voter.agent,
            choices: tally
                .choices
                .get(&voter.agent)
                .map_or(Vec::new(), |choices| choices.iter().map(|choice| choice.text(&proposal)).collect()),
        });
        Ok(Some(Vote {
            proposal: id,
            proposer: proposal.proposer,
            question: proposal.question.clone(),
            options: proposal
                .options
                .iter()
                .zip(&tally.weights)
                .map(|(text, votes)| OptionTally { text: text.clone(), votes: *votes })
                .collect(),
            abstentions: tally.abstaining,
            method: proposal.rule.to_string(),
            voters: voters.collect(),
            threshold: proposal.threshold,
            tolerates: proposal.electorate.tolerates(),
            made: proposal.made,
            closes: proposal.closes(),
            state,
        }))
    }

    /// The ballots for a proposal that count: not those under a key that lost a fork of its voter's identity.
    fn standing_ballots(
        &self,
        proposal: RecordId,
        voter: Option<AgentId>,
    ) -> Result<Vec<CastBallot>, ReadError> {
        let mut standing = ballots_for(&self.store, proposal, voter)?;
        let mut fault = None;
        standing.retain(|cast| match self.key_history(cast.ballot.voter) {
            Ok(history) => history.speaks(&cast.key),
            Err(error) => {
                fault = Some(error);
                false
            }
        });
        fault.map_or(Ok(standing), Err)
    }

    fn tally(&self, proposal: &Proposal) -> Result<Tally, ReadError> {
        let standing = self.standing_ballots(proposal.id, None)?;
        Ok(Tally::count(proposal, standing.iter().map(|cast| (cast.ballot.voter, cast.ballot.choice))))
    }

    pub(crate) fn on_certificate(&mut self, no: AskNo, id: RecordId) -> Result<(), ReadError> {
        let Some(proposal) = self.proposal(id)? else {
            self.refuse_unknown_proposal(no, id);
            return Ok(());
        };
        match self.certificate(&proposal)? {
            Some(certificate) => self.answer(no, Answer::Certificate(certificate.to_bytes())),
            None => {
                let tally = self.tally(&proposal)?;
                let conflict = matches!(tally.outcome(&proposal), Outcome::Conflicting(_));
                let certifiable =
                    (0..).zip(&tally.weights).filter(|(index, _)| proposal.against != Some(*index));
                let most = certifiable.map(|(_, weight)| *weight).max().unwrap_or(0);
                let cause = if conflict {
                    format!("{id} has no outcome: too many voters voted twice")
                } else {
                    format!("{id} is not decided: {most} of {} needed votes", proposal.threshold)
                };
                self.refuse(
                    no,
                    RefusalKind::NotReady,
                    cause,
                    Some("`althing vote show` lists who has voted"),
                );
            }
        }
        Ok(())
    }

    fn certificate(&self, proposal: &Proposal) -> Result<Option<Certificate>, ReadError> {
        let Some(record) = self.record(proposal.id)? else { return Ok(None) };
        let standing = self.standing_ballots(proposal.id, None)?;
        let ids: BTreeSet<_> = standing.iter().map(|cast| cast.batch).collect();
        let mut batches: Vec<Record> = Vec::with_capacity(ids.len());
        for id in ids {
            batches.extend(self.record(id)?);
        }
        let rotated: BTreeSet<_> = batches
            .iter()
            .chain([&record])
            .filter(|record| record.header().key.is_some())
            .map(Record::agent)
            .collect();
        let mut identities = Vec::new();
        for agent in rotated {
            for (key, _) in self.store.scan_prefix(Table::IdentityView, &agent.0, usize::MAX)? {
                if let Ok(id) = RecordId::try_from(&key[32..]) {
                    identities.extend(self.record(id)?);
                }
            }
        }
        Ok(Certificate::write(&self.network, &record, &batches, &identities))
    }

    /// Notes the outcomes that ballots which were just indexed made.
    pub(crate) fn note_outcomes(&mut self, ballots: &[Ballot]) -> Result<(), ReadError> {
        for ballot in ballots {
            if let Some(proposal) = self.proposal(ballot.proposal)?
                && proposal.electorate.weight(ballot.voter).is_some()
            {
                self.note_outcome(&proposal)?;
            }
        }
        Ok(())
    }

    /// Notes the outcome of a proposal, once for each outcome that it comes to have.
    pub(crate) fn note_outcome(&mut self, proposal: &Proposal) -> Result<(), ReadError> {
        let outcome = self.tally(proposal)?.outcome(proposal);
        if !self.tell_outcome(proposal, &outcome)? {
            return Ok(());
        }
        let text = |index: &u32| proposal.options[*index as usize].clone();
        let option = match &outcome {
            Outcome::Undecided => return Ok(()),
            Outcome::Decided(option) => text(option),
            Outcome::Conflicting(options) => {
                format!("conflict: {}", options.iter().map(text).collect::<Vec<_>>().join(" / "))
            }
        };
        self.note(Note::Decided { proposal: proposal.id, option });
        Ok(())
    }
}
