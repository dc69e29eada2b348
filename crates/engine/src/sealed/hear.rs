//! What trustees say, as it is taken in: by the records alone, whether or not a trustee lives here.

use std::collections::BTreeSet;

use althing_ballot::{
    Choice, Manifest, Opening, Openings, Proposal, Sealed, Sealing, TrusteeKey, has_key, has_opened,
    index_opening, index_trustee_key, keys_of, opening_of, settle_sealed,
};
use althing_record::{AgentId, Record, RecordId};
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
        let TrusteeKey { proposal, trustee, key } = *said;
        let known = keys_of(&self.store, proposal, trustee, 2)?.into_iter().map(|(key, id)| (id, key));
        let of = |record: &Record| TrusteeKey::from_record(record).ok().map(|said| said.key);
        self.prove_lowest((trustee, DOUBLE_KEY, &proposal.0), (record, key), known.collect(), of)?;
        self.sealed.news.insert(proposal);
        self.close_waiting_ballots(said)
    }

    /// The key of a trustee that voters use: of several that of the lowest record.
    pub(super) fn trustee_key(
        &self,
        proposal: RecordId,
        trustee: AgentId,
    ) -> Result<Option<[u8; 32]>, ReadError> {
        if let Some([lowest, _]) = self.proved((trustee, DOUBLE_KEY, &proposal.0))? {
            let record = self.record(lowest)?;
            return Ok(record.and_then(|record| TrusteeKey::from_record(&record).ok()).map(|said| said.key));
        }
        Ok(keys_of(&self.store, proposal, trustee, 1)?.first().map(|(key, _)| *key))
    }

    /// An opening came.
    pub(crate) fn fold_opening(&mut self, opening: &Opening, record: RecordId) -> Result<(), ReadError> {
        let (proposal, trustee) = (opening.proposal, opening.trustee);
        let is_news = !has_opened(&self.store, proposal, trustee)?;
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

    /// Whether so many trustees of a proposal have opened that its ballots may be read.
    pub(crate) fn may_open(&self, proposal: RecordId, sealing: &Sealing) -> Result<bool, ReadError> {
        let mut opened = 0;
        for trustee in sealing.trustees() {
            opened += usize::from(has_opened(&self.store, proposal, *trustee)?);
        }
        Ok(opened >= sealing.threshold())
    }

    /// The records that open keys which sealed ballots name. A trustee may open any number of others.
    pub(crate) fn openings_for<'c>(
        &self,
        proposal: RecordId,
        sealing: &Sealing,
        ballots: impl IntoIterator<Item = &'c Sealed>,
    ) -> Result<Vec<Record>, ReadError> {
        let shares = ballots.into_iter().flat_map(Sealed::shares).map(|share| (share.place, share.key));
        let (named, mut records): (BTreeSet<_>, _) = (shares.collect(), Vec::new());
        for (place, key) in named {
            let Some(trustee) = sealing.trustees().get(usize::from(place)) else { continue };
            if let Some(id) = opening_of(&self.store, proposal, *trustee, &key)? {
                records.extend(self.record(id)?);
            }
        }
        Ok(records)
    }

    /// A manifest with its sealed ballots opened; `None` while some cannot be.
    pub(crate) fn open_manifest(
        &self,
        proposal: &Proposal,
        sealing: &Sealing,
        manifest: Manifest,
    ) -> Result<Option<Manifest>, ReadError> {
        let sealed = manifest.sealed().map(|(_, sealed)| sealed);
        let mut openings = Openings::default();
        for record in self.openings_for(proposal.id, sealing, sealed)? {
            if let Ok(opening) = Opening::from_record(&record) {
                openings.insert(sealing, &opening);
            }
        }
        Ok(manifest.open(self.network.id(), proposal, &openings).ok())
    }
}

fn decided_key(proposal: RecordId) -> Vec<u8> {
    [&[DECIDED][..], &proposal.0].concat()
}
