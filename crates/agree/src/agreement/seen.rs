use std::collections::BTreeMap;

use crate::instance::Seat;
use crate::statement::{SignedStatement, Slot, Step};
use crate::{Evidence, Instance};

/// Messages of so many rounds after the present one are taken; later ones only tell that their round exists.
pub(crate) const ROUNDS_AHEAD: u32 = 8;

/// Statements of so many rounds before the present one are held against what their closers say later.
pub(crate) const ROUNDS_BEHIND: u32 = 16;

/// So many proofs against one closer are made.
const EVIDENCE_PER_CLOSER_MAX: usize = 4;

/// What every closer said first in each place, near the present round.
#[derive(Debug)]
pub(super) struct Seen {
    statements: BTreeMap<(Slot, Seat), SignedStatement>,
    /// By seat: the latest round that the closer is known to have been in.
    latest: Vec<Option<u32>>,
    /// By seat: proofs so far.
    proofs: Vec<Vec<Slot>>,
}

/// What a statement was to [`Seen::note`].
#[derive(Debug)]
pub(super) enum Noted {
    /// The closer's first in its place.
    First,
    /// Known, of no interest any more, or too far ahead.
    Nothing,
    /// A contradiction.
    Conflict(Evidence),
}

impl Seen {
    pub(super) fn new(instance: &Instance) -> Self {
        let closers = instance.closers().len();
        Self { statements: BTreeMap::new(), latest: vec![None; closers], proofs: vec![Vec::new(); closers] }
    }

    pub(super) fn note(&mut self, signed: &SignedStatement, present: u32) -> Noted {
        let (slot, seat) = (signed.slot(), signed.seat());
        let latest = &mut self.latest[seat.index()];
        *latest = (*latest).max(Some(slot.round));
        if slot.round.saturating_add(ROUNDS_BEHIND) < present || slot.round > present + ROUNDS_AHEAD {
            return Noted::Nothing;
        }
        let Some(first) = self.statements.get(&(slot, seat)) else {
            self.statements.insert((slot, seat), signed.clone());
            return Noted::First;
        };
        let proofs = &mut self.proofs[seat.index()];
        if proofs.len() == EVIDENCE_PER_CLOSER_MAX || proofs.contains(&slot) {
            return Noted::Nothing;
        }
        let Some(evidence) = Evidence::prove(first, signed) else { return Noted::Nothing };
        proofs.push(slot);
        Noted::Conflict(evidence)
    }

    /// The latest round that at least one honest closer is in: `faulty_max` + 1 closers are there or beyond.
    pub(super) fn honest_round(&self, faulty_max: usize) -> Option<u32> {
        let mut latest = self.latest.clone();
        latest.sort_unstable_by(|one, other| other.cmp(one));
        latest[faulty_max]
    }

    /// The first statements of one slot.
    pub(super) fn in_slot(&self, slot: Slot) -> impl Iterator<Item = &SignedStatement> {
        self.statements.range((slot, Seat(0))..=(slot, Seat(u8::MAX))).map(|(_, signed)| signed)
    }

    /// The votes of a round and all later ones.
    pub(super) fn votes_since(&self, round: u32) -> impl Iterator<Item = &SignedStatement> {
        let first = Slot { round, step: Step::Proposal };
        self.statements
            .range((first, Seat(0))..)
            .filter(|((slot, _), _)| slot.step != Step::Proposal)
            .map(|(_, signed)| signed)
    }

    pub(super) fn newest(&self, seat: Seat) -> Option<&SignedStatement> {
        self.statements.values().rev().find(|signed| signed.seat() == seat)
    }

    /// Drops what is too old for `present`.
    pub(super) fn advance(&mut self, present: u32) {
        let first = Slot { round: present.saturating_sub(ROUNDS_BEHIND), step: Step::Proposal };
        self.statements = self.statements.split_off(&(first, Seat(0)));
    }
}
