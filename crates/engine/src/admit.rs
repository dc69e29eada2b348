//! Taking records in: the one way from a verified record to a row, whatever brought it here.
//!
//! The fold law holds because every decision below depends on the record and on facts that, once true, stay true (a
//! proposal is known, a key is on a valid branch); "not yet" is answered with Ignore, and reconciliation brings the
//! record again. The one exception, the key that may write slots, is settled again whenever the identity chain grows.

use althing_ballot::{Answers, Ballot, CastBallot};
use althing_record::{Kind, Millis, Placement, Record, RecordId, TimeError, Verdict, deadline};
use althing_store::{Batch, ReadError, Snapshot, Table};
use althing_trust::{Accusation, Attestations};

use crate::body::{Body, read_body};
use crate::engine::Engine;
use crate::rows::{
    CHAIN_FORK, DOUBLE_BALLOT, Expiring, NEVER, SlotHead, StoredRecord, chain_key, chain_prefix,
    identity_key, slot_key, sync_key,
};
use crate::{Note, Now, Source};

/// The key that signed it comes with a rotation that is not here yet.
pub(crate) const UNKNOWN_KEY: Admission =
    Admission::Early("its signing key is not known to speak for the agent");

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is valid and new, and now stored.
    New,
    /// It was here already, or something newer is.
    Known,
    /// Not now: what it depends on is not here yet, or its time has not come.
    Early(&'static str),
    /// Not here: nobody is at fault, and it need not be offered again.
    Unwanted(String),
    /// It is wrong from the bytes alone.
    Wrong(String),
}

impl Admission {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::New => Verdict::Accept,
            Self::Known | Self::Early(_) | Self::Unwanted(_) => Verdict::Ignore,
            Self::Wrong(_) => Verdict::Reject,
        }
    }
}

impl<S: Snapshot> Engine<S> {
    /// Takes a record in, or says why not.
    pub(crate) fn admit(
        &mut self,
        record: &Record,
        source: Source,
        now: Now,
    ) -> Result<Admission, ReadError> {
        let admission = match self.weigh(record, source, now)? {
            Ok((body, until)) => {
                self.fold(record, body, until, source)?;
                self.serve_carded(record, source, now)?;
                if matches!(record.kind(), Kind::Proposal | Kind::ProposalBatch) {
                    self.fold_holders(record.id(), source, now)?;
                }
                Admission::New
            }
            Err(admission) => admission,
        };
        let kind = record.kind();
        if let Admission::Wrong(_) = &admission
            && let Some(reason) = self.refused_rating(record)
        {
            self.note(Note::RatingRefused { reason });
        }
        let cause = match &admission {
            Admission::New => {
                self.note(Note::Admitted { kind, source });
                return Ok(admission);
            }
            Admission::Known => "known already".to_owned(),
            Admission::Early(cause) => (*cause).to_owned(),
            Admission::Unwanted(cause) | Admission::Wrong(cause) => cause.clone(),
        };
        self.note(Note::NotAdmitted { kind, source, verdict: admission.verdict(), cause });
        Ok(admission)
    }

    /// For what a wrong record of reputation is refused.
    fn refused_rating(&self, record: &Record) -> Option<&'static str> {
        if record.kind() == Kind::Attestations {
            Attestations::from_record(record, self.network.genesis()).err().map(|error| error.name())
        } else if record.kind() == Kind::Evidence {
            Accusation::from_record(record, &self.network).err().map(|error| error.name())
        } else {
            None
        }
    }

    /// Everything that is asked of a record before it is written: its body and its deadline, or why not.
    fn weigh(
        &mut self,
        record: &Record,
        source: Source,
        now: Now,
    ) -> Result<Result<(Body, Millis), Admission>, ReadError> {
        if self.store.get(Table::Records, &record.id().0)?.is_some() {
            return Ok(Err(Admission::Known));
        }
        let until = match deadline(record.header(), now.wall) {
            Ok(until) => until.unwrap_or(NEVER),
            // What the guard holds was valid when it was signed here.
            Err(_) if source == Source::Guard => NEVER,
            Err(TimeError::Early { .. }) => return Ok(Err(Admission::Early("made in the future"))),
            Err(error @ TimeError::Expired { .. }) => {
                return Ok(Err(Admission::Unwanted(error.to_string())));
            }
        };
        if record.group().is_some() && !matches!(record.kind(), Kind::Membership | Kind::Joining) {
            return Ok(Err(Admission::Unwanted("unknown group".into())));
        }
        let body = match read_body(record, &self.network) {
            Ok(body) => body,
            Err(admission) => return Ok(Err(admission)),
        };
        if let Some(admission) = self.weigh_key(record)? {
            return Ok(Err(admission));
        }
        let body = if let Body::Agreement(part) = body {
            match self.read_statement(record, part, source)? {
                Ok(body) => body,
                Err(admission) => return Ok(Err(admission)),
            }
        } else {
            body
        };
        let admission = match (&record.header().placement, &body) {
            (Placement::Slot { name, revision }, _) => self.weigh_slot(record, name, *revision)?,
            (_, Body::Group(body)) => self.weigh_group(record, body)?,
            // What was signed here is kept even if a crash took the proposal that it answers: it is never signed again.
            (_, Body::Ballots(ballots)) if source != Source::Guard => self.weigh_ballots(ballots)?,
            (_, Body::Answers(answers)) if source != Source::Guard => self.weigh_answers(answers)?,
            (_, Body::Docket(docket)) if source != Source::Guard => {
                self.weigh_electorate(record, &docket.terms.electorate)?
            }
            (_, Body::Proposal(Some(electorate))) if source != Source::Guard => {
                self.weigh_electorate(record, electorate)?
            }
            (_, Body::Acks(acks)) if source != Source::Guard => self.weigh_acks(record.agent(), acks)?,
            (_, Body::Report(report)) if source != Source::Guard => {
                self.weigh_closer(record.agent(), report.proposal)?
            }
            (_, Body::TrusteeKey(said)) if source != Source::Guard => self.weigh_trustee_key(said)?,
            (_, Body::Opening(opening)) if source != Source::Guard => self.weigh_opening(opening)?,
            (_, Body::Attestations(said)) => self.weigh_attestations(said, source),
            (_, Body::Evidence(said)) => self.weigh_accusation(said)?,
            (_, Body::Checkpoint) if source != Source::Guard => self.weigh_checkpoint(record.agent()),
            _ => None,
        };
        Ok(match admission {
            Some(admission) => Err(admission),
            None if self.is_over_quota(record, source, now) => {
                Err(Admission::Early("over its author's quota"))
            }
            None if self.is_over_surplus(record, &body, source, now)? => {
                Err(Admission::Early("over what its author may say about one vote"))
            }
            None => Ok((body, until)),
        })
    }

    /// Whether the signing key speaks for the agent.
    fn weigh_key(&self, record: &Record) -> Result<Option<Admission>, ReadError> {
        let unknown = Some(UNKNOWN_KEY);
        match record.kind() {
            Kind::Inception => Ok(None),
            Kind::Rotation => {
                let history = self.key_history(record.agent())?;
                Ok(if history.admits(record) { None } else { unknown })
            }
            Kind::Founding
            | Kind::Membership
            | Kind::Joining
            | Kind::Card
            | Kind::Lease
            | Kind::Proposal
            | Kind::ProposalBatch
            | Kind::BallotBatch
            | Kind::BallotAck
            | Kind::CloseReport
            | Kind::Agreement
            | Kind::TrusteeKey
            | Kind::Opening
            | Kind::Attestations
            | Kind::Evidence
            | Kind::Checkpoint
            | Kind::Message => {
                let history = self.key_history(record.agent())?;
                if !history.knows(record) {
                    return Ok(unknown);
                }
                let is_slot = matches!(record.header().placement, Placement::Slot { .. });
                if is_slot && *record.signing_key() != history.current_key() {
                    return Ok(Some(Admission::Early("its signing key was replaced")));
                }
                Ok(None)
            }
        }
    }

    fn weigh_slot(
        &mut self,
        record: &Record,
        name: &str,
        revision: u64,
    ) -> Result<Option<Admission>, ReadError> {
        let key = slot_key(record.agent(), record.kind(), name);
        let Some(head) = self.slot_head(&key)? else { return Ok(None) };
        if (revision, record.id()) > (head.revision, head.id) {
            return Ok(None);
        }
        // What was refused here must not come back after what it lost against is forgotten.
        let outlived = outlived(record);
        if outlived > head.keep_until {
            self.delete(Table::Expiry, Expiring::Slot(key.clone()).key(head.keep_until));
            self.put(Table::Expiry, Expiring::Slot(key.clone()).key(outlived), Vec::new());
            self.put(Table::Slot, key, SlotHead { keep_until: outlived, ..head }.to_row());
        }
        Ok(Some(Admission::Unwanted("a newer revision is here".into())))
    }

    /// A batch is taken when one of its ballots answers a known proposal and comes from a voter; so nobody outside an
    /// electorate can fill the store with ballots.
    fn weigh_ballots(&mut self, ballots: &[althing_ballot::Ballot]) -> Result<Option<Admission>, ReadError> {
        let mut missing = None;
        for ballot in ballots {
            match self.proposal(ballot.proposal)? {
                Some(proposal) if proposal.electorate.weight(ballot.voter).is_some() => {
                    if self.knows_keys(&proposal, &ballot.choice)? {
                        return Ok(None);
                    }
                    missing = Some("a trustee's key that it is sealed with is not known");
                }
                Some(_) => {}
                None => missing = missing.or(Some("its proposal is not known")),
            }
        }
        Ok(Some(match missing {
            None => Admission::Unwanted("the voter is in none of the electorates".into()),
            Some(cause) => Admission::Early(cause),
        }))
    }

    /// The same for answers to a docket.
    fn weigh_answers(&mut self, answers: &Answers) -> Result<Option<Admission>, ReadError> {
        Ok(match self.docket(answers.docket)? {
            Some(docket) if docket.terms.electorate.weight(answers.voter).is_some() => None,
            Some(_) => Some(Admission::Unwanted("the voter is not in the electorate".into())),
            None if self.proposal(answers.docket)?.is_some() => {
                Some(Admission::Unwanted("it answers many questions where there is one".into()))
            }
            None => Some(Admission::Early("its docket is not known")),
        })
    }

    fn fold(&mut self, record: &Record, body: Body, until: Millis, source: Source) -> Result<(), ReadError> {
        let id = record.id();
        let card_before = self.card_before(record)?;
        self.tell_card(record)?;
        if let Body::Lease(lease) = &body {
            self.tell_lease(record, lease.as_ref())?;
            if let Some(lease) = lease {
                self.note_elsewhere(record, lease);
            }
        }
        self.put(
            Table::Records,
            id.0.to_vec(),
            StoredRecord { deadline: until, bytes: record.bytes() }.to_row(),
        );
        if let Some(domain) = record.kind().domain() {
            self.put(Table::SyncView, sync_key(domain, record.made(), id), until.0.to_be_bytes().to_vec());
            self.reconciler.changed(domain);
        }
        if until < NEVER {
            self.put(Table::Expiry, Expiring::Record(id).key(until), Vec::new());
        }
        match &record.header().placement {
            Placement::Slot { name, revision } => self.fold_slot(record, name, *revision, until)?,
            Placement::Chain { stream, incarnation, seq, .. } => {
                let prefix = chain_prefix(record.agent(), stream, *incarnation);
                let position = [&prefix[..], &seq.to_be_bytes()].concat();
                // Any two records at one position are a fork, so the two lowest ids are.
                let mut ids = vec![id];
                for (key, _) in self.store.scan_prefix(Table::Chain, &position, 2)? {
                    ids.extend(RecordId::try_from(&key[position.len()..]));
                }
                ids.sort_unstable();
                if let [first, second, ..] = ids[..] {
                    self.prove(record.agent(), CHAIN_FORK, &position[32..], [first, second])?;
                }
                self.put(Table::Chain, chain_key(&prefix, *seq, id), Vec::new());
                let own = matches!(source, Source::Own | Source::Guard);
                if !own && self.key_history(record.agent())?.speaks(record.signing_key()) {
                    self.watch_own_chain(record, *incarnation, *seq);
                }
            }
            Placement::Pair { .. } | Placement::Round { .. } => {}
        }
        let mut batch = Batch::default();
        match body {
            Body::Card(card) => return self.index_card(record, card_before, card.map(|card| (card, until))),
            Body::Lease(lease) => return self.index_lease(record, lease.as_ref(), until),
            Body::Identity => {
                let before = self.key_history(record.agent())?.current_key();
                let known = !self.store.scan_prefix(Table::IdentityView, &record.agent().0, 1)?.is_empty();
                self.put(Table::IdentityView, identity_key(record.agent(), id), Vec::new());
                self.histories.borrow_mut().remove(&record.agent());
                self.note_keys(record.agent());
                self.dockets.forget_counts(record.agent());
                self.groups.forget_tips();
                self.tell_identity(record, known, before)?;
                if self.key_history(record.agent())?.current_key() != before {
                    self.purge_replaced_keys(record.agent())?;
                }
                return self.fold_waiting_statements();
            }
            Body::Group(body) => return self.fold_group(record, &body),
            Body::Proposal(_) => {
                althing_ballot::index_proposal(record, &mut batch);
                self.write_all(&batch);
                self.fold_subject(id)?;
                self.fold_pardon(id)?;
                self.tell_proposal(record)?;
                self.fold_closing(id)?;
                self.fold_motion(id)?;
                return self.fold_sealed(id);
            }
            Body::Docket(docket) => return self.fold_docket(record, *docket),
            Body::Answers(answers) => return self.fold_answers(record, answers),
            Body::Ballots(ballots) => {
                let fresh = self.fold_ballots(record, &ballots, &mut batch)?;
                self.write_all(&batch);
                self.close_ballots(&ballots, id)?;
                return self.note_outcomes(&fresh);
            }
            Body::Acks(acks) => althing_ballot::index_acks(record.agent(), &acks, &mut batch),
            Body::Report(report) => {
                althing_ballot::index_report(&report, &mut batch);
                self.write_all(&batch);
                return self.close_report(&report);
            }
            Body::Statement(proposal, entry) => {
                althing_ballot::index_statement(&self.store, proposal, entry.statement(), id, &mut batch)?;
                self.write_all(&batch);
                return self.close_statement(proposal, record, &entry);
            }
            Body::Attestations(said) => return self.fold_attestations(record, &said),
            Body::Evidence(said) => return self.fold_accusation(&said),
            Body::Checkpoint => self.checkpoints.note_change(),
            Body::TrusteeKey(said) => return self.fold_trustee_key(&said, id),
            Body::Opening(opening) => return self.fold_opening(&opening, id),
            Body::Agreement(part) => althing_ballot::index_early_statement(part.proposal, id, &mut batch),
        }
        self.write_all(&batch);
        Ok(())
    }

    fn fold_slot(
        &mut self,
        record: &Record,
        name: &str,
        revision: u64,
        until: Millis,
    ) -> Result<(), ReadError> {
        let key = slot_key(record.agent(), record.kind(), name);
        let before = self.slot_head(&key)?;
        if let Some(head) = before {
            self.drop_slot_record(head)?;
        }
        // Past this time no record that ever held the slot is accepted any more.
        let outlived = outlived(record);
        let keep_until = before.map_or(outlived, |head| head.keep_until.max(outlived));
        if before.is_none_or(|head| head.keep_until != keep_until) {
            if let Some(head) = before {
                self.delete(Table::Expiry, Expiring::Slot(key.clone()).key(head.keep_until));
            }
            self.put(Table::Expiry, Expiring::Slot(key.clone()).key(keep_until), Vec::new());
        }
        self.put(
            Table::Slot,
            key,
            SlotHead { revision, id: record.id(), deadline: until, keep_until, key: *record.signing_key() }
                .to_row(),
        );
        Ok(())
    }

    /// Removes what a slot's record left in the tables, the head and the index excepted.
    pub(crate) fn drop_slot_record(&mut self, head: SlotHead) -> Result<(), ReadError> {
        let Some(old) = self.record(head.id)? else { return Ok(()) };
        self.delete(Table::Records, head.id.0.to_vec());
        self.delete(Table::Expiry, Expiring::Record(head.id).key(head.deadline));
        if let Some(domain) = old.kind().domain() {
            self.delete(Table::SyncView, sync_key(domain, old.made(), head.id));
            self.reconciler.changed(domain);
        }
        Ok(())
    }

    /// Gives the ballots that say something new; the others cannot change an outcome, and counting costs.
    fn fold_ballots(
        &mut self,
        record: &Record,
        ballots: &[Ballot],
        batch: &mut Batch,
    ) -> Result<Vec<Ballot>, ReadError> {
        let mut fresh = Vec::new();
        for ballot in ballots {
            let mut cast = althing_ballot::ballots_for(&self.store, ballot.proposal, Some(ballot.voter))?;
            let said =
                |cast: &CastBallot| cast.key == *record.signing_key() && cast.ballot.choice == ballot.choice;
            if !cast.iter().any(said) {
                fresh.push(ballot.clone());
            }
            cast.push(CastBallot { ballot: ballot.clone(), batch: record.id(), key: *record.signing_key() });
            // The lowest batch of all, and the lowest that contradicts it: the same pair in whatever order they came.
            let Some(first) = cast.iter().min_by_key(|cast| cast.batch) else { continue };
            let others = cast.iter().filter(|cast| cast.ballot.choice != first.ballot.choice);
            let proof = others.min_by_key(|cast| cast.batch).map(|second| [first.batch, second.batch]);
            self.tell_ballot(ballot, record.id())?;
            if let Some(ids) = proof {
                self.prove(ballot.voter, DOUBLE_BALLOT, &ballot.proposal.0, ids)?;
            }
        }
        althing_ballot::index_ballots(&self.store, record, ballots, batch)?;
        Ok(fresh)
    }

    pub(crate) fn slot_head(&self, key: &[u8]) -> Result<Option<SlotHead>, ReadError> {
        Ok(self.store.get(Table::Slot, key)?.as_deref().and_then(SlotHead::read))
    }

    /// The record that holds a slot, if its time is not over.
    pub(crate) fn slot_record(&self, key: &[u8], now: Now) -> Result<Option<Record>, ReadError> {
        match self.slot_head(key)? {
            Some(head) if head.deadline > now.wall => self.record(head.id),
            Some(_) | None => Ok(None),
        }
    }
}

/// From when on no clock within bounds accepts a slot's record any more.
fn outlived(record: &Record) -> Millis {
    record.expires().unwrap_or(NEVER).plus(10 * Millis::MINUTE)
}
