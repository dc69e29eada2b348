use std::collections::BTreeMap;

use curve25519_dalek::edwards::{EdwardsBasepointTable, EdwardsPoint};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::BasepointTable as _;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::Sealed;

/// Most tables that are held at once, 30 KiB each. Honest trustees have a key each.
const TABLES_MAX: usize = 64;

/// From how many agreements on a table is cheaper than going without: it costs about as much as twenty.
const USES_MIN: usize = 32;

/// A public key on the curve: agreeing with several secrets is faster than one by one, and gives the same bytes.
pub(super) struct Point {
    public: [u8; 32],
    /// None for a key on the curve's twist.
    point: Option<EdwardsPoint>,
}

/// A public key with multiples of it, for many secrets.
struct Table {
    public: [u8; 32],
    multiples: Option<Box<EdwardsBasepointTable>>,
}

/// The keys that many ballots of one vote are sealed with.
#[derive(Default)]
pub(crate) struct Points(BTreeMap<[u8; 32], Table>);

impl Point {
    pub(super) fn new(public: [u8; 32]) -> Self {
        // Either of the two points with this coordinate will do: their multiples have the same one too.
        Self { public, point: MontgomeryPoint(public).to_edwards(0) }
    }

    /// What X25519 gives (RFC 7748).
    pub(super) fn agree(&self, secret: &StaticSecret) -> Zeroizing<[u8; 32]> {
        match &self.point {
            Some(point) => shared(point.mul_clamped(*Zeroizing::new(secret.to_bytes()))),
            None => agree(secret, &self.public),
        }
    }
}

impl Table {
    fn new(public: [u8; 32]) -> Self {
        let Point { public, point } = Point::new(public);
        Self { public, multiples: point.map(|point| Box::new(EdwardsBasepointTable::create(&point))) }
    }

    fn agree(&self, secret: &StaticSecret) -> Zeroizing<[u8; 32]> {
        match &self.multiples {
            Some(multiples) => shared(multiples.mul_base_clamped(*Zeroizing::new(secret.to_bytes()))),
            None => agree(secret, &self.public),
        }
    }
}

fn shared(point: EdwardsPoint) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(point.to_montgomery().to_bytes())
}

impl Points {
    /// Tables for the keys that are named most in these ballots.
    pub(crate) fn of<'s>(ballots: impl IntoIterator<Item = &'s Sealed>) -> Self {
        let mut uses: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        for share in ballots.into_iter().flat_map(Sealed::shares) {
            *uses.entry(share.key).or_default() += 1;
        }
        let mut often: Vec<_> = uses.into_iter().filter(|(_, uses)| *uses >= USES_MIN).collect();
        often.sort_unstable_by_key(|(key, uses)| (std::cmp::Reverse(*uses), *key));
        often.truncate(TABLES_MAX);
        Self(often.into_iter().map(|(key, _)| (key, Table::new(key))).collect())
    }

    /// What X25519 gives for a secret and a public key.
    pub(super) fn agree(&self, secret: &StaticSecret, public: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        self.0.get(public).map_or_else(|| agree(secret, public), |table| table.agree(secret))
    }
}

/// The same for a key that is used once.
pub(super) fn agree(secret: &StaticSecret, public: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(secret.diffie_hellman(&PublicKey::from(*public)).to_bytes())
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    use super::*;

    fn assert_same(public: [u8; 32], secret: [u8; 32]) {
        let (secret, point, table) = (StaticSecret::from(secret), Point::new(public), Table::new(public));
        let expected = agree(&secret, &public);
        assert_eq!((point.agree(&secret), table.agree(&secret)), (expected.clone(), expected), "{public:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        /// Half of all numbers are coordinates of points, the others of the twist's.
        #[test]
        fn any_number_gives_what_x25519_gives(public in any::<[u8; 32]>(), secret in any::<[u8; 32]>()) {
            assert_same(public, secret);
        }

        #[test]
        fn a_point_with_a_part_of_small_order_does_too(seed in any::<[u8; 32]>(), secret in any::<[u8; 32]>()) {
            for small in EIGHT_TORSION {
                let point = EdwardsPoint::mul_base_clamped(seed) + small;
                assert_same(point.to_montgomery().to_bytes(), secret);
            }
        }
    }

    #[test]
    fn points_of_small_order_and_numbers_beyond_the_field_do_too() {
        let mut publics: Vec<[u8; 32]> =
            EIGHT_TORSION.iter().map(|point| point.to_montgomery().to_bytes()).collect();
        for last in [0xec, 0xed, 0xee, 0xef, 0xff] {
            let mut public = [0xff; 32];
            (public[0], public[31]) = (last, 0x7f);
            publics.push(public);
            public[31] = 0xff;
            publics.push(public);
        }
        for public in publics {
            for secret in [[0; 32], [1; 32], [0xff; 32]] {
                assert_same(public, secret);
            }
        }
    }

    #[test]
    fn keys_that_few_ballots_name_and_keys_beyond_the_bound_have_no_table() {
        let ballot = |n: u16| {
            let mut bytes = vec![0; 32 + 2 + 80 + 120];
            bytes[33] = 1;
            bytes[34..36].copy_from_slice(&n.to_be_bytes());
            Sealed::from_bytes(&bytes).unwrap()
        };
        let few: Vec<_> = (0..8).flat_map(|n| vec![ballot(n); USES_MIN - 1]).collect();
        assert_eq!(Points::of(&few).0.len(), 0);
        let many: Vec<_> = (0..80).flat_map(|n| vec![ballot(n); USES_MIN]).collect();
        assert_eq!(Points::of(&many).0.len(), TABLES_MAX);
    }
}
