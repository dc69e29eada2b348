//! Dockets: many questions that one record puts and one record of a voter answers.
//!
//! Each question is decided, shown and certified like a proposal that stands alone. What costs, signatures, synced commits
//! and agreement, is paid once for all of them; so nothing here writes a row for a question or an answer.

mod clients;
mod running;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_ballot::{
    Answers, Choice, CloseReport, Count, Docket, Manifest, Outcome, Proposal, Tally, answers_to, decision_of,
    has_docket, reported, root_of,
};
use althing_record::{AgentId, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot};

use self::running::RunningCount;
use crate::closing::Judged;
use crate::engine::Engine;
use crate::rows::DOUBLE_ANSWERS;
use crate::{Event, Note, VoteState};

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
