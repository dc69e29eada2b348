//! What clients ask about dockets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_ballot::{
    Answers, BallotError, Choice, Docket, DocketQuestion, Outcome, Proposal, answers_to, decision_of,
    reports_for,
};
use althing_record::{AgentId, Content, Kind, RecordId};
use althing_store::{ReadError, Snapshot};

use super::{BATCHES_SHOWN_MAX, state, tally};
use crate::engine::Engine;
use crate::{
    Answer, AnswersDraft, AskNo, DocketDraft, DocketState, DocketSummary, Now, OptionTally, QuestionState,
    RefusalKind, Said,
};

impl<S: Snapshot> Engine<S> {
    /// The proposal that an id and a number name: one that stands alone, or a question of a docket.
    pub(crate) fn asked(
        &mut self,
        no: AskNo,
        id: RecordId,
        question: Option<u16>,
    ) -> Result<Option<Arc<Proposal>>, ReadError> {
        let docket = self.docket(id)?;
        match (docket, question) {
            (Some(docket), Some(item)) => {
                let proposal = docket.proposal(item).map(Arc::new);
                if proposal.is_none() {
                    let cause = format!("docket {id} has no question {item}, it has 1 to {}", docket.len());
                    self.refuse(no, RefusalKind::NotFound, cause, Some("`althing docket show` lists them"));
                }
                Ok(proposal)
            }
            (Some(docket), None) => {
                let cause = format!("{id} is a docket of {} questions", docket.len());
                let hint = "`althing docket show`, `cast` and `certificate` take dockets";
                self.refuse(no, RefusalKind::Invalid, cause, Some(hint));
                Ok(None)
            }
            (None, question) => {
                let proposal = self.proposal(id)?;
                match (&proposal, question) {
                    (None, _) => self.refuse_unknown_proposal(no, id),
                    (Some(_), Some(_)) => {
                        let cause = format!("{id} is no docket: it asks one question");
                        self.refuse(no, RefusalKind::Invalid, cause, Some("`althing vote show` shows it"));
                        return Ok(None);
                    }
                    (Some(_), None) => {}
                }
                Ok(proposal)
            }
        }
    }

    pub(crate) fn on_propose_docket(
        &mut self,
        no: AskNo,
        agent: AgentId,
        draft: &DocketDraft,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let Some(terms) = self.proposal_body(no, agent, &draft.terms, now)? else { return Ok(()) };
        let questions: Result<Vec<_>, BallotError> =
            draft.questions.iter().map(|(text, options)| DocketQuestion::new(text, options)).collect();
        let leaves = match questions.and_then(|questions| Docket::leaves(&terms, &questions)) {
            Ok(leaves) => leaves,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(());
            }
        };
        let record = match self.sign_link(&hosted, Kind::ProposalBatch, Content::Leaves(leaves), now) {
            Ok(record) => record,
            Err(error) => return self.refuse_unsigned(no, error),
        };
        if let Some(docket) = self.docket(record.id())? {
            let (threshold, tolerates) = (docket.terms.threshold(), self.tolerates(&docket.terms));
            self.answer(no, Answer::Proposed { proposal: record.id(), threshold, tolerates });
        }
        Ok(())
    }

    pub(crate) fn on_answer_docket(
        &mut self,
        no: AskNo,
        agent: AgentId,
        id: RecordId,
        draft: &AnswersDraft,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let Some(docket) = self.docket(id)? else {
            match self.proposal(id)? {
                Some(_) => {
                    let cause = format!("{id} is no docket: it asks one question");
                    self.refuse(no, RefusalKind::Invalid, cause, Some("`althing vote cast` answers it"));
                }
                None => self.refuse_unknown_proposal(no, id),
            }
            return Ok(());
        };
        let choices = match draft.choices(agent, &docket) {
            Ok(choices) => choices,
            Err(cause) => {
                self.refuse(no, RefusalKind::Invalid, cause, None);
                return Ok(());
            }
        };
        if !self.is_voter(no, agent, &docket.terms) {
            return Ok(());
        }
        for by in answers_to(&self.store, id, Some(agent))? {
            if !self.key_history(agent)?.speaks(&by.key) {
                continue;
            }
            if self.answers_in(by.batch)?.is_some_and(|answers| answers.choices == choices) {
                self.answer(no, Answer::Cast { ballot: by.batch, repeated: true });
            } else {
                let cause = format!("agent {agent} already answered docket {id}, otherwise");
                let hint = "a ballot is final; a second one would be a proof of cheating";
                self.refuse(no, RefusalKind::Conflict, cause, Some(hint));
            }
            return Ok(());
        }
        if !self.takes_ballots(no, agent, &docket.terms, now)? {
            return Ok(());
        }
        let content = Content::Leaves(Answers::leaves(id, &choices));
        match self.sign_link(&hosted, Kind::BallotBatch, content, now) {
            Ok(record) => self.answer(no, Answer::Cast { ballot: record.id(), repeated: false }),
            Err(error) => return self.refuse_unsigned(no, error),
        }
        Ok(())
    }

    pub(crate) fn docket_summary(&mut self, docket: &Docket, now: Now) -> Result<DocketSummary, ReadError> {
        let (terms, id) = (&docket.terms, docket.terms.id);
        let outcomes = self.outcomes(docket)?;
        let count = |of: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count() as u64;
        Ok(DocketSummary {
            docket: id,
            proposer: terms.proposer,
            title: terms.question.clone(),
            method: terms.rule.to_string(),
            questions: docket.len() as u64,
            decided: count(|outcome| matches!(outcome, Outcome::Decided(_))),
            rejected: count(|outcome| matches!(outcome, Outcome::Rejected(_))),
            is_closing: decision_of(&self.store, id)?.is_some() || !reports_for(&self.store, id)?.is_empty(),
            is_closed: terms.closing().is_some(),
            made: terms.made,
            closes: terms.closes(),
            is_over: terms.closes() <= now.wall,
        })
    }

    /// A docket as it stands, with `limit` of its questions from number `from` on.
    pub(crate) fn on_docket(
        &mut self,
        no: AskNo,
        id: RecordId,
        (from, limit): (u16, u16),
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(docket) = self.docket(id)? else {
            match self.proposal(id)? {
                Some(_) => {
                    let cause = format!("{id} is no docket: it asks one question");
                    self.refuse(no, RefusalKind::Invalid, cause, Some("`althing vote show` shows it"));
                }
                None => self.refuse_unknown_proposal(no, id),
            }
            return Ok(());
        };
        let summary = self.docket_summary(&docket, now)?;
        let closing = self.closing_terms(&docket.terms)?;
        let acks = self.acks_by_place(&docket.terms)?;
        let mut said = Vec::new();
        self.for_each_standing(&docket, BATCHES_SHOWN_MAX, |answers| {
            said.push(answers);
            Ok(())
        })?;
        let answered: BTreeSet<AgentId> = said.iter().map(|said| said.voter).collect();
        let voters = (0..)
            .zip(docket.terms.electorate.voters())
            .map(|(place, voter)| crate::DocketVoter {
                agent: voter.agent,
                weight: voter.weight,
                answered: answered.contains(&voter.agent),
                acks: acks.get(&place).map_or(0, |closers| closers.len() as u64),
            })
            .collect();
        let (mut counted, mut direct) = (None, Vec::new());
        if docket.terms.closing().is_some() {
            counted = self.docket_ballots(&docket)?;
        } else {
            direct = self.direct_weights(&docket)?;
        }
        let outcomes = self.outcomes(&docket)?;
        let mut questions = Vec::new();
        for item in (from.max(1)..=u16::MAX).take(limit.into()) {
            let (Some(proposal), Some(outcome)) =
                (docket.proposal(item), outcomes.get(usize::from(item) - 1))
            else {
                break;
            };
            let here = tally(&proposal, &said);
            let count = counted.as_ref().and_then(|counted| counted.count(&proposal));
            let (votes, abstentions) = match &count {
                Some((_, count)) => (count.first_tallies(), count.abstaining),
                None => {
                    let exact = direct.get(usize::from(item) - 1).map(|(weights, _)| weights.clone());
                    (exact.unwrap_or(here.weights), here.abstaining)
                }
            };
            questions.push(QuestionState {
                number: item,
                options: proposal
                    .options
                    .iter()
                    .zip(votes)
                    .map(|(text, votes)| OptionTally { text: text.clone(), votes })
                    .collect(),
                abstentions,
                state: state(&proposal, outcome, summary.is_closing, summary.is_over),
                question: proposal.question,
            });
        }
        let (threshold, tolerates) = (docket.terms.threshold(), self.tolerates(&docket.terms));
        let (group, holders) = (docket.terms.electorate.group(), self.holders_shown(&docket.terms, now)?);
        let shown = DocketState { summary, closing, threshold, tolerates, group, holders, voters, questions };
        self.answer(no, Answer::Docket(Box::new(shown)));
        Ok(())
    }
}

impl AnswersDraft {
    /// The choices that it names, one for each question; what is not answered abstains.
    fn choices(&self, voter: AgentId, docket: &Docket) -> Result<Vec<Choice>, String> {
        let mut given: BTreeMap<u16, &Said> = BTreeMap::new();
        for (item, said) in &self.each {
            if given.insert(*item, said).is_some() {
                return Err(format!("question {item} is answered twice"));
            }
        }
        let last = given.last_key_value().map_or(0, |(item, _)| usize::from(*item));
        if given.contains_key(&0) || last > docket.len() {
            let wrong = if given.contains_key(&0) { 0 } else { last };
            return Err(format!("there is no question {wrong}, there are 1 to {}", docket.len()));
        }
        let (mut choices, mut fault) = (Vec::with_capacity(docket.len()), None);
        docket.for_each(|item, proposal| {
            let choice = match given.get(&item).copied().or(self.others.as_ref()) {
                None => Ok(Choice::Abstain),
                Some(said) => said.choice(voter, proposal),
            };
            match choice {
                Ok(choice) => choices.push(choice),
                Err(error) if fault.is_none() => fault = Some(format!("question {item}: {error}")),
                Err(_) => {}
            }
        });
        fault.map_or(Ok(choices), Err)
    }
}
