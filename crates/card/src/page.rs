use std::fmt;

use althing_record::NodeId;
use sha2::{Digest, Sha256};

/// A page of a term's directory: the providers whose SHA-256(PeerId) begins with certain bits, the PeerId taken as the
/// bytes of its multihash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page {
    /// How many leading bits count, at most [`Page::BITS_MAX`].
    bits: u8,
    /// Those bits, the rest zero.
    prefix: u32,
}

impl Page {
    /// The page that every provider of a term belongs to.
    pub const ROOT: Self = Self { bits: 0, prefix: 0 };

    /// Most bits of a page.
    pub const BITS_MAX: u8 = 16;

    /// The page of a node that has `bits` bits, at most [`Page::BITS_MAX`].
    #[must_use]
    pub fn of(node: &NodeId, bits: u8) -> Self {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(node.to_peer_id_bytes()).into();
        Self { bits: Self::BITS_MAX, prefix: u32::from_be_bytes([a, b, c, d]) }.above(bits)
    }

    /// How many bits it has.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// The page with the first `bits` bits of this one; this one itself if it has no more.
    #[must_use]
    pub fn above(self, bits: u8) -> Self {
        let bits = bits.min(self.bits);
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        Self { bits, prefix: self.prefix & mask }
    }

    /// The page that this one is a half of; none of the root.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        self.bits.checked_sub(1).map(|bits| self.above(bits))
    }

    /// Its two halves; none at the deepest level.
    #[must_use]
    pub fn children(self) -> Option<[Self; 2]> {
        let bits = self.bits + 1;
        (bits <= Self::BITS_MAX).then(|| {
            [0, 1].map(|bit: u32| Self { bits, prefix: self.prefix | bit << (32 - u32::from(bits)) })
        })
    }

    /// The form in keys: the bit count in one byte, the prefix in four.
    pub(crate) fn bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.prefix.to_be_bytes();
        [self.bits, a, b, c, d]
    }
}

/// Its bits, such as `011`; nothing for the root.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.bits).try_for_each(|at| write!(f, "{}", self.prefix >> (31 - u32::from(at)) & 1))
    }
}

#[cfg(test)]
mod tests {
    use althing_record::NodeKey;

    use super::*;

    #[test]
    fn a_node_has_one_page_at_each_level_and_each_is_a_half_of_the_one_above() {
        for seed in 0..50 {
            let node = NodeKey::from_seed(&[seed; 32]).node();
            assert_eq!(Page::of(&node, 0), Page::ROOT);
            for bits in 1..=Page::BITS_MAX {
                let (page, above) = (Page::of(&node, bits), Page::of(&node, bits - 1));
                assert_eq!(page.bits(), bits);
                assert_eq!(page.parent(), Some(above));
                assert!(above.children().is_some_and(|halves| halves.contains(&page)));
                assert_eq!(page.above(0), Page::ROOT);
            }
            assert_eq!(Page::of(&node, Page::BITS_MAX + 1), Page::of(&node, Page::BITS_MAX));
            assert_eq!(Page::of(&node, Page::BITS_MAX).children(), None);
        }
    }

    #[test]
    fn the_bits_are_those_of_the_digest_of_the_peer_id() {
        let node = NodeKey::from_seed(&[0; 32]).node();
        let digest: [u8; 32] = Sha256::digest(node.to_peer_id_bytes()).into();
        let bits = format!("{:08b}{:08b}", digest[0], digest[1]);
        assert_eq!(Page::of(&node, 16).to_string(), bits);
        assert_eq!(Page::of(&node, 5).to_string(), bits[..5]);
        assert_eq!(Page::ROOT.to_string(), "");
        assert_eq!(Page::of(&node, 16).bytes(), [16, digest[0], digest[1], 0, 0]);
    }
}
