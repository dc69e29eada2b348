//! Agents of this node that other nodes serve too. Each node numbers Accepts and tells of rating epochs for itself, so an agent
//! that two serve at once contradicts itself before long.

use althing_card::Lease;
use althing_record::{Kind, NodeId, Record};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{Note, Now, ServedElsewhere};

/// Most leases of one agent that are looked at.
const LEASES_MAX: usize = 8;

impl<S: Snapshot> Engine<S> {
    /// A lease is taken in; it may be of an agent of this node at another one.
    pub(crate) fn note_elsewhere(&mut self, record: &Record, lease: &Lease) {
        let (agent, node) = (record.agent(), lease.node);
        if node != self.node() && self.hosted(agent).is_some() {
            self.note(Note::ServedElsewhere { agent, node, made: record.made() });
        }
    }

    /// The agents of this node that others serve now.
    pub(crate) fn served_elsewhere(&self, now: Now) -> Result<Vec<ServedElsewhere>, ReadError> {
        let mut found = Vec::new();
        for hosted in &self.agents {
            let prefix = slot_key(hosted.agent, Kind::Lease, "");
            for (key, row) in self.store.scan_prefix(Table::Slot, &prefix, LEASES_MAX)? {
                let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
                if let (Some(head), Some(Ok(node))) = (SlotHead::read(&row), name.map(str::parse::<NodeId>))
                    && node != self.node()
                    && head.deadline > now.wall
                    && self.is_lease(head.id)?
                {
                    found.push(ServedElsewhere { agent: hosted.agent, node, until: head.deadline });
                }
            }
        }
        Ok(found)
    }
}
