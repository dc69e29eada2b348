use std::collections::BTreeMap;

use althing_record::{AgentId, Genesis, Kind, Record};
use althing_store::Snapshot;

use crate::engine::Engine;
use crate::{Now, Source};

/// How long one author earns the right to one more record by gossip, in milliseconds.
pub const AUTHOR_PERIOD_MS: u64 = 10_000;

/// How many records of one author are taken at once.
pub const AUTHOR_BURST: u64 = 30;

/// The same for proposals, of which a busy agent makes many: how long one takes to be earned.
pub const PROPOSAL_PERIOD_MS: u64 = 1_000;

/// How many proposals of one author are taken at once.
pub const PROPOSAL_BURST: u64 = 1_000;

/// How many attestations of one rater are taken at once; then one a rating epoch. A node that was away says of several.
pub const ATTESTATION_BURST: u64 = 8;

/// How many records of evidence of one author are taken at once.
pub const EVIDENCE_BURST: u64 = 8;

/// How long one more takes to be earned, in milliseconds.
pub const EVIDENCE_PERIOD_MS: u64 = 60_000;

/// Most authors that are remembered, counted once for proposals, once for attestations, once for evidence and once for the
/// rest; and most authors of surplus on a vote. When all of them are busy, the one that was closest to its full burst is forgotten.
pub const AUTHORS_MAX: usize = 4_096;

/// How much each author may say by gossip: so many records at once, then one a period; proposals and attestations apart from the rest.
///
/// What is over it is not lost: reconciliation brings what is newest. Integers and ticks only, so that equal inputs have
/// equal outcomes.
pub(crate) type Authors = Buckets<(AgentId, Class)>;

/// Who may say so much at once, and then one more each period.
#[derive(Clone, Debug)]
pub(crate) struct Buckets<K> {
    /// When each has its full burst again, in ticks.
    full_at: BTreeMap<K, u64>,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Cards, leases, inceptions, rotations, and what is said in groups.
    Directory,
    Proposals,
    /// Attestations, of which there is one a rating epoch, which is so long in milliseconds.
    Attestations(u64),
    /// Contradictions of others.
    Evidence,
}

impl Class {
    /// The class of a kind. Ballots, and what closers and trustees say, have none: what they say beyond what they may is bounded
    /// for each vote, whoever brings it.
    fn of(kind: Kind, genesis: &Genesis) -> Option<Self> {
        match kind {
            Kind::Card
            | Kind::Lease
            | Kind::Inception
            | Kind::Rotation
            | Kind::Founding
            | Kind::Membership
            | Kind::Joining => Some(Self::Directory),
            Kind::Proposal | Kind::ProposalBatch => Some(Self::Proposals),
            Kind::Attestations => Some(Self::Attestations(genesis.rating_epoch_ms)),
            Kind::Evidence => Some(Self::Evidence),
            Kind::BallotBatch
            | Kind::BallotAck
            | Kind::CloseReport
            | Kind::Agreement
            | Kind::TrusteeKey
            | Kind::Opening
            | Kind::Checkpoint
            | Kind::Message => None,
        }
    }

    fn period_ms_and_burst(self) -> (u64, u64) {
        match self {
            Self::Directory => (AUTHOR_PERIOD_MS, AUTHOR_BURST),
            Self::Proposals => (PROPOSAL_PERIOD_MS, PROPOSAL_BURST),
            Self::Evidence => (EVIDENCE_PERIOD_MS, EVIDENCE_BURST),
            Self::Attestations(epoch_ms) => (epoch_ms, ATTESTATION_BURST),
        }
    }
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { full_at: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Buckets<K> {
    /// Whether one more thing may be said now; if so, it is.
    pub(crate) fn take(&mut self, of: K, (period_ms, burst): (u64, u64), ticks: u64) -> bool {
        let full_at = self.full_at.get(&of).copied().unwrap_or(0).max(ticks);
        if full_at - ticks > (burst - 1) * period_ms {
            return false;
        }
        if self.full_at.len() >= AUTHORS_MAX && !self.full_at.contains_key(&of) {
            self.make_room(ticks);
        }
        self.full_at.insert(of, full_at + period_ms);
        true
    }

    fn make_room(&mut self, ticks: u64) {
        self.full_at.retain(|_, full_at| *full_at > ticks);
        if self.full_at.len() >= AUTHORS_MAX {
            let first = self.full_at.iter().min_by_key(|(of, full_at)| (**full_at, **of));
            let first = first.map(|(of, _)| *of);
            first.and_then(|of| self.full_at.remove(&of));
        }
    }
}

impl<S: Snapshot> Engine<S> {
    /// Whether the record's author has said too much by gossip. Asked last, of what would be new: it counts.
    pub(crate) fn is_over_quota(&mut self, record: &Record, source: Source, now: Now) -> bool {
        let class = Class::of(record.kind(), self.network.genesis()).filter(|_| source == Source::Gossip);
        class.is_some_and(|class| {
            !self.authors.take((record.agent(), class), class.period_ms_and_burst(), now.ticks)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(n: u64) -> AgentId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        AgentId(id)
    }

    fn take(authors: &mut Authors, author: AgentId, class: Class, ticks: u64) -> bool {
        authors.take((author, class), class.period_ms_and_burst(), ticks)
    }

    #[test]
    fn a_burst_and_then_one_every_ten_seconds() {
        let mut authors = Authors::default();
        let mut taken = |ticks, count| {
            (0..count).filter(|_| take(&mut authors, author(1), Class::Directory, ticks)).count()
        };
        assert_eq!(taken(5_000, 100), 30);
        assert_eq!(taken(14_999, 10), 0);
        assert_eq!(taken(15_000, 10), 1);
        assert_eq!(taken(15_000 + 25 * AUTHOR_PERIOD_MS, 100), 25);
        assert_eq!(taken(u64::MAX / 2, 100), 30, "no more than a burst, however long it was silent");
        let mut proposals =
            |ticks| (0..2000).filter(|_| take(&mut authors, author(1), Class::Proposals, ticks)).count();
        assert_eq!((proposals(5_000), proposals(7_000)), (1000, 2), "proposals are counted apart");
    }

    #[test]
    fn authors_are_bounded_and_the_most_talkative_are_remembered_longest() {
        let mut authors = Authors::default();
        for _ in 0..AUTHOR_BURST {
            assert!(take(&mut authors, author(0), Class::Directory, 1));
        }
        for n in 1..3 * AUTHORS_MAX as u64 {
            assert!(take(&mut authors, author(n), Class::Directory, 1));
        }
        assert_eq!(authors.full_at.len(), AUTHORS_MAX);
        assert!(
            !take(&mut authors, author(0), Class::Directory, 1),
            "a crowd does not wash away who was over its quota"
        );
        assert!(take(&mut authors, author(u64::MAX), Class::Directory, 1 + AUTHOR_PERIOD_MS));
        assert!(authors.full_at.len() < 10, "those that are full again are forgotten first");
    }
}
