//! The tree hash of RFC 9162, section 2.1, over SHA-256.

use sha2::{Digest as _, Sha256};

use crate::Digest;

/// The hash of one leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into())
}

fn node_hash(left: Digest, right: Digest) -> Digest {
    Digest(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root over leaves, in order. No leaves: the hash of the empty string.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> Digest {
    let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    root_of(&hashes)
}

fn root_of(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => Digest(Sha256::digest([]).into()),
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len()));
            node_hash(root_of(left), root_of(right))
        }
    }
}

/// The audit path of leaf `index`, from the leaf up (RFC 9162, section 2.1.3.1). None if there is no such leaf.
#[must_use]
pub fn path<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    let mut path = Vec::new();
    path_of(&hashes, index, &mut path);
    Some(path)
}

fn path_of(hashes: &[Digest], index: usize, path: &mut Vec<Digest>) {
    if hashes.len() <= 1 {
        return;
    }
    let at = split(hashes.len());
    let (left, right) = hashes.split_at(at);
    if index < at {
        path_of(left, index, path);
        path.push(root_of(right));
    } else {
        path_of(right, index - at, path);
        path.push(root_of(left));
    }
}

/// A tree whose inner nodes are kept, for many paths over the same leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The hashes of the leaves, and above them of the nodes, up to the root alone.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over leaves, in order.
    #[must_use]
    pub fn of<L: AsRef<[u8]>>(leaves: &[L]) -> Self {
        Self::new(leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect())
    }

    /// The tree over leaves of these hashes, in order.
    #[must_use]
    pub fn new(hashes: Vec<Digest>) -> Self {
        let mut levels = vec![hashes];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            // The last of an odd number stands for itself one level up: so the left subtree is the largest power of two.
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(*left, *right),
                alone => alone[0],
            });
            levels.push(above.collect());
        }
        Self { levels }
    }

    /// The root, as [`root`] gives it.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_else(|| root_of(&[]))
    }

    /// The audit path of leaf `index`, as [`path`] gives it.
    #[must_use]
    pub fn path(&self, mut index: usize) -> Option<Vec<Digest>> {
        self.levels[0].get(index)?;
        let mut path = Vec::new();
        for level in &self.levels {
            path.extend(level.get(index ^ 1));
            index >>= 1;
        }
        Some(path)
    }
}

/// Whether `path` leads from `leaf` at `index` of `count` leaves to `root` (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn verify(leaf: &[u8], index: u64, count: u64, path: &[Digest], root: Digest) -> bool {
    root_above(leaf, index, count, path) == Some(root)
}

/// The root that `path` leads to from `leaf` at `index` of `count` leaves. None if there is no such place, or the path is
/// longer or shorter than that of this place.
#[must_use]
pub fn root_above(leaf: &[u8], index: u64, count: u64, path: &[Digest]) -> Option<Digest> {
    if index >= count {
        return None;
    }
    let (mut position, mut last, mut hash) = (index, count - 1, leaf_hash(leaf));
    for step in path {
        if last == 0 {
            return None;
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(*step, hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(hash, *step);
        }
        position >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The largest power of two below `len`, which is at least 2.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    // Known answers of Certificate Transparency's reference tests: eight leaves, and the empty tree.
    #[test]
    fn roots_match_certificate_transparency() {
        let leaves: Vec<Vec<u8>> = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .iter()
        .map(|leaf| hex::decode(leaf).unwrap())
        .collect();
        assert_eq!(
            root(&leaves).to_string(),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
        assert_eq!(
            root::<Vec<u8>>(&[]).to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_tree_gives_the_same_root_and_paths() {
        for count in 0..=40_u8 {
            let leaves: Vec<[u8; 1]> = (0..count).map(|leaf| [leaf]).collect();
            let tree = Tree::of(&leaves);
            assert_eq!(tree.root(), root(&leaves), "{count}");
            for index in 0..=count {
                assert_eq!(tree.path(index.into()), path(&leaves, index.into()), "{index} of {count}");
            }
        }
    }

    #[test]
    fn every_path_verifies_and_no_other_does() {
        for count in 1..=17_u8 {
            let leaves: Vec<[u8; 1]> = (0..count).map(|leaf| [leaf]).collect();
            let root = root(&leaves);
            let tree = Tree::new(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
            assert_eq!((tree.root(), tree.path(count.into())), (root, None));
            for index in 0..count {
                let path = path(&leaves, index.into()).unwrap();
                assert_eq!(tree.path(index.into()), Some(path.clone()));
                let check = |leaf: u8, index: u8, path: &[Digest]| {
                    verify(&[leaf], index.into(), count.into(), path, root)
                };
                assert!(check(index, index, &path));
                assert!(!check(index + 1, index, &path));
                assert!(!check(index, (index + 1) % count, &path) || count == 1);
                assert!(!verify(&[index], index.into(), 0, &path, root));
                assert!(!check(index, index, &[&path[..], &[root]].concat()));
                if let Some((_, shorter)) = path.split_first() {
                    assert!(!check(index, index, shorter));
                }
            }
        }
        assert_eq!(path(&[[0_u8]], 1), None);
        assert_eq!(Tree::new(Vec::new()).root(), root::<Vec<u8>>(&[]));
    }
}
