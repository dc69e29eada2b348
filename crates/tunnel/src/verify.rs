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

/// As strict as [`althing_record::verify_signature`]: AWS-LC refuses an `s` that is not reduced and an R that is not
/// written as it should be, and here keys and R of small order are.
fn check(key: &[u8; 32], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<(), SignatureError> {
    admit_key(key)?;
    let (r, _) = signature.split_first_chunk::<32>().expect("a signature is longer");
    admit_key(r).map_err(|_| SignatureError::Mismatch)?;
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).map_err(|_| SignatureError::Mismatch)
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
        for small in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ] {
            signature[..32].copy_from_slice(&hex(small));
            assert_eq!(agree(&key, b"anything", &signature), Err(SignatureError::Mismatch));
        }
    }

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }
}
