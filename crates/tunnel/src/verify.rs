use althing_record::{NetworkId, SIGNATURE_LEN, SignatureError, admit_key};
use althing_trust::{Claim, Signed, Statement, StatementError};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use crate::roots::Roots;

/// Reads a statement of a call, with AWS-LC's arithmetic, which takes less time: one of these is on the way of each call.
/// `roots` are those of the peer that it comes from.
///
/// # Errors
/// As [`Signed::verify`].
pub(crate) fn verify<S: Statement>(
    bytes: &[u8],
    network: NetworkId,
    roots: &Roots,
) -> Result<Signed<S>, StatementError> {
    let check_new = |claim: &Claim<'_>| check(claim.key, claim.message, claim.signature);
    Signed::verify_with(bytes, network, |claim| roots.check(claim, check_new))
}

/// As strict as [`althing_record::verify_signature`]: AWS-LC refuses keys that are no points, an `s` that is not reduced and an R
/// that is not written as it should be, and here keys and R of small order are.
fn check(key: &[u8; 32], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<(), SignatureError> {
    if has_small_order(key) {
        return Err(SignatureError::WeakKey);
    }
    let (r, _) = signature.split_first_chunk::<32>().expect("a signature is longer");
    let verified = UnparsedPublicKey::new(&ED25519, key).verify(message, signature);
    match verified {
        Ok(()) if !has_small_order(r) => Ok(()),
        // Why is looked at only then: decoding a point takes as long as a tenth of a verification.
        Ok(()) | Err(_) => Err(admit_key(key).err().unwrap_or(SignatureError::Mismatch)),
    }
}

/// Whether 32 bytes are a point of small order, however it is written. There are eight of them, with five y; two of these can be
/// written unreduced, too, and a sign makes no difference.
fn has_small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// The y of the points of small order, little-endian: 0, 1, −1, those of the four points of order 8, and 0 and 1 unreduced.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    near_prime(0xec),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    near_prime(0xed),
    near_prime(0xee),
];

/// 2²⁵⁵ − 256 + `low`, of which 0xed makes the field's prime.
const fn near_prime(low: u8) -> [u8; 32] {
    let mut y = [0xff; 32];
    y[0] = low;
    y[31] = 0x7f;
    y
}

#[cfg(test)]
mod tests {
    use althing_record::{AgentKey, verify_signature};

    use super::*;

    /// The order of the group, little-endian.
    const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

    fn agree(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
        let checked = check(key, message, signature);
        assert_eq!(checked, verify_signature(key, message, signature));
        checked
    }

    #[test]
    fn both_ways_admit_and_refuse_the_same() {
        for seed in 0..32 {
            let key = AgentKey::from_seed(&[seed; 32]);
            let message = [seed; 200];
            let good = key.sign(&message);
            assert_eq!(agree(&key.public(), &message, &good), Ok(()));
            assert!(agree(&key.public(), &message[1..], &good).is_err());
            for at in 0..64 {
                let mut other = good;
                other[at] ^= 1 << (seed % 8);
                assert!(agree(&key.public(), &message, &other).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn a_second_form_of_a_signature_is_refused() {
        let key = AgentKey::from_seed(&[7; 32]);
        let mut other = key.sign(b"x");
        let (order, mut carry) = (hex(ORDER), 0_u16);
        for (at, byte) in order.iter().enumerate() {
            let sum = u16::from(other[32 + at]) + u16::from(*byte) + carry;
            other[32 + at] = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(agree(&key.public(), b"x", &other), Err(SignatureError::Mismatch));
    }

    #[test]
    fn keys_and_points_of_small_order_are_refused() {
        let (mut weak, mut signature) = ([0; 32], [0; 64]);
        weak[0] = 1;
        signature[0] = 1;
        // The equation of RFC 8032 holds.
        assert_eq!(agree(&weak, b"anything", &signature), Err(SignatureError::WeakKey));
        let key = AgentKey::from_seed(&[7; 32]).public();
        for small in althing_testkit::WEAK_KEYS {
            signature[..32].copy_from_slice(&hex(small));
            assert_eq!(agree(&key, b"anything", &signature), Err(SignatureError::Mismatch));
            assert_eq!(agree(&hex(small), b"anything", &signature), Err(SignatureError::WeakKey));
        }
        // Not a point at all.
        let mut none = [0; 32];
        none[0] = 2;
        assert_eq!(agree(&none, b"anything", &signature), Err(SignatureError::NotAKey));
    }

    #[test]
    fn only_points_of_small_order_are_told_as_such() {
        assert!(althing_testkit::WEAK_KEYS.iter().all(|weak| has_small_order(&hex(weak))));
        for seed in 0..=u8::MAX {
            assert!(!has_small_order(&AgentKey::from_seed(&[seed; 32]).public()));
        }
        for weak in althing_testkit::WEAK_KEYS {
            for bit in 0..255 {
                let mut near = hex(weak);
                near[bit / 8] ^= 1 << (bit % 8);
                let is_weak = matches!(admit_key(&near), Err(SignatureError::WeakKey));
                assert_eq!(has_small_order(&near), is_weak, "{weak} {bit}");
            }
        }
    }

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }
}
