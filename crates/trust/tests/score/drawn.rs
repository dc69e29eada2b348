use std::collections::{BTreeMap, BTreeSet};

use althing_record::{AgentId, RecordId};
use althing_trust::{Counts, Ledger, Params, Rating, RatingEpoch, Slash};

/// SplitMix64: the same numbers as the driver of the reference program.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = usize::try_from(self.below(at as u64 + 1)).unwrap();
            list.swap(at, other);
        }
    }
}

/// One attestation, as the ledger takes it.
#[derive(Clone, Debug)]
pub(crate) struct Attested {
    pub(crate) id: u64,
    pub(crate) rater: u64,
    pub(crate) epoch: u64,
    pub(crate) rows: Vec<Rating>,
}

impl Attested {
    /// One call.
    pub(crate) fn call(id: u64, rater: u64, target: u64, epoch: u64, is_ok: bool) -> Self {
        let counts = if is_ok { Counts::new(1, 1, 100, 1) } else { Counts::new(1, 0, 0, 0) };
        Self { id, rater, epoch, rows: vec![Rating { target: agent(target), counts: counts.unwrap() }] }
    }

    pub(crate) fn apply(&self, ledger: &mut Ledger) -> bool {
        ledger.apply(record(self.id), agent(self.rater), RatingEpoch(self.epoch), &self.rows)
    }
}

/// An agent's id, in the order of its number.
pub(crate) fn agent(number: u64) -> AgentId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    AgentId(id)
}

pub(crate) fn number(agent: AgentId) -> u64 {
    u64::from_be_bytes(agent.0[..8].try_into().unwrap())
}

pub(crate) fn record(number: u64) -> RecordId {
    RecordId(agent(number).0)
}

pub(crate) fn ledger_of(all: &[Attested]) -> Ledger {
    let mut ledger = Ledger::default();
    for attested in all {
        attested.apply(&mut ledger);
    }
    ledger
}

pub(crate) fn anchored(anchors: impl IntoIterator<Item = u64>) -> Params {
    let anchors: BTreeSet<_> = anchors.into_iter().map(agent).collect();
    Params { anchors, slash: BTreeMap::<AgentId, Slash>::new() }
}
