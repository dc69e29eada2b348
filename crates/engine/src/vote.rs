//! Proposals and ballots: what this node's agents say, and what anyone may read from the records.

mod certify;

use std::collections::{BTreeMap, BTreeSet};

use althing_ballot::{
    Ballot, BallotError, CastBallot, Choice, CloseReport, Closing, Count, Electorate, GroupState, Manifest,
    Outcome, Proposal, ProposalBody, Question, Rule, Subject, Tally, acks_of, ballots_for, decision_of, leaf,
    reports_for, reports_of,
};
use althing_record::{AgentId, Content, GroupId, Kind, RecordId, cbor};
use althing_store::{ReadError, Snapshot};
use rand_core::Rng;

use crate::docket::state;
use crate::engine::Engine;
use crate::{
    Answer, AskNo, ClosingTerms, CountRound, Note, Now, OptionTally, ProposalDraft, RefusalKind, Said, Vote,
    Voter,
};

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
        let Some(body) = self.proposal_body(no, agent, draft, now)? else { return Ok(()) };
        let content = Content::Body(cbor::to_vec(&body));
        let record = match self.sign_link(&hosted, Kind::Proposal, content, now) {
            Ok(record) => record,
            Err(error) => return self.refuse_unsigned(no, error),
        };
        if let Ok(proposal) = Proposal::from_record(&record) {
            let (threshold, tolerates) = (proposal.threshold(), self.tolerates(&proposal));
            self.answer(no, Answer::Proposed { proposal: record.id(), threshold, tolerates });
        }
        Ok(())
    }

    /// The body of a proposal as a client wants it, or none if that is refused.
    pub(crate) fn proposal_body(
        &mut self,
        no: AskNo,
        agent: AgentId,
        draft: &ProposalDraft,
        now: Now,
    ) -> Result<Option<ProposalBody>, ReadError> {
        let pardon = match draft.pardon {
            Some(offender) => match self.pardon_for(no, agent, offender, draft)? {
                Some(pardon) => Some(pardon),
                None => return Ok(None),
            },
            None => None,
        };
        let electorate = match (draft.group, &draft.holders) {
            (None, None) if let Some((_, electorate)) = &pardon => Some(Ok(electorate.clone())),
            (None, None) => Some(Electorate::weighted(draft.voters.clone())),
            (Some(group), _) => self.group_electorate(no, agent, group)?,
            (None, Some(holders)) => self.holders_electorate(no, holders, now)?,
        };
        let Some(electorate) = electorate else { return Ok(None) };
        let mut nonce = [0; 8];
        self.random.fill_bytes(&mut nonce);
        let subject = draft.subject.as_ref();
        let subject = subject.map(|(name, basis)| Subject::new(name, *basis)).transpose();
        let drafted = electorate.and_then(|electorate| {
            let (text, options, rule, window_ms) =
                (&draft.question, &draft.options, draft.rule, draft.window_ms);
            let body = match &draft.closed {
                None => ProposalBody::direct(text, options, rule, &electorate, window_ms, nonce)?,
                Some(terms) => {
                    let electorate = &electorate;
                    ProposalBody::closed(
                        &Question { text, options, rule, electorate, window_ms, nonce },
                        terms,
                    )?
                }
            };
            let body = ProposalBody { subject: subject?, ..body };
            let body = match pardon {
                Some((pardon, _)) => body.pardoning(pardon)?,
                None => body,
            };
            Ok((body, electorate))
        });
        let (body, electorate) = match drafted {
            Ok(drafted) => drafted,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(None);
            }
        };
        if let Some(subject) = &body.subject
            && !self.may_follow(no, subject, &electorate)?
        {
            return Ok(None);
        }
        if draft.closed.as_ref().is_some_and(|terms| terms.by_committee)
            && self.network.genesis().committee.is_empty()
        {
            let hint = "name a committee in the network's genesis, or at most 31 voters, who then close it themselves";
            self.refuse(
                no,
                RefusalKind::Invalid,
                "this network has no committee to close a vote",
                Some(hint),
            );
            return Ok(None);
        }
        Ok(Some(body))
    }

    pub(crate) fn on_cast(
        &mut self,
        no: AskNo,
        agent: AgentId,
        id: RecordId,
        said: &Said,
        now: Now,
    ) -> Result<(), ReadError> {
        self.cast(no, (agent, id, said), None, now)
    }

    /// Casts a ballot. `until`: how long a sealed one waits for keys at most, if it waited before.
    pub(crate) fn cast(
        &mut self,
        no: AskNo,
        (agent, id, said): (AgentId, RecordId, &Said),
        until: Option<u64>,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let Some(proposal) = self.asked(no, id, None)? else { return Ok(()) };
        if !self.is_voter(no, agent, &proposal) {
            return Ok(());
        }
        let choice = match said.choice(agent, &proposal) {
            Ok(choice) => choice,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(());
            }
        };
        if let Some(earlier) = self.standing_ballots(id, Some(agent))?.first() {
            if self.says(&hosted, &proposal, &earlier.ballot.choice, &choice) {
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
        if !self.takes_ballots(no, agent, &proposal, now)? {
            return Ok(());
        }
        let Some(choice) = self.seal(no, &hosted, (&proposal, &choice, said), until, now)? else {
            return Ok(());
        };
        let content = Content::Leaves(vec![leaf(id, &choice)]);
        match self.sign_link(&hosted, Kind::BallotBatch, content, now) {
            Ok(record) => self.answer(no, Answer::Cast { ballot: record.id(), repeated: false }),
            Err(error) => return self.refuse_unsigned(no, error),
        }
        Ok(())
    }

    /// The members of a group, to whom one of them puts a question. If that cannot be, the client is told.
    fn group_electorate(
        &mut self,
        no: AskNo,
        agent: AgentId,
        group: GroupId,
    ) -> Result<Option<Result<Electorate, BallotError>>, ReadError> {
        let Some((_, tip)) = self.open_group(no, agent, group)? else { return Ok(None) };
        if !tip.state.is_member(agent) {
            let cause = format!("{agent} is not a member of group {group}, and only members propose to it");
            self.refuse(no, RefusalKind::Invalid, cause, Some("`althing group show` lists the members"));
            return Ok(None);
        }
        let members = tip.state.members().map(|(agent, _)| agent).collect();
        Ok(Some(Electorate::of_group(GroupState { group, head: tip.state.head() }, members)))
    }

    /// Whether an agent may vote; if not, the client is told.
    pub(crate) fn is_voter(&mut self, no: AskNo, agent: AgentId, proposal: &Proposal) -> bool {
        let is_voter = proposal.electorate.weight(agent).is_some();
        if !is_voter {
            let cause = format!("agent {agent} is not in the electorate of {}", proposal.id);
            self.refuse(no, RefusalKind::Invalid, cause, Some("`althing vote show` lists the voters"));
        }
        is_voter
    }

    /// Whether an agent's ballot can be signed now; if not, the client is told why.
    pub(crate) fn takes_ballots(
        &mut self,
        no: AskNo,
        agent: AgentId,
        proposal: &Proposal,
        now: Now,
    ) -> Result<bool, ReadError> {
        let (id, again) = (proposal.id, Some("propose the question again"));
        if proposal.closing().is_some() && self.is_closed(id)? {
            self.refuse(no, RefusalKind::Conflict, format!("the vote on {id} is closed"), again);
            return Ok(false);
        }
        if proposal.closes() <= now.wall {
            let cause = format!("the window of {id} closed {} ms ago", now.wall.since(proposal.closes()));
            self.refuse(no, RefusalKind::Conflict, cause, again);
            return Ok(false);
        }
        self.has_asked_before_ballot(no, agent, proposal, now)
    }

    pub(crate) fn refuse_unknown_proposal(&mut self, no: AskNo, id: RecordId) {
        let hint = Some("`althing vote ls` shows the known proposals; a new one may take a moment to arrive");
        self.refuse(no, RefusalKind::NotFound, format!("proposal {id} is not known here"), hint);
    }

    pub(crate) fn on_vote(
        &mut self,
        no: AskNo,
        id: RecordId,
        question: Option<u16>,
        now: Now,
    ) -> Result<(), ReadError> {
        if let Some(proposal) = self.asked(no, id, question)? {
            let vote = self.vote(&proposal, now)?;
            self.answer(no, Answer::Vote(Box::new(vote)));
        }
        Ok(())
    }

    pub(crate) fn vote(&mut self, proposal: &Proposal, now: Now) -> Result<Vote, ReadError> {
        let id = proposal.id;
        let tally = self.tally(proposal)?;
        let count = self.closed_count(proposal)?;
        let outcome = count.as_ref().map_or_else(|| tally.outcome(proposal), |counted| counted.1.decides());
        let is_decided = decision_of(&self.store, id)?.is_some();
        let sealed = self.sealed_terms(proposal)?;
        let is_closing = is_decided || !reports_for(&self.store, id)?.is_empty();
        let state = match sealed.as_ref().filter(|_| is_decided && outcome == Outcome::Undecided) {
            Some(terms) => self.unopened_state(proposal, terms, now)?,
            None => state(proposal, &outcome, is_closing, proposal.closes() <= now.wall),
        };
        let void = |agent| count.as_ref().is_some_and(|counted| counted.0.void.contains(&agent));
        let invalid = |agent| count.as_ref().is_some_and(|counted| counted.0.invalid.contains(&agent));
        let opened = count.as_ref().filter(|_| sealed.is_some());
        let opened = |agent| opened.and_then(|counted| counted.0.choices.get(&agent));
        let acks = self.acks_by_place(proposal)?;
        let voters = (0..).zip(proposal.electorate.voters()).map(|(place, voter)| Voter {
            agent: voter.agent,
            weight: voter.weight,
            acks: acks.get(&place).map_or(0, |closers| closers.len() as u64),
            void: void(voter.agent),
            invalid: invalid(voter.agent),
            choices: match (opened(voter.agent), tally.choices.get(&voter.agent)) {
                (Some(choice), _) => vec![choice.text(proposal)],
                (None, Some(choices)) => choices.iter().map(|choice| choice.text(proposal)).collect(),
                (None, None) => Vec::new(),
            },
        });
        Ok(Vote {
            proposal: id,
            proposer: proposal.proposer,
            question: proposal.question.clone(),
            options: proposal
                .options
                .iter()
                .zip(counted_votes(proposal, count.as_deref()).as_ref().unwrap_or(&tally.weights))
                .map(|(text, votes)| OptionTally { text: text.clone(), votes: *votes })
                .collect(),
            abstentions: count.as_ref().map_or(tally.abstaining, |counted| counted.1.abstaining),
            method: proposal.rule.to_string(),
            closing: self.closing_terms(proposal)?,
            subject: self.subject_terms(proposal)?,
            pardon: self.pardon_terms(proposal),
            sealed,
            rounds: count.as_ref().map_or_else(Vec::new, |counted| rounds(proposal, &counted.1.outcome)),
            group: proposal.electorate.group(),
            holders: self.holders_shown(proposal, now)?,
            voters: voters.collect(),
            threshold: proposal.threshold(),
            tolerates: self.tolerates(proposal),
            made: proposal.made,
            closes: proposal.closes(),
            state,
        })
    }

    /// How a Closed decision is closed, and how far that is.
    pub(crate) fn closing_terms(&self, proposal: &Proposal) -> Result<Option<ClosingTerms>, ReadError> {
        let Some(closing) = proposal.closing() else { return Ok(None) };
        let reports = reports_for(&self.store, proposal.id)?;
        let reported: BTreeSet<_> = reports.into_iter().map(|(closer, _)| closer).collect();
        Ok(Some(ClosingTerms {
            closers: closing.closers(&self.network),
            reported: reported.len() as u64,
            terms: closing.to_string(),
        }))
    }

    /// The closers that promised to report the ballot of the voter at each place, or reported it.
    pub(crate) fn acks_by_place(
        &self,
        proposal: &Proposal,
    ) -> Result<BTreeMap<u16, BTreeSet<AgentId>>, ReadError> {
        let mut acks: BTreeMap<u16, BTreeSet<AgentId>> = BTreeMap::new();
        for closer in proposal.closing().map_or(Vec::new(), |closing| closing.closers(&self.network)) {
            for (closer, place, _) in acks_of(&self.store, proposal.id, Some(closer))? {
                acks.entry(place).or_default().insert(closer);
            }
            for id in reports_of(&self.store, proposal.id, closer, 1)? {
                let report = self.record(id)?.and_then(|record| CloseReport::from_record(&record).ok());
                for (place, _) in report.map_or(Vec::new(), |report| report.ballots) {
                    acks.entry(place).or_default().insert(closer);
                }
            }
        }
        Ok(acks)
    }

    /// The ballots for a proposal that count: not those under a key that lost a fork of its voter's identity.
    pub(crate) fn standing_ballots(
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
        if proposal.item.is_some() {
            return self.question_tally(proposal);
        }
        let standing = self.standing_ballots(proposal.id, None)?;
        Ok(Tally::count(
            proposal,
            standing.iter().map(|cast| (cast.ballot.voter, cast.ballot.choice.clone())),
        ))
    }

    /// The weight of cheating voters, or in a Closed decision the number of cheating closers, that it survives.
    pub(crate) fn tolerates(&self, proposal: &Proposal) -> u64 {
        match proposal.closing() {
            None => proposal.electorate.tolerates(),
            Some(closing) => {
                let closers = closing.closers(&self.network).len();
                (closers - Closing::reports_needed(closers)) as u64
            }
        }
    }

    /// Notes the outcomes that ballots which were just indexed made.
    pub(crate) fn note_outcomes(&mut self, ballots: &[Ballot]) -> Result<(), ReadError> {
        for ballot in ballots {
            if self.docket(ballot.proposal)?.is_none()
                && let Some(proposal) = self.proposal(ballot.proposal)?
                && proposal.electorate.weight(ballot.voter).is_some()
            {
                self.note_pardon(&proposal)?;
                self.note_outcome(&proposal)?;
            }
        }
        Ok(())
    }

    /// What is decided on a proposal, by what is here.
    pub(crate) fn outcome(&self, proposal: &Proposal) -> Result<Outcome, ReadError> {
        Ok(match self.closed_count(proposal)? {
            Some(counted) => counted.1.decides(),
            None if proposal.closing().is_some() => Outcome::Undecided,
            None => self.tally(proposal)?.outcome(proposal),
        })
    }

    /// Notes the outcome of a proposal, once for each outcome that it comes to have.
    pub(crate) fn note_outcome(&mut self, proposal: &Proposal) -> Result<(), ReadError> {
        // A Closed one has one outcome, and who votes later must not make anybody count again.
        if proposal.closing().is_some() && self.is_told(proposal.id)? {
            return Ok(());
        }
        let outcome = self.outcome(proposal)?;
        if !self.tell_outcome(proposal, &outcome)? {
            return Ok(());
        }
        self.after_outcome(proposal)?;
        self.note_motion(proposal)?;
        let text = |index: &u32| proposal.options[*index as usize].clone();
        let option = match &outcome {
            Outcome::Undecided => return Ok(()),
            Outcome::Decided(option) => text(option),
            Outcome::Rejected(why) => format!("rejected: {}", why.name()),
            Outcome::Conflicting(options) => {
                format!("conflict: {}", options.iter().map(text).collect::<Vec<_>>().join(" / "))
            }
        };
        self.note(Note::Decided { proposal: proposal.id, option });
        Ok(())
    }
}

impl Said {
    /// The choice that it names.
    pub(crate) fn choice(&self, voter: AgentId, proposal: &Proposal) -> Result<Choice, BallotError> {
        match self {
            Self::Option(text) => Choice::parse(text, proposal),
            Self::Ranking(options) => Choice::ranking(options, proposal),
            Self::Approval(options) => Choice::approval(options, proposal),
            Self::Scores(scores) => Choice::scores(scores, proposal),
            Self::Delegate(to) if *to == voter => {
                Err(BallotError::Choice("nobody can vote as themselves; give a choice".to_owned()))
            }
            Self::Delegate(to) => Choice::Delegate(*to).checked(proposal),
        }
    }
}

/// The rounds of a count as clients see them.
fn rounds(proposal: &Proposal, outcome: &althing_tally::Outcome) -> Vec<CountRound> {
    let names = |options: &[althing_tally::OptionId]| -> Vec<String> {
        options.iter().filter_map(|option| proposal.options.get(option.place()).cloned()).collect()
    };
    let number = |units: u128| u64::try_from(units / outcome.unit()).unwrap_or(u64::MAX);
    let round = |round: &althing_tally::Round| CountRound {
        tally: round.tally.iter().map(|votes| votes.map(number)).collect(),
        exhausted: number(round.exhausted),
        elected: names(&round.elected),
        eliminated: names(&round.eliminated),
        tied: round.ties.iter().flat_map(|tie| names(&tie.among)).collect(),
    };
    outcome.rounds.iter().map(round).collect()
}

/// The votes of the options in the first round of a count, or their scores; none for a rule that counts pairs.
fn counted_votes(proposal: &Proposal, counted: Option<&(Manifest, Count)>) -> Option<Vec<u64>> {
    counted.filter(|_| proposal.rule != Rule::Schulze).map(|(_, count)| count.first_tallies())
}
