//! Dockets: many questions that one record puts and one record of a voter answers.
//!
//! Each question is decided, shown and certified like a proposal that stands alone. What costs, signatures, synced commits
//! and agreement, is paid once for all of them; so nothing here writes a row for a question or an answer.

mod running;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_ballot::{
    Answers, BallotError, Choice, CloseReport, Count, Docket, DocketQuestion, Manifest, Outcome, Proposal,
    Tally, answers_to, decision_of, dockets, has_docket, reported, reports_for, root_of,
};
use althing_record::{AgentId, Content, Kind, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot};

use self::running::RunningCount;
use crate::closing::Judged;
use crate::engine::Engine;
use crate::rows::DOUBLE_ANSWERS;
use crate::{
    Answer, AnswersDraft, AskNo, DocketDraft, DocketState, DocketSummary, Event, Note, Now, OptionTally,
    QuestionState, RefusalKind, Said, VoteState,
};

/// Most dockets that one answer lists.
pub const DOCKETS_MAX: usize = 100;

/// Most dockets that are kept in memory, read.
const DOCKETS_CACHED: usize = 32;

/// Most batches of answers that are kept in memory, read.
const ANSWERS_CACHED: usize = 512;

/// Most batches of which is remembered whether they count.
const FITS_CACHED: usize = 4_096;

/// Most batches of one voter that a shown tally is made of, outcomes aside: two that differ contradict each other.
const BATCHES_SHOWN_MAX: usize = 16;

/// Most voters who answered a Direct docket more than once, of all dockets, of whom the options that they named are kept.
const OFTEN_MAX: usize = 4_096;

/// What was read of dockets and does not change.
#[derive(Default)]
pub(crate) struct Dockets {
    known: RefCell<BTreeMap<RecordId, Arc<Docket>>>,
    answers: RefCell<BTreeMap<RecordId, Arc<Answers>>>,
    /// Whether a batch of answers counts for its docket.
    fits: RefCell<BTreeMap<RecordId, Fit>>,
    /// The outcomes of Closed ones that are decided.
    outcomes: RefCell<BTreeMap<RecordId, Arc<Vec<Outcome>>>>,
    /// The counts of Direct ones, which grow with each voter's answers.
    running: RefCell<BTreeMap<RecordId, RunningCount>>,
}

/// What has to be known of a batch to judge a report that names it.
#[derive(Clone, Copy)]
struct Fit {
    docket: RecordId,
    voter: AgentId,
    counts: bool,
}

fn keep<T>(cache: &RefCell<BTreeMap<RecordId, Arc<T>>>, max: usize, id: RecordId, value: &Arc<T>) {
    let mut cache = cache.borrow_mut();
    if cache.len() >= max {
        cache.clear();
    }
    cache.insert(id, Arc::clone(value));
}

impl Dockets {
    /// Which of an agent's answers count may have changed.
    pub(crate) fn forget_counts(&self, of: AgentId) {
        self.running.borrow_mut().retain(|_, count| !count.has_voter(of));
    }

    /// Forgets all: what they knew may not be on disk.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl<S: Snapshot> Engine<S> {
    /// A known docket; `None` also for a proposal that stands alone.
    pub(crate) fn docket(&self, id: RecordId) -> Result<Option<Arc<Docket>>, ReadError> {
        if let Some(docket) = self.dockets.known.borrow().get(&id) {
            return Ok(Some(Arc::clone(docket)));
        }
        if !has_docket(&self.store, id)? {
            return Ok(None);
        }
        let Some(record) = self.record(id)? else { return Ok(None) };
        let Ok(docket) = Docket::from_record(&record) else { return Ok(None) };
        let docket = Arc::new(docket);
        keep(&self.dockets.known, DOCKETS_CACHED, id, &docket);
        Ok(Some(docket))
    }

    /// The answers in a batch that is here; `None` if it is not, or holds none.
    fn answers_in(&self, batch: RecordId) -> Result<Option<Arc<Answers>>, ReadError> {
        if let Some(answers) = self.dockets.answers.borrow().get(&batch) {
            return Ok(Some(Arc::clone(answers)));
        }
        let Some(record) = self.record(batch)? else { return Ok(None) };
        let Ok(Some(answers)) = Answers::from_record(&record) else { return Ok(None) };
        let answers = Arc::new(answers);
        keep(&self.dockets.answers, ANSWERS_CACHED, batch, &answers);
        Ok(Some(answers))
    }

    /// A docket is here now.
    pub(crate) fn fold_docket(&mut self, record: &Record, docket: Docket) -> Result<(), ReadError> {
        let id = record.id();
        let mut batch = Batch::default();
        althing_ballot::index_docket(record, &mut batch);
        self.write_all(&batch);
        let (proposer, title, questions) =
            (record.agent(), docket.terms.question.clone(), docket.len() as u64);
        keep(&self.dockets.known, DOCKETS_CACHED, id, &Arc::new(docket));
        self.tell(&Event::DocketProposed { docket: id, proposer, title, questions });
        self.fold_closing(id)?;
        // Answers signed here can be here before it, after a crash.
        self.note_docket(id)
    }

    /// Answers are here now.
    pub(crate) fn fold_answers(&mut self, record: &Record, answers: Answers) -> Result<(), ReadError> {
        let (docket, voter, id) = (answers.docket, answers.voter, record.id());
        let mut batch = Batch::default();
        let is_news = althing_ballot::index_answers(&self.store, record, &answers, &mut batch)?;
        self.write_all(&batch);
        let answers = Arc::new(answers);
        keep(&self.dockets.answers, ANSWERS_CACHED, id, &answers);
        self.prove_answers(record, docket, voter)?;
        let Some(known) = self.docket(docket)? else { return Ok(()) };
        let counts = self.counts_for(&known, &answers);
        if counts && is_news && self.key_history(voter)?.speaks(record.signing_key()) {
            self.count_on(docket, &answers)?;
        }
        if counts && is_news {
            self.tell(&Event::DocketAnswered { docket, voter, ballot: id });
        }
        self.close_answers(docket, voter, id, counts)?;
        self.note_docket(docket)
    }

    /// Batches of a voter that answer a docket differently contradict each other.
    fn prove_answers(&mut self, record: &Record, docket: RecordId, voter: AgentId) -> Result<(), ReadError> {
        let Some(root) = root_of(record) else { return Ok(()) };
        let case = (voter, DOUBLE_ANSWERS, &docket.0[..]);
        let mut known = Vec::new();
        if self.proved(case)?.is_none() {
            let all = answers_to(&self.store, docket, Some(voter))?;
            known.extend(all.into_iter().map(|by| (by.batch, by.root)));
        }
        self.prove_lowest(case, (record.id(), root), known, root_of)
    }

    /// Adds answers to the count of a Direct docket, if that is kept.
    fn count_on(&self, docket: RecordId, answers: &Answers) -> Result<(), ReadError> {
        let Some(mut count) = self.dockets.running.borrow_mut().remove(&docket) else { return Ok(()) };
        count.add(answers, |batch| self.answers_in(batch))?;
        self.keep_count(docket, count);
        Ok(())
    }

    fn keep_count(&self, docket: RecordId, count: RunningCount) {
        let mut running = self.dockets.running.borrow_mut();
        let often: usize = running.values().map(RunningCount::often).sum();
        if running.len() >= DOCKETS_CACHED || often + count.often() > OFTEN_MAX {
            running.clear();
        }
        running.insert(docket, count);
    }

    /// Tells how many questions of a docket have an outcome, whenever that changes.
    pub(crate) fn note_docket(&mut self, id: RecordId) -> Result<(), ReadError> {
        let Some(docket) = self.docket(id)? else { return Ok(()) };
        if docket.terms.closing().is_some()
            && (decision_of(&self.store, id)?.is_none() || self.is_told(id)?)
        {
            return Ok(());
        }
        let outcomes = self.outcomes(&docket)?;
        let count = |of: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count() as u64;
        let decided = count(|outcome| matches!(outcome, Outcome::Decided(_)));
        let rejected = count(|outcome| matches!(outcome, Outcome::Rejected(_)));
        if decided + rejected == 0 || !self.tell_docket(&docket, decided, rejected)? {
            return Ok(());
        }
        let option = format!("{decided} of {} questions", docket.len());
        self.note(Note::Decided { proposal: id, option });
        Ok(())
    }

    /// What was decided on each question of a docket.
    pub(crate) fn outcomes(&self, docket: &Docket) -> Result<Arc<Vec<Outcome>>, ReadError> {
        let id = docket.terms.id;
        if let Some(outcomes) = self.dockets.outcomes.borrow().get(&id) {
            return Ok(Arc::clone(outcomes));
        }
        if docket.terms.closing().is_none() {
            return Ok(Arc::new(self.direct_outcomes(docket)?));
        }
        let Some(counted) = self.docket_ballots(docket)? else {
            return Ok(Arc::new(vec![Outcome::Undecided; docket.len()]));
        };
        let mut outcomes = Vec::with_capacity(docket.len());
        docket.for_each(|_, proposal| {
            let count = counted.count(proposal);
            outcomes.push(count.map_or(Outcome::Undecided, |(_, count)| count.decides()));
        });
        let outcomes = Arc::new(outcomes);
        keep(&self.dockets.outcomes, DOCKETS_CACHED, id, &outcomes);
        Ok(outcomes)
    }

    /// What the answers that are here decide on each question of a Direct docket.
    fn direct_outcomes(&self, docket: &Docket) -> Result<Vec<Outcome>, ReadError> {
        Ok(self.direct_weights(docket)?.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// The weight of each option of each question of a Direct docket, and what it decides.
    fn direct_weights(&self, docket: &Docket) -> Result<Vec<(Vec<u64>, Outcome)>, ReadError> {
        let id = docket.terms.id;
        if let Some(count) = self.dockets.running.borrow().get(&id) {
            return Ok(count.weights(docket));
        }
        let mut count = RunningCount::new(docket);
        self.for_each_standing(docket, usize::MAX, |answers| {
            count.add(&answers, |batch| self.answers_in(batch))
        })?;
        let weights = count.weights(docket);
        self.keep_count(id, count);
        Ok(weights)
    }

    /// Whether answers count for their docket.
    fn counts_for(&self, docket: &Docket, answers: &Answers) -> bool {
        let fits = |fit: Fit| fit.docket == docket.terms.id && fit.counts;
        if let Some(fit) = self.dockets.fits.borrow().get(&answers.batch) {
            return fits(*fit);
        }
        // What is remembered is about the docket that the batch answers, and whoever reports names what it likes.
        if answers.docket != docket.terms.id {
            return false;
        }
        let fit = Fit { docket: answers.docket, voter: answers.voter, counts: docket.takes(answers) };
        let mut known = self.dockets.fits.borrow_mut();
        if known.len() >= FITS_CACHED {
            known.clear();
        }
        known.insert(answers.batch, fit);
        fits(fit)
    }

    /// The ballots that count in a Closed docket that is decided, if all of them are here.
    fn docket_ballots(&self, docket: &Docket) -> Result<Option<DocketBallots>, ReadError> {
        let Some(reports) = self.agreed_reports(&docket.terms)? else { return Ok(None) };
        let Some(answers) = self.docket_answers(docket, &reports)? else { return Ok(None) };
        Ok(Some(DocketBallots { reports, answers }))
    }

    /// Whether all answers that reports name are here and count.
    pub(crate) fn judge_answers(
        &self,
        docket: &Docket,
        reports: &[CloseReport],
    ) -> Result<Judged, ReadError> {
        for (place, batches) in reported(reports) {
            let voter = docket.terms.electorate.voters().get(usize::from(place)).map(|voter| voter.agent);
            for batch in batches {
                let known = self.dockets.fits.borrow().get(&batch).copied();
                let counts = match known {
                    Some(fit) => Some(fit.voter) == voter && fit.docket == docket.terms.id && fit.counts,
                    None => match self.answers_in(batch)? {
                        Some(answers) => Some(answers.voter) == voter && self.counts_for(docket, &answers),
                        None if self.record(batch)?.is_some() => false,
                        None => return Ok(Judged::Unknown),
                    },
                };
                if !counts {
                    return Ok(Judged::Invalid);
                }
            }
        }
        Ok(Judged::Valid)
    }

    /// The answers that reports name, if all are here and count.
    fn docket_answers(
        &self,
        docket: &Docket,
        reports: &[CloseReport],
    ) -> Result<Option<BTreeMap<RecordId, Arc<Answers>>>, ReadError> {
        if !matches!(self.judge_answers(docket, reports)?, Judged::Valid) {
            return Ok(None);
        }
        let mut all = BTreeMap::new();
        for batch in reported(reports).into_values().flatten() {
            let Some(answers) = self.answers_in(batch)? else { return Ok(None) };
            all.insert(batch, answers);
        }
        Ok(Some(all))
    }

    /// What a question of a docket comes to in a Closed decision.
    pub(crate) fn question_count(&self, proposal: &Proposal) -> Result<Option<(Manifest, Count)>, ReadError> {
        let Some(docket) = self.docket(proposal.id)? else { return Ok(None) };
        Ok(self.docket_ballots(&docket)?.and_then(|ballots| ballots.count(proposal)))
    }

    /// How a question of a docket stands by the answers that are here.
    pub(crate) fn question_tally(&self, question: &Proposal) -> Result<Tally, ReadError> {
        let said = self.said_on(question)?;
        Ok(Tally::count(question, said.into_keys()))
    }

    /// What is said on a question of a docket, each choice of each voter once, and the lowest batch that does.
    fn said_on(&self, question: &Proposal) -> Result<BTreeMap<(AgentId, Choice), RecordId>, ReadError> {
        let mut said: BTreeMap<_, RecordId> = BTreeMap::new();
        let Some(docket) = self.docket(question.id)? else { return Ok(said) };
        let at = usize::from(question.item.unwrap_or(0)).wrapping_sub(1);
        self.for_each_standing(&docket, usize::MAX, |answers| {
            if let Some(choice) = answers.choices.get(at) {
                let lowest = said.entry((answers.voter, choice.clone())).or_insert(answers.batch);
                *lowest = answers.batch.min(*lowest);
            }
            Ok(())
        })?;
        Ok(said)
    }

    /// Visits the answers to a docket that count, at most so many of each voter: of voters, complete, and not under a key
    /// that lost a fork of its voter's identity.
    fn for_each_standing(
        &self,
        docket: &Docket,
        of_one_max: usize,
        mut visit: impl FnMut(Arc<Answers>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        for voter in docket.terms.electorate.voters() {
            let mut seen = 0;
            for by in answers_to(&self.store, docket.terms.id, Some(voter.agent))? {
                if seen < of_one_max
                    && self.key_history(by.voter)?.speaks(&by.key)
                    && let Some(answers) = self.answers_in(by.batch)?
                    && self.counts_for(docket, &answers)
                {
                    seen += 1;
                    visit(answers)?;
                }
            }
        }
        Ok(())
    }

    /// A batch of each voter who answered a docket so that it counts.
    pub(crate) fn docket_batches(&self, id: RecordId) -> Result<Vec<(AgentId, RecordId)>, ReadError> {
        let Some(docket) = self.docket(id)? else { return Ok(Vec::new()) };
        let mut batches = Vec::new();
        for voter in docket.terms.electorate.voters() {
            for by in answers_to(&self.store, id, Some(voter.agent))? {
                if self.answers_in(by.batch)?.is_some_and(|answers| self.counts_for(&docket, &answers)) {
                    batches.push((by.voter, by.batch));
                    break;
                }
            }
        }
        Ok(batches)
    }

    /// Batches that say all that is said on a question of a docket, for a certificate.
    pub(crate) fn batches_with_answers(&self, question: &Proposal) -> Result<Vec<Record>, ReadError> {
        let ids: BTreeSet<RecordId> = self.said_on(question)?.into_values().collect();
        let mut batches = Vec::new();
        for id in ids {
            batches.extend(self.record(id)?);
        }
        Ok(batches)
    }

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
        let Some(terms) = self.proposal_body(no, agent, &draft.terms)? else { return Ok(()) };
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

    pub(crate) fn on_dockets(&mut self, no: AskNo, now: Now) -> Result<(), ReadError> {
        let mut all = Vec::new();
        for id in dockets(&self.store, DOCKETS_MAX)? {
            if let Some(docket) = self.docket(id)? {
                all.push(self.docket_summary(&docket, now)?);
            }
        }
        self.answer(no, Answer::Dockets(all));
        Ok(())
    }

    fn docket_summary(&mut self, docket: &Docket, now: Now) -> Result<DocketSummary, ReadError> {
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
        let shown = DocketState { summary, closing, threshold, tolerates, voters, questions };
        self.answer(no, Answer::Docket(Box::new(shown)));
        Ok(())
    }
}

/// Where a question stands.
pub(crate) fn state(proposal: &Proposal, outcome: &Outcome, is_closing: bool, is_over: bool) -> VoteState {
    let text = |index: &u32| proposal.options[*index as usize].clone();
    match outcome {
        Outcome::Rejected(why) => VoteState::Rejected { cause: why.name().to_owned() },
        Outcome::Undecided if is_closing => VoteState::Closing,
        Outcome::Decided(option) => VoteState::Decided { option: text(option) },
        Outcome::Conflicting(options) => {
            VoteState::Conflicting { options: options.iter().map(text).collect() }
        }
        Outcome::Undecided if is_over => VoteState::Expired,
        Outcome::Undecided => VoteState::Open,
    }
}

/// The reports that were agreed on, and the answers that they name.
struct DocketBallots {
    reports: Vec<CloseReport>,
    answers: BTreeMap<RecordId, Arc<Answers>>,
}

impl DocketBallots {
    fn count(&self, question: &Proposal) -> Option<(Manifest, Count)> {
        let at = usize::from(question.item?).checked_sub(1)?;
        let manifest = Manifest::unite(question, &self.reports, |_, batch| {
            self.answers.get(&batch)?.choices.get(at).cloned()
        })?;
        let count = Count::of(question, &manifest)?;
        Some((manifest, count))
    }
}

fn tally(question: &Proposal, said: &[Arc<Answers>]) -> Tally {
    let at = usize::from(question.item.unwrap_or(0)).wrapping_sub(1);
    let answers = said.iter().filter_map(|said| Some((said.voter, said.choices.get(at)?.clone())));
    Tally::count(question, answers)
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
