//! Taking a card back: a signed record without content in the card's slot, and one in the slot of each lease.

use althing_card::{CARD_LIFETIME_MS, Card, CardBody, LEASE_LIFETIME_MS, LeaseBody};
use althing_record::{AgentId, Kind, Placement, cbor};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::publish::SignError;
use crate::rows::{SlotHead, slot_key};
use crate::{Answer, AskNo, HostedAgent, Now, RefusalKind, Retracted};

/// Most leases of one agent that a retraction ends: further ones end by themselves within 15 minutes.
const LEASES_MAX: usize = 64;

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_retract_card(&mut self, no: AskNo, agent: AgentId, now: Now) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let slot = slot_key(agent, Kind::Card, "");
        let card = match self.slot_record(&slot, now)? {
            Some(record) if matches!(Card::from_record(&record), Ok(Some(_))) => record,
            Some(_) | None => {
                let hint = Some(
                    "`althing card publish` publishes one; `althing card history` shows what became of it",
                );
                self.refuse(no, RefusalKind::NotFound, format!("agent {agent} has no card to retract"), hint);
                return Ok(());
            }
        };
        // While anyone could still take the old card in, the retraction has to be there to stand against it.
        let left = card.expires().unwrap_or_default().since(self.signing_time(now));
        let lifetime = CARD_LIFETIME_MS.max(left) + LEASE_LIFETIME_MS;
        let body = cbor::to_vec(&CardBody { json: None, skills: None });
        let record = match self.sign_slot(&hosted, Kind::Card, "", lifetime, |_, _| body, now) {
            Ok(record) => record,
            Err(error) => return self.refuse_unsigned(no, error),
        };
        let leases_ended = self.end_leases(&hosted, now)?;
        self.announce(now)?;
        let Placement::Slot { revision, .. } = record.header().placement else { return Ok(()) };
        self.answer(
            no,
            Answer::Retracted(Retracted {
                agent,
                record: record.id(),
                card: card.id(),
                revision,
                leases_ended,
                expires: record.expires().unwrap_or_default(),
            }),
        );
        Ok(())
    }

    /// Ends every lease of an agent, whichever node holds it: the agent signs them all.
    fn end_leases(&mut self, hosted: &HostedAgent, now: Now) -> Result<u64, ReadError> {
        let prefix = slot_key(hosted.agent, Kind::Lease, "");
        let mut ended = 0;
        for (key, row) in self.store.scan_prefix(Table::Slot, &prefix, LEASES_MAX)? {
            let Some(head) = SlotHead::read(&row).filter(|head| head.deadline > now.wall) else { continue };
            let Some(name) = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok()) else {
                continue;
            };
            if !self.is_lease(head.id)? {
                continue;
            }
            let body = cbor::to_vec(&LeaseBody { node: None, addresses: None, node_signature: None });
            match self.sign_slot(hosted, Kind::Lease, name, LEASE_LIFETIME_MS, |_, _| body, now) {
                Ok(_) => ended += 1,
                Err(SignError::Read(error)) => return Err(error),
                // The lease ends by itself, and without a card nobody finds the agent.
                Err(SignError::Refused(..)) => {}
            }
        }
        Ok(ended)
    }
}
