use althing_record::{Digest, RecordId};
use althing_store::{ReadError, Snapshot};
use althing_trust::{Attestations, Demand};

use crate::engine::Engine;
use crate::{Effect, ReplyNo, Response};

/// Receipts of an own agent that a peer may demand: the shell, which keeps them, shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptsDemanded {
    /// The record that they are under.
    pub said: Attestations,
    /// Which, row by row, in the order asked.
    pub demands: Vec<Demand>,
}

impl<S: Snapshot> Engine<S> {
    /// A peer demands receipts. Nobody is shown others than those that the checkpoint which took the record draws.
    pub(crate) fn on_prove(
        &mut self,
        reply: ReplyNo,
        (record, checkpoint): (RecordId, RecordId),
        rows: &[u16],
    ) -> Result<(), ReadError> {
        let said = self.attestations(record)?.filter(|said| self.hosted(said.rater).is_some());
        let Some(said) = said else {
            let none = Response::Proofs { proofs: vec![None; rows.len()] };
            self.effect(Effect::Respond(reply, none.to_bytes()));
            return Ok(());
        };
        if self.checkpoint_with(said.epoch, said.id) != Some(checkpoint) {
            // This node may hear of it later.
            self.effect(Effect::Respond(reply, Response::Busy.to_bytes()));
            return Ok(());
        }
        let all = said.demands(Digest(checkpoint.0));
        let demand = |row: &u16| {
            let row = usize::from(*row);
            all.get(row).cloned().unwrap_or(Demand { row, places: Vec::new() })
        };
        let demands = rows.iter().map(demand).collect();
        self.effect(Effect::Prove(reply, Box::new(ReceiptsDemanded { said, demands })));
        Ok(())
    }
}
