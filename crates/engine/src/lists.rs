//! Lists of proposals, dockets and decisions, a page at a time.
//!
//! All are in the order of [`PutAt`]: what was made last comes first. It follows from the records alone, so two nodes with the
//! same records list the same, and a page goes on behind any proposal that both know.

use althing_ballot::{Docket, Outcome, Proposal, PutAt, dockets, proposals};
use althing_record::{GroupId, Kind, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::docket::state;
use crate::engine::Engine;
use crate::{Answer, AskNo, Decided, Decision, DecisionsPage, DocketsPage, Now, RefusalKind, VotesPage};

/// Most proposals that one answer lists, and most that are looked at for it.
pub const VOTES_MAX: usize = 1_000;

/// Most dockets that one answer lists.
pub const DOCKETS_MAX: usize = 100;

/// Most proposals and dockets that are looked at for a page of decisions.
const DECISIONS_LOOKED_MAX: usize = 256;

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_votes(
        &mut self,
        no: AskNo,
        after: Option<RecordId>,
        (group, limit): (Option<GroupId>, usize),
        now: Now,
    ) -> Result<(), ReadError> {
        let Ok(after) = self.put_at(no, after)? else { return Ok(()) };
        let (mut votes, mut next) = (Vec::new(), None);
        let places = proposals(&self.store, after, VOTES_MAX)?;
        let is_last = places.len() < VOTES_MAX;
        for (index, place) in places.iter().enumerate() {
            if let Some(proposal) = self.proposal(place.id)?
                && is_of(&proposal, group)
            {
                votes.push(self.vote(&proposal, now)?);
            }
            let is_end = is_last && index + 1 == places.len();
            next = (!is_end).then_some(place.id);
            if votes.len() >= limit {
                break;
            }
        }
        let total = self.count(Table::VoteView, b"n")?;
        self.answer(no, Answer::Votes(VotesPage { votes, total, next }));
        Ok(())
    }

    pub(crate) fn on_dockets(
        &mut self,
        no: AskNo,
        after: Option<RecordId>,
        limit: usize,
        now: Now,
    ) -> Result<(), ReadError> {
        let Ok(after) = self.put_at(no, after)? else { return Ok(()) };
        let limit = limit.min(DOCKETS_MAX);
        let mut places = dockets(&self.store, after, limit + 1)?;
        let is_cut = places.len() > limit;
        places.truncate(limit);
        let mut all = Vec::with_capacity(places.len());
        for place in &places {
            if let Some(docket) = self.docket(place.id)? {
                all.push(self.docket_summary(&docket, now)?);
            }
        }
        let next = places.last().filter(|_| is_cut).map(|place| place.id);
        let total = self.count(Table::VoteView, b"m")?;
        self.answer(no, Answer::Dockets(DocketsPage { dockets: all, total, next }));
        Ok(())
    }

    pub(crate) fn on_decisions(
        &mut self,
        no: AskNo,
        after: Option<Decided>,
        (group, limit): (Option<GroupId>, usize),
    ) -> Result<(), ReadError> {
        let Ok(place) = self.put_at(no, after.map(|after| after.id))? else { return Ok(()) };
        let within = after.and_then(|after| Some((after.id, after.question?)));
        let mut places = Vec::new();
        if let Some((id, _)) = within {
            if self.docket(id)?.is_none() {
                let cause = format!("{id} is no docket: it asks one question");
                self.refuse(no, RefusalKind::Invalid, cause, Some("leave the question's number out"));
                return Ok(());
            }
            // The rest of it comes first.
            places.extend(place);
        }
        let mut further = proposals(&self.store, place, DECISIONS_LOOKED_MAX)?;
        further.extend(dockets(&self.store, place, DECISIONS_LOOKED_MAX)?);
        further.sort_unstable();
        let is_cut = further.len() >= DECISIONS_LOOKED_MAX;
        further.truncate(DECISIONS_LOOKED_MAX);
        places.extend(further);

        let mut page = DecisionsPage { decisions: Vec::new(), next: None };
        let mut last = after;
        for place in places {
            if page.decisions.len() >= limit {
                page.next = last;
                break;
            }
            let id = place.id;
            if let Some(docket) = self.docket(id)? {
                let behind = within.map_or(0, |(of, question)| if of == id { question } else { 0 });
                if is_of(&docket.terms, group) && !self.decided_of(&docket, behind, limit, &mut page)? {
                    break;
                }
            } else if let Some(proposal) = self.proposal(id)?
                && is_of(&proposal, group)
            {
                let outcome = self.outcome(&proposal)?;
                page.decisions.extend(decision(&proposal, &outcome));
            }
            last = Some(Decided { id, question: None });
        }
        if page.next.is_none() && is_cut {
            page.next = last;
        }
        self.answer(no, Answer::Decisions(page));
        Ok(())
    }

    /// Adds the decided questions of a docket behind number `behind`; says whether there was room for all.
    fn decided_of(
        &mut self,
        docket: &Docket,
        behind: u16,
        limit: usize,
        page: &mut DecisionsPage,
    ) -> Result<bool, ReadError> {
        let outcomes = self.outcomes(docket)?;
        for (item, outcome) in (1..).zip(outcomes.iter()).skip(behind.into()) {
            if matches!(outcome, Outcome::Undecided | Outcome::Conflicting(_)) {
                continue;
            }
            if page.decisions.len() >= limit {
                page.next = page.decisions.last().map(|decision: &Decision| decision.on);
                return Ok(false);
            }
            if let Some(proposal) = docket.proposal(item) {
                page.decisions.extend(decision(&proposal, outcome));
            }
        }
        Ok(true)
    }

    /// The place of a proposal or a docket in the lists. If there is none the client is told so.
    fn put_at(&mut self, no: AskNo, id: Option<RecordId>) -> Result<Result<Option<PutAt>, ()>, ReadError> {
        let Some(id) = id else { return Ok(Ok(None)) };
        let record = self.record(id)?;
        let put = record.filter(|put| matches!(put.kind(), Kind::Proposal | Kind::ProposalBatch));
        let Some(put) = put else {
            self.refuse_unknown_proposal(no, id);
            return Ok(Err(()));
        };
        Ok(Ok(Some(PutAt::of(&put))))
    }
}

fn is_of(proposal: &Proposal, group: Option<GroupId>) -> bool {
    group.is_none_or(|group| proposal.electorate.group().is_some_and(|state| state.group == group))
}

fn decision(proposal: &Proposal, outcome: &Outcome) -> Option<Decision> {
    if matches!(outcome, Outcome::Undecided | Outcome::Conflicting(_)) {
        return None;
    }
    Some(Decision {
        on: Decided { id: proposal.id, question: proposal.item },
        made: proposal.made,
        text: proposal.question.clone(),
        outcome: state(proposal, outcome, true, true),
    })
}
