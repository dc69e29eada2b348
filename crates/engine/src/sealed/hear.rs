//! What trustees say, as it is taken in: by the records alone, whether or not a trustee lives here.

use althing_ballot::{
    Choice, Opening, Openings, Proposal, TrusteeKey, has_key, index_opening, index_trustee_key, keys_of,
    openings_of, settle_sealed,
};
use althing_record::{AgentId, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::Event;
use crate::admit::Admission;
use crate::engine::Engine;
use crate::rows::DOUBLE_KEY;

/// Where the times of decisions about sealed votes begin in [`Table::Journal`].
const DECIDED: u8 = b'u';

impl<S: Snapshot> Engine<S> {
    /// A trustee's key is taken if its author is a trustee.
    pub(crate) fn weigh_trustee_key(&mut self, said: &TrusteeKey) -> Result<Option<Admission>, ReadError> {
        self.weigh_trustee(said.proposal, said.trustee)
    }

    /// An opening is taken if it opens a key that its author published as a trustee.
    pub(crate) fn weigh_opening(&mut self, opening: &Opening) -> Result<Option<Admission>, ReadError> {
        let stranger = self.weigh_trustee(opening.proposal, opening.trustee)?;
        if stranger.is_some() {
            return Ok(stranger);
        }
        let public = opening.secret.public();
        let is_known = has_key(&self.store, opening.proposal, opening.trustee, &public)?;
        Ok((!is_known).then_some(Admission::Early("it opens no key that its trustee published")))
    }

    fn weigh_trustee(&mut self, proposal: RecordId, author: AgentId) -> Result<Option<Admission>, ReadError> {
        Ok(match self.proposal(proposal)? {
            None => Some(Admission::Early("its proposal is not known")),
            Some(proposal) => {
                let place = proposal.sealing().and_then(|sealing| sealing.place(author));
                let stranger = || Admission::Unwanted("its author is no trustee of this vote".into());
                place.is_none().then(stranger)
            }
        })
    }

    /// Whether all trustees' keys that a ballot names are known here: a ballot that names others could never be opened.
    pub(crate) fn knows_keys(&self, proposal: &Proposal, choice: &Choice) -> Result<bool, ReadError> {
        let (Choice::Sealed(sealed), Some(sealing)) = (choice, proposal.sealing()) else { return Ok(true) };
        for share in sealed.shares() {
            let Some(trustee) = sealing.trustees().get(usize::from(share.place)) else { return Ok(true) };
            if !has_key(&self.store, proposal.id, *trustee, &share.key)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A sealed proposal is in the view.
    pub(crate) fn fold_sealed(&mut self, id: RecordId) -> Result<(), ReadError> {
        self.settle(id)?;
        self.take_up_sealed(id)
    }

    /// A trustee's key came.
    pub(crate) fn fold_trustee_key(&mut self, said: &TrusteeKey, record: RecordId) -> Result<(), ReadError> {
        let mut batch = Batch::default();
        index_trustee_key(&self.store, said, record, &mut batch)?;
        self.write_all(&batch);
        if let [(_, first), (_, second), ..] = keys_of(&self.store, said.proposal, said.trustee)?[..] {
            self.prove(said.trustee, DOUBLE_KEY, &said.proposal.0, [first, second])?;
        }
        self.sealed.is_news = true;
        self.close_waiting_ballots(said.proposal)
    }

    /// An opening came.
    pub(crate) fn fold_opening(&mut self, opening: &Opening, record: RecordId) -> Result<(), ReadError> {
        let (proposal, trustee) = (opening.proposal, opening.trustee);
        let is_news = openings_of(&self.store, proposal, Some(trustee))?.is_empty();
        let mut batch = Batch::default();
        index_opening(&self.store, opening, record, &mut batch)?;
        self.write_all(&batch);
        self.settle(proposal)?;
        if is_news {
            self.tell(&Event::VoteOpened { proposal, trustee, record });
        }
        self.note_closed(proposal)
    }

    fn settle(&mut self, id: RecordId) -> Result<(), ReadError> {
        let Some(proposal) = self.proposal(id)? else { return Ok(()) };
        let Some(sealing) = proposal.sealing() else { return Ok(()) };
        let mut batch = Batch::default();
        settle_sealed(&self.store, id, sealing, &mut batch)?;
        self.write_all(&batch);
        Ok(())
    }

    /// It was just decided which ballots of a vote count.
    pub(crate) fn open_decided(&mut self, proposal: &Proposal) {
        if proposal.sealing().is_some() {
            let key = decided_key(proposal.id);
            self.put(Table::Journal, key, self.journal.now.0.to_be_bytes().to_vec());
            if self.sealed.open.contains_key(&proposal.id) {
                self.sealed.ready.insert(proposal.id);
            }
        }
    }

    /// When this node saw the decision on a sealed vote, by its own clock.
    pub(super) fn saw_decision(&self, proposal: RecordId) -> Result<Option<u64>, ReadError> {
        let row = self.store.get(Table::Journal, &decided_key(proposal))?;
        Ok(row.and_then(|row| row.try_into().ok()).map(u64::from_be_bytes))
    }

    pub(super) fn opening(&self, id: RecordId) -> Result<Option<Opening>, ReadError> {
        Ok(self.record(id)?.and_then(|record| Opening::from_record(&record).ok()))
    }

    /// What the trustees of a proposal published; `None` while too few have to open anything.
    pub(crate) fn openings(&self, proposal: &Proposal) -> Result<Option<Openings>, ReadError> {
        let Some(sealing) = proposal.sealing() else { return Ok(None) };
        let rows = openings_of(&self.store, proposal.id, None)?;
        let mut trustees: Vec<AgentId> = rows.iter().map(|(trustee, _)| *trustee).collect();
        trustees.dedup();
        if trustees.len() < sealing.threshold() {
            return Ok(None);
        }
        let mut openings = Openings::default();
        for (_, id) in rows {
            if let Some(opening) = self.opening(id)? {
                openings.insert(sealing, &opening);
            }
        }
        Ok(Some(openings))
    }
}

fn decided_key(proposal: RecordId) -> Vec<u8> {
    [&[DECIDED][..], &proposal.0].concat()
}
