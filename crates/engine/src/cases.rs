//! Whom proven misbehaviour binds, in memory. A case is looked at when it comes, and again only when a key of the agent or a
//! pardon came: it takes two signatures, and scores ask for all cases again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_record::{AgentId, Digest, RecordId};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::Slash;

use crate::engine::Engine;
use crate::evidence::Case;
use crate::pardon::Pardons;
use crate::rows::case_id;

/// What is known of one case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    binds: bool,
    is_forgiven: bool,
}

impl Known {
    fn counts(self) -> bool {
        self.binds && !self.is_forgiven
    }
}

/// An agent against which there are cases.
#[derive(Debug, Default)]
struct Offender {
    /// By the keys of their rows.
    cases: BTreeMap<Vec<u8>, Known>,
    /// What was forgiven; none: it is to be read.
    pardons: Option<Arc<Pardons>>,
    /// How many bind and are not forgiven.
    counting: usize,
}

/// The rows of [`Table::EvidenceView`], and what they come to.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    offenders: BTreeMap<AgentId, Offender>,
    /// Keys of those that are to be looked at.
    stale: BTreeSet<Vec<u8>>,
    /// How many bind.
    binding: u64,
}

impl Cases {
    /// A case came, changed or went.
    pub(crate) fn note_case(&mut self, key: Vec<u8>) {
        self.stale.insert(key);
    }

    /// A key of an agent came: it may speak for what was signed, or not any more.
    pub(crate) fn note_keys(&mut self, agent: AgentId) {
        if let Some(offender) = self.offenders.get(&agent) {
            self.stale.extend(offender.cases.keys().cloned());
        }
    }

    /// What is forgiven of an agent may have changed.
    pub(crate) fn note_pardon(&mut self, agent: AgentId) {
        if let Some(offender) = self.offenders.get_mut(&agent) {
            offender.pardons = None;
            self.stale.extend(offender.cases.keys().cloned());
        }
    }

    /// Somebody who decides on pardons has another key: ballots may count that did not, or the other way round.
    pub(crate) fn note_voter(&mut self) {
        let forgiven = |offender: &Offender| offender.pardons.as_ref().is_none_or(|known| !known.is_empty());
        let of: Vec<_> = self.offenders.iter().filter(|(_, one)| forgiven(one)).map(|(id, _)| *id).collect();
        of.into_iter().for_each(|agent| self.note_pardon(agent));
    }

    /// What is known of a case now; none: there is no such case.
    fn set(&mut self, agent: AgentId, key: Vec<u8>, known: Option<Known>) {
        let offender = self.offenders.entry(agent).or_default();
        let before = match known {
            Some(known) => offender.cases.insert(key, known),
            None => offender.cases.remove(&key),
        };
        let (before, known) = (before.unwrap_or_default(), known.unwrap_or_default());
        offender.counting = offender.counting + usize::from(known.counts()) - usize::from(before.counts());
        self.binding = self.binding + u64::from(known.binds) - u64::from(before.binds);
        if offender.cases.is_empty() {
            self.offenders.remove(&agent);
        }
    }
}

impl<S: Snapshot> Engine<S> {
    /// Reads which cases there are. They are looked at when somebody asks.
    pub(crate) fn resume_cases(&mut self) -> Result<(), ReadError> {
        let mut cases = Cases::default();
        self.for_each_row(Table::EvidenceView, &[], |key, _| cases.note_case(key.to_vec()))?;
        *self.cases.get_mut() = cases;
        Ok(())
    }

    /// An agent's identity chain has grown.
    pub(crate) fn note_keys(&mut self, agent: AgentId) {
        let genesis = self.network.genesis();
        let decides = genesis.committee.contains(&agent) || genesis.anchors.contains(&agent);
        let cases = self.cases.get_mut();
        cases.note_keys(agent);
        if decides {
            cases.note_voter();
        }
    }

    /// Looks at the cases that are new or may have changed.
    fn settle_cases(&self) -> Result<(), ReadError> {
        let stale = std::mem::take(&mut self.cases.borrow_mut().stale);
        for key in stale {
            let Some(agent) = key.first_chunk().map(|agent| AgentId(*agent)) else { continue };
            let row = self.store.get(Table::EvidenceView, &key)?;
            let known = match row.and_then(|row| Case::read(&key, &row)) {
                Some(case) => Some(Known {
                    binds: self.case_binds(&case)?,
                    is_forgiven: self.known_pardons(agent)?.contains_key(&case_id(&key)),
                }),
                None => None,
            };
            self.cases.borrow_mut().set(agent, key, known);
        }
        Ok(())
    }

    fn known_pardons(&self, agent: AgentId) -> Result<Arc<Pardons>, ReadError> {
        let known = self.cases.borrow().offenders.get(&agent).and_then(|offender| offender.pardons.clone());
        if let Some(pardons) = known {
            return Ok(pardons);
        }
        let pardons = Arc::new(self.pardons_of(agent)?);
        self.cases.borrow_mut().offenders.entry(agent).or_default().pardons = Some(pardons.clone());
        Ok(pardons)
    }

    /// Whether a case binds, and by which decided proposal it is forgiven.
    pub(crate) fn case_standing(&self, case: &Case) -> Result<(bool, Option<RecordId>), ReadError> {
        self.settle_cases()?;
        let cases = self.cases.borrow();
        let Some(offender) = cases.offenders.get(&case.agent) else { return Ok((false, None)) };
        let known = offender.cases.get(&case.key).copied().unwrap_or_default();
        let id: Digest = case_id(&case.key);
        let pardoned_by = offender.pardons.as_ref().and_then(|pardons| pardons.get(&id).copied());
        Ok((known.binds, pardoned_by))
    }

    /// How many cases bind.
    pub(crate) fn evidence_count(&self) -> Result<u64, ReadError> {
        self.settle_cases()?;
        Ok(self.cases.borrow().binding)
    }

    /// What proven misbehaviour takes from whose score.
    pub(crate) fn slashes(&self) -> Result<BTreeMap<AgentId, Slash>, ReadError> {
        self.settle_cases()?;
        let cases = self.cases.borrow();
        let slashed = cases.offenders.iter().filter(|(_, offender)| offender.counting > 0);
        Ok(slashed.map(|(agent, _)| (*agent, Slash::Zero)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: AgentId = AgentId([1; 32]);

    fn counts(cases: &Cases) -> (u64, usize) {
        (cases.binding, cases.offenders.get(&AGENT).map_or(0, |offender| offender.counting))
    }

    #[test]
    fn what_cases_come_to_follows_each_of_them() {
        let mut cases = Cases::default();
        let (bare, bound) = (Known::default(), Known { binds: true, is_forgiven: false });
        let forgiven = Known { binds: true, is_forgiven: true };
        for (key, known, expected) in [
            (1, Some(bare), (0, 0)),
            (2, Some(bound), (1, 1)),
            (1, Some(bound), (2, 2)),
            (2, Some(forgiven), (2, 1)),
            (1, Some(bare), (1, 0)),
            (3, None, (1, 0)),
            (2, None, (0, 0)),
        ] {
            cases.set(AGENT, vec![key], known);
            assert_eq!(counts(&cases), expected);
        }
        cases.set(AGENT, vec![1], None);
        assert!(cases.offenders.is_empty(), "nothing is left of an agent without cases");
    }

    #[test]
    fn only_what_may_have_changed_is_looked_at_again() {
        let mut cases = Cases::default();
        let bound = Some(Known { binds: true, is_forgiven: false });
        for n in 1..=3 {
            cases.set(AgentId([n; 32]), vec![n], bound);
            let pardons =
                if n == 3 { Pardons::from([(Digest([3; 32]), RecordId([3; 32]))]) } else { Pardons::new() };
            cases.offenders.get_mut(&AgentId([n; 32])).unwrap().pardons = Some(Arc::new(pardons));
        }
        assert!(cases.stale.is_empty());
        cases.note_keys(AGENT);
        cases.note_keys(AgentId([9; 32]));
        assert_eq!(std::mem::take(&mut cases.stale), [vec![1]].into());
        cases.note_voter();
        assert_eq!(std::mem::take(&mut cases.stale), [vec![3]].into());
        assert!(cases.offenders[&AgentId([3; 32])].pardons.is_none());
        cases.note_pardon(AgentId([2; 32]));
        assert_eq!(cases.stale, [vec![2]].into());
    }
}
