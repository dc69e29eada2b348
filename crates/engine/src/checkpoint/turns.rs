//! Whose turn it is to move for a checkpoint, and which motions are looked at.

use std::collections::BTreeMap;

use althing_record::{AgentId, Network, RecordId};

use super::motion::{Motion, committee, yes_needed};
use super::{Checkpoints, Known};

/// The members in the order in which they move: who made fewer motions in this place of the chain first, and of those who
/// made as many, as the committee stands from the place on whose turn it is. So whoever moves out of turn, or too often, only
/// puts itself last.
#[derive(Debug)]
pub(super) struct Turns {
    order: Vec<(usize, usize, AgentId)>,
    /// How many motions those made at least who are not faulty.
    rounds: usize,
}

impl Turns {
    pub(super) fn of(checkpoints: &Checkpoints, network: &Network) -> Self {
        let committee = committee(network);
        let prev = checkpoints.chain.last().map(|link| link.checkpoint);
        let mut moved = BTreeMap::new();
        for known in checkpoints.motions.values().filter(|known| known.motion.prev == prev) {
            *moved.entry(known.mover).or_insert(0) += 1;
        }
        let members = committee.len();
        let first = checkpoints.chain.len() % members.max(1);
        let mut order: Vec<_> = (0..)
            .zip(committee)
            .map(|(place, member)| {
                let distance = (place + members - first) % members;
                (moved.get(&member).copied().unwrap_or(0), distance, member)
            })
            .collect();
        order.sort_unstable();
        // As many as may be faulty may have been silent.
        let faulty = members - yes_needed(members);
        let rounds = order.get(faulty).map_or(0, |(moved, ..)| *moved);
        Self { order, rounds }
    }

    /// How many members move before this one.
    pub(super) fn place(&self, member: AgentId) -> Option<usize> {
        self.order.iter().position(|(.., other)| *other == member)
    }

    /// Whether others wait for what a member moved: it did not move more often than all take turns.
    pub(super) fn is_awaited(&self, member: AgentId) -> bool {
        let moved = self.order.iter().find(|(.., other)| *other == member).map_or(0, |(moved, ..)| *moved);
        moved <= self.rounds.saturating_add(1)
    }
}

impl Checkpoints {
    /// The undecided motions that members here vote on, in the order of turns: of each member and place of the chain the one
    /// that was known here first. Which these are may differ between nodes.
    pub(super) fn looked_at(&self, network: &Network) -> Vec<(RecordId, Motion)> {
        let turns = Turns::of(self, network);
        let mut first: BTreeMap<(Option<RecordId>, AgentId), (RecordId, &Known)> = BTreeMap::new();
        for (id, known) in self.motions.iter().filter(|(_, known)| known.passed.is_none()) {
            let slot = first.entry((known.motion.prev, known.mover)).or_insert((*id, known));
            if known.seen.unwrap_or(u64::MAX) < slot.1.seen.unwrap_or(u64::MAX) {
                *slot = (*id, known);
            }
        }
        let mut looked_at: Vec<_> = first
            .into_iter()
            .map(|((prev, mover), (id, known))| {
                let is_past = self.place_after(prev) != Some(self.chain.len());
                ((is_past, turns.place(mover)), (id, known.motion))
            })
            .collect();
        looked_at.sort_by_key(|(turn, (id, _))| (*turn, *id));
        looked_at.into_iter().map(|(_, motion)| motion).collect()
    }
}

#[cfg(test)]
mod tests {
    use althing_record::{Genesis, Millis};

    use super::*;

    fn agent(n: u8) -> AgentId {
        AgentId([n; 32])
    }

    fn network(members: u8) -> Network {
        let mut genesis = Genesis::plain("x".try_into().unwrap(), Millis(0));
        genesis.committee = (1..=members).map(agent).collect::<Vec<_>>().try_into().unwrap();
        Network::new(genesis).unwrap()
    }

    fn move_for(checkpoints: &mut Checkpoints, id: u8, mover: u8, seen: u64) {
        let motion = Motion { prev: None, checkpoint: RecordId([id; 32]) };
        let known = Known {
            motion,
            mover: agent(mover),
            passed: None,
            is_link: false,
            is_disputed: false,
            seen: Some(seen),
        };
        checkpoints.motions.insert(RecordId([id; 32]), known);
    }

    #[test]
    fn members_take_turns_and_who_moves_more_often_is_not_waited_for() {
        let (network, mut checkpoints) = (network(4), Checkpoints::default());
        let order = |checkpoints: &Checkpoints| -> Vec<_> {
            let turns = Turns::of(checkpoints, &network);
            (1..=4).map(|member| turns.place(agent(member)).unwrap()).collect()
        };
        let awaited =
            |checkpoints: &Checkpoints, member| Turns::of(checkpoints, &network).is_awaited(agent(member));
        assert_eq!(order(&checkpoints), [0, 1, 2, 3]);
        move_for(&mut checkpoints, 1, 1, 0);
        assert_eq!(order(&checkpoints), [3, 0, 1, 2]);
        assert!(awaited(&checkpoints, 1));
        move_for(&mut checkpoints, 2, 1, 0);
        assert!(!awaited(&checkpoints, 1), "the others have not moved");
        move_for(&mut checkpoints, 3, 2, 0);
        move_for(&mut checkpoints, 4, 3, 0);
        assert_eq!(order(&checkpoints), [3, 1, 2, 0]);
        assert!((1..=4).all(|member| awaited(&checkpoints, member)), "one may be silent");
        // However often one moves, the others are where they were.
        (10..100).for_each(|id| move_for(&mut checkpoints, id, 1, 0));
        assert_eq!(order(&checkpoints), [3, 1, 2, 0]);
        assert!(!awaited(&checkpoints, 1) && awaited(&checkpoints, 2));
    }

    #[test]
    fn one_motion_of_each_member_is_looked_at_and_that_of_whose_turn_it_is_first() {
        let (network, mut checkpoints) = (network(4), Checkpoints::default());
        for (id, mover, seen) in [(1, 4, 9), (2, 4, 3), (3, 4, 9), (9, 2, 9)] {
            move_for(&mut checkpoints, id, mover, seen);
        }
        let ids = |checkpoints: &Checkpoints| -> Vec<_> {
            checkpoints.looked_at(&network).into_iter().map(|(id, _)| id.0[0]).collect()
        };
        assert_eq!(ids(&checkpoints), [9, 2]);
        checkpoints.motions.get_mut(&RecordId([2; 32])).unwrap().passed = Some(false);
        assert_eq!(ids(&checkpoints), [9, 1]);
    }
}
