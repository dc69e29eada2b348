use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::{AgentId, NodeId};

/// Length of an Ed25519 signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Why a public key or a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key is not a point on the curve.
    #[error("public key is not a point on the curve")]
    NotAKey,
    /// The key has small order: anyone could sign for it.
    #[error("public key is weak (small order)")]
    WeakKey,
    /// The signature does not fit the key and the message.
    #[error("signature does not match")]
    Mismatch,
}

/// Checks one signature strictly (RFC 8032 with canonical `s` and no small-order points), never in a batch.
///
/// # Errors
/// When the key is not a key or weak, or the signature does not match.
pub fn verify_signature(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), SignatureError> {
    let key = admit_key(key)?;
    key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| SignatureError::Mismatch)
}

/// Checks that a public key may be used at all.
///
/// # Errors
/// When it is not a point on the curve, or weak.
pub fn admit_key(key: &[u8; 32]) -> Result<VerifyingKey, SignatureError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| SignatureError::NotAKey)?;
    if key.is_weak() { Err(SignatureError::WeakKey) } else { Ok(key) }
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SigningKey);

        impl $name {
            /// The key that a 32-byte seed stands for (RFC 8032, section 5.1.5).
            #[must_use]
            pub fn from_seed(seed: &[u8; 32]) -> Self {
                Self(SigningKey::from_bytes(seed))
            }

            /// The seed, for the keystore. Wiped when dropped.
            #[must_use]
            pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
                zeroize::Zeroizing::new(self.0.to_bytes())
            }

            /// The public key.
            #[must_use]
            pub fn public(&self) -> [u8; 32] {
                self.0.verifying_key().to_bytes()
            }

            /// Signs a message; the same message always gives the same signature.
            #[must_use]
            pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
                self.0.sign(message).to_bytes()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(secret)", stringify!($name))
            }
        }
    };
}

secret!(
    /// The signing key of an agent. Never the same key as a node's.
    AgentKey
);
secret!(
    /// The network key of a node: its libp2p identity, and what it signs leases with.
    NodeKey
);

impl AgentKey {
    /// The agent that this key founded. After a rotation the agent keeps the id of its first key.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        AgentId(self.public())
    }
}

impl NodeKey {
    /// The node's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId(self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_refused_even_with_a_signature_that_fits() {
        // The identity point: with R = identity and s = 0 the equation of RFC 8032 holds for every message.
        let mut weak = [0; 32];
        weak[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert_eq!(verify_signature(&weak, b"anything", &signature), Err(SignatureError::WeakKey));
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let key = AgentKey::from_seed(&[9; 32]);
        assert_eq!(format!("{key:?}"), "AgentKey(secret)");
    }

    // RFC 8032, section 7.1, test 2.
    #[test]
    fn signature_matches_the_rfc() {
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = AgentKey::from_seed(&seed.try_into().unwrap());
        let signature = key.sign(&[0x72]);
        assert!(hex::encode(signature).starts_with("92a009a9f0d4cab8720e820b5f642540"));
        assert_eq!(verify_signature(&key.public(), &[0x72], &signature), Ok(()));
        assert_eq!(verify_signature(&key.public(), &[0x73], &signature), Err(SignatureError::Mismatch));
    }
}
