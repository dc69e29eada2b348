//! Keeping the index of cards and leases, which queries are answered from, in step with the slots.

use althing_card::{Card, INDEX_VERSION, Lease};
use althing_record::{Kind, Millis, Placement, Record};
use althing_store::{Batch, Memory, ReadError, Snapshot, Table, prefix_end};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};

/// The row that says which version of the index the store has.
const VERSION: &[u8] = b"card_index";

/// Rows read at once.
const PAGE: usize = 1_024;

impl<S: Snapshot> Engine<S> {
    /// The card that a card takes the slot from: the slot holds it, and the index with it, whether or not its time is
    /// over.
    pub(crate) fn card_before(&self, record: &Record) -> Result<Option<Card>, ReadError> {
        if record.kind() != Kind::Card {
            return Ok(None);
        }
        let Some(head) = self.slot_head(&slot_key(record.agent(), Kind::Card, ""))? else { return Ok(None) };
        let record = self.record(head.id)?;
        Ok(record.and_then(|record| Card::from_record(&record).ok().flatten()))
    }

    /// An agent's card took its slot in place of `before`; none: the agent retracted it.
    pub(crate) fn index_card(
        &mut self,
        record: &Record,
        before: Option<Card>,
        after: Option<(Card, Millis)>,
    ) -> Result<(), ReadError> {
        let after = after.as_ref().map(|(card, until)| (card, *until));
        let agent = record.agent();
        self.change_index(|store, batch| althing_card::index(store, agent, before.as_ref(), after, batch))
    }

    /// A lease took its slot; none: the node serves the agent no longer.
    pub(crate) fn index_lease(
        &mut self,
        record: &Record,
        lease: Option<&Lease>,
        until: Millis,
    ) -> Result<(), ReadError> {
        match lease {
            Some(lease) => self.change_index(|store, batch| {
                althing_card::serve(store, lease.agent, lease.node, until, batch)
            }),
            None => self.unindex(record),
        }
    }

    /// A card or a lease is over.
    pub(crate) fn unindex(&mut self, record: &Record) -> Result<(), ReadError> {
        let agent = record.agent();
        if let Ok(Some(card)) = Card::from_record(record) {
            return self.index_card(record, Some(card), None);
        }
        // A lease's slot is named after its node.
        if record.kind() == Kind::Lease
            && let Placement::Slot { name, .. } = &record.header().placement
            && let Ok(node) = name.parse()
        {
            return self.change_index(|store, batch| althing_card::unserve(store, agent, node, batch));
        }
        Ok(())
    }

    fn change_index(
        &mut self,
        change: impl FnOnce(&althing_store::Overlay<S>, &mut Batch) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut batch = Batch::default();
        change(&self.store, &mut batch)?;
        self.write_all(&batch);
        Ok(())
    }

    /// Fills the index anew from the slots if the store has none of this version.
    pub(crate) fn ensure_index(&mut self) -> Result<(), ReadError> {
        if self.store.get(Table::Meta, VERSION)?.as_deref() == Some(&[INDEX_VERSION]) {
            return Ok(());
        }
        // Made beside the store: each of many cards changes the same few blocks.
        let made = Memory::default();
        let mut from = Vec::new();
        loop {
            let rows = self.store.scan(Table::Slot, &from, &prefix_end(&[]), PAGE)?;
            let Some((last, _)) = rows.last() else { break };
            from = after(last);
            for (_, row) in rows {
                let Some(head) = SlotHead::read(&row) else { continue };
                let Some(record) = self.record(head.id)? else { continue };
                let mut batch = Batch::default();
                if let Ok(Some(card)) = Card::from_record(&record) {
                    let card = Some((&card, head.deadline));
                    althing_card::index(&made, record.agent(), None, card, &mut batch)?;
                } else if let Ok(Some(lease)) = Lease::from_record(&record) {
                    althing_card::serve(&made, lease.agent, lease.node, head.deadline, &mut batch)?;
                }
                made.apply(&batch);
            }
        }
        self.replace_index(&made)?;
        self.put(Table::Meta, VERSION.to_vec(), vec![INDEX_VERSION]);
        Ok(())
    }

    fn replace_index(&mut self, made: &Memory) -> Result<(), ReadError> {
        let (mut from, end) = (Vec::new(), prefix_end(&[]));
        loop {
            let rows = self.store.scan(Table::CardView, &from, &end, PAGE)?;
            let Some((last, _)) = rows.last() else { break };
            from = after(last);
            rows.into_iter().for_each(|(key, _)| self.delete(Table::CardView, key));
        }
        from.clear();
        loop {
            let rows = made.scan(Table::CardView, &from, &end, PAGE)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = after(last);
            rows.into_iter().for_each(|(key, row)| self.put(Table::CardView, key, row));
        }
    }
}

fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
