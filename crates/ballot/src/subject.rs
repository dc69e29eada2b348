use std::collections::{BTreeMap, BTreeSet};

use althing_record::cbor::Text;
use althing_record::{Digest, RecordId, cbor_map, merkle};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::{BallotError, Electorate};

/// Longest name of a subject in bytes.
pub const SUBJECT_BYTES_MAX: usize = 128;

cbor_map! {
    /// What a proposal decides about: of the decisions of one electorate on one subject, one is in force.
    pub struct Subject {
        /// The subject's name.
        1 => pub name: Text<SUBJECT_BYTES_MAX>,
        /// The decided proposal that this one takes the place of; absent: it is the first.
        2 => pub basis: Option<RecordId>,
    }
}

impl Subject {
    /// A subject, and the decision that stands so far.
    ///
    /// # Errors
    /// When the name is blank or too long.
    pub fn new(name: &str, basis: Option<RecordId>) -> Result<Self, BallotError> {
        let text = Text::try_from(name).map_err(|long| BallotError::Subject(long.len))?;
        let subject = Self { name: text, basis };
        subject.check().map(|()| subject)
    }

    pub(crate) fn check(&self) -> Result<(), BallotError> {
        if self.name.trim().is_empty() { Err(BallotError::Subject(self.name.len())) } else { Ok(()) }
    }

    /// What tells subjects apart: the name, and the group or the list of those who decide. Equal names in different
    /// electorates are different subjects.
    #[must_use]
    pub fn key(&self, electorate: &Electorate) -> Digest {
        let whose = electorate.group().map_or_else(|| electorate.snapshot().root.0, |of| of.group.0);
        merkle::root(&[&b"althing/subject/1"[..], &whose, self.name.as_bytes()])
    }
}

/// Where a decided proposal stands among those on its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It holds.
    InForce,
    /// It held, and another took its place.
    Superseded(RecordId),
    /// It does not hold: of those with the same basis this one does, or nothing leads to its basis.
    Overruled(Option<RecordId>),
}

/// Where the decided proposals on one subject stand, given the basis of each.
///
/// Of those that name the same basis the one with the lowest id holds: two proposals that were decided side by side cannot
/// both, and no clock says which was first. So nodes that know the same decisions agree, in whatever order they came.
#[must_use]
pub fn standings(decided: &BTreeMap<RecordId, Option<RecordId>>) -> BTreeMap<RecordId, Standing> {
    let mut by_basis: BTreeMap<Option<RecordId>, BTreeSet<RecordId>> = BTreeMap::new();
    for (id, basis) in decided {
        by_basis.entry(*basis).or_default().insert(*id);
    }
    let winner = |basis: Option<RecordId>| by_basis.get(&basis).and_then(BTreeSet::first).copied();
    let mut standings: BTreeMap<RecordId, Standing> = decided
        .iter()
        .map(|(id, basis)| (*id, Standing::Overruled(winner(*basis).filter(|other| other != id))))
        .collect();
    let mut holds = winner(None);
    // Each has one basis and the first has none, so that the chain comes to its end.
    while let Some(id) = holds {
        let next = winner(Some(id));
        standings.insert(id, next.map_or(Standing::InForce, Standing::Superseded));
        holds = next;
    }
    standings
}

/// Adds a proposal to the rows of its subject: `t` ‖ subject ‖ proposal → empty.
pub fn index_subject(subject: Digest, proposal: RecordId, batch: &mut Batch) {
    batch.put(Table::VoteView, [b"t", &subject.0[..], &proposal.0].concat(), Vec::new());
}

/// The proposals on a subject, ascending, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn proposals_on(
    store: &impl Snapshot,
    subject: Digest,
    limit: usize,
) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, &[b"t", &subject.0[..]].concat(), limit)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(33..)?).ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> RecordId {
        RecordId([n; 32])
    }

    fn of(decided: &[(u8, Option<u8>)]) -> BTreeMap<RecordId, Standing> {
        standings(&decided.iter().map(|(one, basis)| (id(*one), basis.map(id))).collect())
    }

    #[test]
    fn the_last_of_a_chain_is_in_force() {
        let all = of(&[(5, None), (3, Some(5)), (9, Some(3))]);
        assert_eq!(all[&id(5)], Standing::Superseded(id(3)));
        assert_eq!(all[&id(3)], Standing::Superseded(id(9)));
        assert_eq!(all[&id(9)], Standing::InForce);
    }

    #[test]
    fn of_two_with_one_basis_the_lower_id_holds_and_the_other_never_did() {
        let all = of(&[(5, None), (4, Some(5)), (3, Some(5)), (9, Some(4))]);
        assert_eq!(all[&id(3)], Standing::InForce);
        assert_eq!(all[&id(4)], Standing::Overruled(Some(id(3))));
        assert_eq!(
            all[&id(9)],
            Standing::Overruled(None),
            "what follows an overruled one does not hold either"
        );
        let first = of(&[(7, None), (6, None)]);
        assert_eq!((first[&id(6)], first[&id(7)]), (Standing::InForce, Standing::Overruled(Some(id(6)))));
    }

    #[test]
    fn a_basis_that_is_not_decided_leads_nowhere() {
        assert_eq!(of(&[(4, Some(8))])[&id(4)], Standing::Overruled(None));
        assert_eq!(of(&[(4, Some(4))])[&id(4)], Standing::Overruled(None));
    }

    #[test]
    fn blank_and_long_names_are_refused() {
        assert!(Subject::new(" ", None).is_err());
        assert!(Subject::new(&"x".repeat(129), None).is_err());
        assert!(Subject::new("budget", Some(id(1))).is_ok());
    }

    proptest! {
        #[test]
        fn at_most_one_is_in_force_and_each_has_a_standing(
            decided in proptest::collection::btree_map(0..20_u8, proptest::option::of(0..20_u8), 0..20)
        ) {
            let pairs: Vec<_> = decided.iter().map(|(one, basis)| (*one, *basis)).collect();
            let all = of(&pairs);
            prop_assert_eq!(all.len(), decided.len());
            let in_force = all.values().filter(|standing| **standing == Standing::InForce).count();
            prop_assert!(in_force <= 1);
            prop_assert_eq!(in_force == 1, pairs.iter().any(|(_, basis)| basis.is_none()));
            for (one, standing) in &all {
                if let Standing::Superseded(by) = standing {
                    prop_assert_eq!(decided[&by.0[0]].map(id), Some(*one));
                }
            }
        }
    }
}
