use std::fmt;

use althing_record::cbor::{self, Limits};
use althing_record::{AgentId, Digest, Network};
use althing_trust::{Attestations, RowProof, Unproven};

/// What a rater shows for some rows of its record, to be held against what was demanded. [`ProofCheck::run`] takes time,
/// depends on nothing else, and may run on any thread.
#[derive(Clone)]
pub struct ProofCheck {
    network: Network,
    said: Attestations,
    checkpoint: Digest,
    shown: Vec<(u16, Option<Vec<u8>>)>,
}

impl fmt::Debug for ProofCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofCheck").field("record", &self.said.id).field("rows", &self.shown.len()).finish()
    }
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRow {
    /// Its place.
    pub row: u16,
    /// The keys that must speak for their agents, if all else is proved.
    pub outcome: Result<Vec<(AgentId, [u8; 32])>, Unproven>,
}

impl ProofCheck {
    pub(super) fn new(
        network: Network,
        said: Attestations,
        checkpoint: Digest,
        shown: Vec<(u16, Option<Vec<u8>>)>,
    ) -> Self {
        Self { network, said, checkpoint, shown }
    }

    /// Checks every row.
    #[must_use]
    pub fn run(&self) -> Vec<CheckedRow> {
        let demands = self.said.demands(self.checkpoint);
        let check = |row: u16, shown: Option<&Vec<u8>>| {
            let demand = demands.get(usize::from(row)).ok_or(Unproven::NoRow(row.into()))?;
            let expected = demand.places.len();
            let shown = shown.ok_or(Unproven::Missing { expected, found: 0 })?;
            let proof: RowProof = cbor::from_slice(shown, Limits::RECORD).map_err(Unproven::Malformed)?;
            let receipts = self.said.prove(demand, &proof, &self.network)?;
            let signed = receipts.iter().flat_map(|proven| {
                let (accept, receipt) = (proven.accept(), proven.receipt());
                [(accept.callee, accept.signing_key()), (receipt.caller, receipt.signing_key())]
            });
            Ok(signed.collect())
        };
        let rows = self.shown.iter();
        rows.map(|(row, shown)| CheckedRow { row: *row, outcome: check(*row, shown.as_ref()) }).collect()
    }
}
