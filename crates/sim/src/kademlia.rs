use std::collections::BTreeMap;

use althing_engine::Key;
use althing_record::NodeId;
use sha2::{Digest as _, Sha256};

/// How many nodes hold a provider record.
const K: usize = 20;

/// Most providers of one key at one holder, as in `althing_net::Limits`.
const PROVIDERS_PER_KEY_MAX: usize = 64;

/// Most providers in one answer.
const ANSWER_MAX: usize = 20;

/// How long a provider record lives, in milliseconds.
const LIFETIME_MS: u64 = 60 * 60_000;

/// Kademlia with ideal routing and the real stores: a provider record lies at the k nodes that are closest to its key by
/// XOR of SHA-256(node id) when it is announced, for an hour; each of them takes 64 providers of a key and puts 20 into an
/// answer, the next ones into the next. Nothing can be taken back from them.
#[derive(Debug, Default)]
pub(crate) struct Kademlia {
    holders: BTreeMap<usize, Holder>,
    /// The closest of each key on each side of a partition; until somebody comes or goes.
    closest: BTreeMap<(usize, Key), Vec<usize>>,
}

#[derive(Debug)]
struct Holder {
    place: [u8; 32],
    side: usize,
    /// Provider → until when, by key.
    keys: BTreeMap<Key, BTreeMap<NodeId, u64>>,
    turn: usize,
    lookups: u64,
}

impl Kademlia {
    /// A node comes, or is on another side now.
    pub(crate) fn join(&mut self, number: usize, node: NodeId, side: usize) {
        self.closest.clear();
        let place: [u8; 32] = Sha256::digest(node.0).into();
        let turn = usize::from(place[0]);
        let new = || Holder { place, side, keys: BTreeMap::new(), turn, lookups: 0 };
        self.holders.entry(number).or_insert_with(new).side = side;
    }

    /// A node goes, and what it held.
    pub(crate) fn leave(&mut self, number: usize) {
        self.closest.clear();
        self.holders.remove(&number);
    }

    /// Stores a provider record at the closest of the nodes that `from` reaches, as far as they have room.
    pub(crate) fn provide(&mut self, from: usize, key: Key, provider: NodeId, time: u64) {
        for number in self.closest(from, key) {
            let Some(holder) = self.holders.get_mut(&number) else { continue };
            let entries = holder.keys.entry(key).or_default();
            if !entries.contains_key(&provider) && entries.len() >= PROVIDERS_PER_KEY_MAX {
                entries.retain(|_, until| *until > time);
            }
            if entries.contains_key(&provider) || entries.len() < PROVIDERS_PER_KEY_MAX {
                entries.insert(provider, time + LIFETIME_MS);
            }
        }
    }

    /// What the closest of the nodes that `from` reaches answer; none if there is no other node.
    pub(crate) fn lookup(&mut self, from: usize, key: Key, time: u64) -> Option<Vec<NodeId>> {
        let mut found = std::collections::BTreeSet::new();
        let closest = self.closest(from, key);
        if closest.iter().all(|number| *number == from) {
            return None;
        }
        for number in closest {
            let Some(holder) = self.holders.get_mut(&number) else { continue };
            holder.lookups += 1;
            let Some(entries) = holder.keys.get(&key) else { continue };
            let mut live: Vec<NodeId> =
                entries.iter().filter(|(_, until)| **until > time).map(|(node, _)| *node).collect();
            if live.len() > ANSWER_MAX {
                let start = holder.turn % live.len();
                holder.turn += ANSWER_MAX;
                live.rotate_left(start);
            }
            found.extend(live.into_iter().take(ANSWER_MAX));
        }
        Some(found.into_iter().collect())
    }

    /// How many provider records a node holds, and how many lookups it has answered.
    pub(crate) fn load(&self, number: usize, time: u64) -> (u64, u64) {
        let Some(holder) = self.holders.get(&number) else { return (0, 0) };
        let live = |entries: &BTreeMap<NodeId, u64>| entries.values().filter(|until| **until > time).count();
        (holder.keys.values().map(|entries| live(entries) as u64).sum(), holder.lookups)
    }

    fn closest(&mut self, from: usize, key: Key) -> Vec<usize> {
        let Some(side) = self.holders.get(&from).map(|holder| holder.side) else { return Vec::new() };
        if let Some(closest) = self.closest.get(&(side, key)) {
            return closest.clone();
        }
        let distance = |place: &[u8; 32]| -> [u8; 32] { std::array::from_fn(|at| place[at] ^ key.0[at]) };
        let here = self.holders.iter().filter(|(_, holder)| holder.side == side);
        let mut nodes: Vec<_> = here.map(|(number, holder)| (distance(&holder.place), *number)).collect();
        if nodes.len() > K {
            nodes.select_nth_unstable(K - 1);
            nodes.truncate(K);
        }
        nodes.sort_unstable();
        let closest: Vec<_> = nodes.into_iter().map(|(_, number)| number).collect();
        self.closest.insert((side, key), closest.clone());
        closest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7; 32]);
    const MINUTE: u64 = 60_000;

    fn node(n: usize) -> NodeId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        NodeId(id)
    }

    fn with(count: usize) -> Kademlia {
        let mut kademlia = Kademlia::default();
        (0..count).for_each(|n| kademlia.join(n, node(n), 0));
        kademlia
    }

    #[test]
    fn a_key_has_64_providers_and_the_first_ones_stay() {
        let mut kademlia = with(30);
        (0..100).for_each(|n| kademlia.provide(0, KEY, node(n), 0));
        let holders: Vec<_> = (0..30).filter(|n| kademlia.load(*n, 0).0 > 0).collect();
        assert_eq!(holders.len(), K);
        assert!(holders.iter().all(|n| kademlia.load(*n, 0).0 == 64));
        assert!(!kademlia.lookup(0, KEY, 0).unwrap().contains(&node(64)));
        // Renewals fit; others do when somebody's time is over.
        kademlia.provide(0, KEY, node(3), 59 * MINUTE);
        (0..100).for_each(|n| kademlia.provide(0, KEY, node(100 + n), 60 * MINUTE));
        assert!(
            kademlia
                .lookup(0, KEY, 60 * MINUTE)
                .unwrap()
                .iter()
                .all(|found| *found == node(3) || *found >= node(100))
        );
    }

    #[test]
    fn an_answer_has_20_and_the_next_one_goes_on() {
        let mut kademlia = with(2);
        (0..50).for_each(|n| kademlia.provide(0, KEY, node(n), 0));
        let answers = [0; 3].map(|_| kademlia.lookup(0, KEY, 0).unwrap());
        assert!(answers.iter().all(|answer| (20..=40).contains(&answer.len())));
        let all: std::collections::BTreeSet<_> = answers.iter().flatten().collect();
        assert_eq!(all.len(), 50);
        assert_eq!(kademlia.load(0, 0), (50, 3));
        assert_eq!(with(1).lookup(0, KEY, 0), None, "nobody to ask");
    }

    #[test]
    fn records_expire_and_go_with_their_holder() {
        let mut kademlia = with(20);
        kademlia.provide(0, KEY, node(0), 0);
        assert_eq!(kademlia.lookup(1, KEY, 60 * MINUTE - 1).unwrap(), [node(0)]);
        assert_eq!(kademlia.lookup(1, KEY, 60 * MINUTE).unwrap(), []);
        kademlia.provide(0, KEY, node(0), 0);
        (1..20).for_each(|n| kademlia.leave(n));
        (20..60).for_each(|n| kademlia.join(n, node(n), 0));
        kademlia.leave(0);
        kademlia.join(0, node(0), 0);
        assert_eq!(kademlia.lookup(0, KEY, 0).unwrap(), []);
    }

    #[test]
    fn sides_of_a_partition_do_not_reach_each_other() {
        let mut kademlia = with(10);
        (5..10).for_each(|n| kademlia.join(n, node(n), 1));
        kademlia.provide(0, KEY, node(0), 0);
        assert_eq!(kademlia.lookup(9, KEY, 0).unwrap(), []);
        (0..10).for_each(|n| kademlia.join(n, node(n), 0));
        assert_eq!(kademlia.lookup(9, KEY, 0).unwrap(), [node(0)]);
    }
}
