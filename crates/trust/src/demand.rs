use std::collections::BTreeSet;

use althing_record::cbor::{Blob, DecodeError, List};
use althing_record::{AgentId, Digest, Genesis, Network, cbor_map, merkle};
use sha2::{Digest as _, Sha256};

use crate::{
    Accept, Attestations, ProvenReceipt, RatingEpoch, ReceiptError, Row, SIGNED_BYTES_MAX, StatementError,
};

/// How many receipts of each row are demanded, if it has so many.
pub const DEMANDS_PER_ROW: u64 = 4;

/// The longest path: 1,024 rows of 2³² calls.
const PATH_LEN_MAX: usize = 42;

/// The longest leaf.
const LEAF_BYTES_MAX: usize = 2 * SIGNED_BYTES_MAX + 16;

/// What a rater must show for one row of its attestation, after the next checkpoint was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Which row.
    pub row: usize,
    /// The places of the receipts among all of the record, ascending.
    pub places: Vec<u64>,
}

cbor_map! {
    /// One demanded receipt.
    pub struct ReceiptProof: version 1 {
        /// The Accept and the receipt.
        1 => pub leaf: Blob<LEAF_BYTES_MAX>,
        /// From the leaf up.
        2 => pub path: List<Digest, PATH_LEN_MAX>,
    }
}

cbor_map! {
    /// What a rater shows for one row.
    pub struct RowProof: version 1 {
        /// The callee's highest Accept.
        1 => pub top: Blob<SIGNED_BYTES_MAX>,
        /// The demanded receipts, in order.
        2 => pub receipts: List<ReceiptProof, { DEMANDS_PER_ROW as usize }>,
    }
}

/// Why a row is not proved. Its rater loses it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// There is no such row.
    #[error("the attestation has no row {0}")]
    NoRow(usize),
    /// What is shown does not decode.
    #[error("what is shown is malformed: {0}")]
    Malformed(DecodeError),
    /// Not all that was demanded is there.
    #[error("{expected} receipts were demanded, {found} are there")]
    Missing {
        /// How many were demanded.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The highest Accept does not verify.
    #[error("the highest accept is forged: {0}")]
    ForgedTop(StatementError),
    /// Another Accept than the one that the record names, or of other agents, or with another index.
    #[error("the highest accept is not the one that the attestation names")]
    OtherTop,
    /// A receipt does not verify.
    #[error("receipt {place}: {error}")]
    Receipt {
        /// Its place.
        place: u64,
        /// Why.
        error: ReceiptError,
    },
    /// A receipt does not lie at its place under the root.
    #[error("receipt {place} has a wrong merkle proof")]
    Path {
        /// Its place.
        place: u64,
    },
    /// A receipt is of another rater, callee or skill.
    #[error("receipt {place} does not belong to the row")]
    OtherRow {
        /// Its place.
        place: u64,
    },
    /// A receipt belongs to another rating epoch.
    #[error("receipt {place} is of rating epoch {found}, expected {expected}")]
    Epoch {
        /// Its place.
        place: u64,
        /// The record's.
        expected: RatingEpoch,
        /// Its Accept's.
        found: RatingEpoch,
    },
    /// A receipt was made after the record that counts it.
    #[error("receipt {place} comes from the future")]
    Future {
        /// Its place.
        place: u64,
    },
    /// A receipt stands there twice.
    #[error("receipt {place} is replayed")]
    Replayed {
        /// Its place.
        place: u64,
    },
    /// A receipt's Accept has a higher index than the highest.
    #[error("receipt {place} has accept {index}, the highest is {top}")]
    AboveTop {
        /// Its place.
        place: u64,
        /// Its Accept's index.
        index: u64,
        /// The highest.
        top: u64,
    },
}

impl Unproven {
    /// A short name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoRow(_) => "no_row",
            Self::Malformed(_) => "malformed",
            Self::Missing { .. } => "missing",
            Self::ForgedTop(_) => "forged",
            Self::OtherTop => "other_top",
            Self::Receipt { error, .. } => error.name(),
            Self::Path { .. } => "merkle_path",
            Self::OtherRow { .. } => "other_row",
            Self::Epoch { .. } => "epoch",
            Self::Future { .. } => "future",
            Self::Replayed { .. } => "replayed",
            Self::AboveTop { .. } => "above_top",
        }
    }

    /// Whether something is only not there, and what there is is not wrong.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::NoRow(_))
    }
}

impl Attestations {
    /// What must be shown for each row, now that the next checkpoint is known: nobody could choose what to be asked.
    #[must_use]
    pub fn demands(&self, checkpoint: Digest) -> Vec<Demand> {
        let mut first = 0;
        let one = |(row, of_row): (usize, &Row)| {
            let count = of_row.counts.count();
            let places = places(self.receipts_root, checkpoint, row, count);
            let places = places.into_iter().map(|at| first + at).collect();
            first += count;
            Demand { row, places }
        };
        self.rows.iter().enumerate().map(one).collect()
    }

    /// Whether what a rater shows proves a row. Whether rotated keys speak for their agents is another question, which
    /// the returned receipts let one ask.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn prove(
        &self,
        demand: &Demand,
        proof: &RowProof,
        network: &Network,
    ) -> Result<Vec<ProvenReceipt>, Unproven> {
        let row = self.rows.get(demand.row).ok_or(Unproven::NoRow(demand.row))?;
        let top = Accept::verify(&proof.top, network.id()).map_err(Unproven::ForgedTop)?;
        let is_named = self.top(row.target).is_some_and(|named| {
            (named.accept, named.index) == (top.id(), top.index)
                && (top.caller, top.callee) == (self.rater, row.target)
                && RatingEpoch::of(top.made, network.genesis()) == self.epoch
        });
        if !is_named {
            return Err(Unproven::OtherTop);
        }
        let (expected, found) = (demand.places.len(), proof.receipts.len());
        if expected != found {
            return Err(Unproven::Missing { expected, found });
        }
        let mut tasks = BTreeSet::new();
        let mut last_index = 0;
        let mut proven = Vec::with_capacity(found);
        for (place, shown) in demand.places.iter().copied().zip(proof.receipts.iter()) {
            let receipt = ProvenReceipt::verify(&shown.leaf, network.id())
                .map_err(|error| Unproven::Receipt { place, error })?;
            if !merkle::verify(&shown.leaf, place, self.receipts(), &shown.path, self.receipts_root) {
                return Err(Unproven::Path { place });
            }
            self.fits(row, place, &receipt, network.genesis())?;
            let (index, top) = (receipt.accept().index, top.index);
            if index > top {
                return Err(Unproven::AboveTop { place, index, top });
            }
            // Receipts of a row lie in the order of their Accepts.
            if !tasks.insert(receipt.accept().task) || index <= last_index {
                return Err(Unproven::Replayed { place });
            }
            last_index = index;
            proven.push(receipt);
        }
        Ok(proven)
    }

    fn fits(
        &self,
        row: &Row,
        place: u64,
        receipt: &ProvenReceipt,
        genesis: &Genesis,
    ) -> Result<(), Unproven> {
        let accept = receipt.accept();
        let parties: (AgentId, AgentId) = (accept.caller, accept.callee);
        if parties != (self.rater, row.target) || accept.skill != row.skill {
            return Err(Unproven::OtherRow { place });
        }
        let (expected, found) = (self.epoch, RatingEpoch::of(accept.made, genesis));
        if expected != found {
            return Err(Unproven::Epoch { place, expected, found });
        }
        if receipt.receipt().made > self.made {
            return Err(Unproven::Future { place });
        }
        Ok(())
    }
}

impl RowProof {
    /// What the rater shows for a demand; `leaves` are all of the record. None if the demand is not about them.
    #[must_use]
    pub fn new(demand: &Demand, top: &Accept, leaves: &[Vec<u8>]) -> Option<Self> {
        let receipts = demand.places.iter().map(|place| {
            let place = usize::try_from(*place).ok()?;
            let leaf = leaves.get(place)?.clone().try_into().ok()?;
            Some(ReceiptProof { leaf, path: merkle::path(leaves, place)?.try_into().ok()? })
        });
        let receipts = receipts.collect::<Option<Vec<_>>>()?.try_into().ok()?;
        Some(Self { top: top.bytes().to_vec().try_into().ok()?, receipts })
    }
}

/// Different places below `count`, ascending, drawn by hash.
fn places(root: Digest, checkpoint: Digest, row: usize, count: u64) -> Vec<u64> {
    let mut chosen: Vec<u64> = Vec::new();
    for draw in 0..DEMANDS_PER_ROW.min(count) {
        let hash = Sha256::new()
            .chain_update(root.0)
            .chain_update(checkpoint.0)
            .chain_update((row as u64).to_be_bytes())
            .chain_update(draw.to_be_bytes())
            .finalize();
        let (number, _) = hash.split_first_chunk::<16>().expect("a hash has 32 bytes");
        let left = u128::from(count - draw);
        let mut place = u64::try_from(u128::from_be_bytes(*number) % left).expect("below a count");
        // The place-th of those that are not chosen yet.
        for taken in &chosen {
            place += u64::from(*taken <= place);
        }
        let at = chosen.partition_point(|taken| *taken < place);
        chosen.insert(at, place);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_different_ascending_and_depend_on_everything() {
        let of = |root: u8, checkpoint: u8, row, count| {
            places(Digest([root; 32]), Digest([checkpoint; 32]), row, count)
        };
        for count in 1..40 {
            let places = of(1, 2, 3, count);
            assert_eq!(places.len() as u64, count.min(DEMANDS_PER_ROW));
            assert!(places.is_sorted_by(|one, other| one < other) && places.iter().all(|at| *at < count));
        }
        assert_eq!(of(1, 2, 3, 4), [0, 1, 2, 3]);
        let one = of(1, 2, 3, 1 << 32);
        assert_ne!(one, of(2, 2, 3, 1 << 32));
        assert_ne!(one, of(1, 3, 3, 1 << 32));
        assert_ne!(one, of(1, 2, 4, 1 << 32));
    }

    #[test]
    fn every_place_is_demanded_sooner_or_later() {
        let seen: BTreeSet<_> = (0..200)
            .flat_map(|checkpoint| places(Digest([0; 32]), Digest([checkpoint; 32]), 0, 20))
            .collect();
        assert_eq!(seen.len(), 20);
    }
}
