use std::fmt;

use althing_record::{AgentKey, SIGNATURE_LEN};
use althing_trust::{Lineage, Signed, Statement, StatementError};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, HeaderValue};

/// The header in which a caller shows the [`Lineage`] of the key that signed the call, in base64.
pub(crate) const LINEAGE_HEADER: HeaderName = HeaderName::from_static("althing-lineage");

/// Reads the value of [`LINEAGE_HEADER`].
pub(crate) fn shown_in(value: &str) -> Option<Vec<u8>> {
    BASE64.decode(value).ok()
}

/// An agent's key, ready to sign many statements: AWS-LC's arithmetic, which the node's TLS brings along, takes less than
/// half of the time. The signatures are the same to the byte.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: [u8; 32],
    /// What is shown along with what it signs, if the key is not the agent's first: as bytes, and in a header.
    lineage: Option<(Vec<u8>, HeaderValue)>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(secret)")
    }
}

impl Signer {
    /// That of a key.
    #[must_use]
    pub fn of(key: &AgentKey) -> Self {
        let seed = key.seed();
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("a seed has 32 bytes");
        Self { pair, public: key.public(), lineage: None }
    }

    /// That of a key that is not the agent's first, with the agent's identity records as they travel. They are shown along
    /// with what it signs unless they are too many; then others have to know them.
    #[must_use]
    pub fn rotated<'a>(key: &AgentKey, identity: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let lineage = Lineage::encode(identity).and_then(|bytes| {
            let header = HeaderValue::from_str(&BASE64.encode(&bytes)).ok()?;
            Some((bytes, header))
        });
        Self { lineage, ..Self::of(key) }
    }

    /// The value of [`LINEAGE_HEADER`] for what it signs.
    pub(crate) fn shown(&self) -> Option<&HeaderValue> {
        self.lineage.as_ref().map(|(_, header)| header)
    }

    /// The [`Lineage`] of what it signs.
    pub(crate) fn lineage(&self) -> Option<&[u8]> {
        self.lineage.as_ref().map(|(bytes, _)| bytes.as_slice())
    }

    pub(crate) fn sign<S: Statement>(&self, statement: S) -> Result<Signed<S>, StatementError> {
        Signed::sign_with(statement, self.public, |message| {
            let signature = self.pair.sign(message);
            let mut bytes = [0; SIGNATURE_LEN];
            bytes.copy_from_slice(signature.as_ref());
            bytes
        })
    }
}

#[cfg(test)]
mod tests {
    use althing_record::{Digest, Millis, Network, NodeKey};
    use althing_trust::{Call, CallBody, TaskId};

    use super::*;

    #[test]
    fn statements_are_signed_as_the_key_itself_signs_them() {
        for seed in 0..16 {
            let key = AgentKey::from_seed(&[seed; 32]);
            let body = CallBody {
                network: Network::builtin().id(),
                caller: key.agent(),
                callee: AgentKey::from_seed(&[99; 32]).agent(),
                task: TaskId([seed; 16]),
                caller_node: NodeKey::from_seed(&[1; 32]).node(),
                request_head_hash: Digest([seed; 32]),
                made: Millis(1_795_132_800_000),
                key: None,
            };
            let signed = Signer::of(&key).sign(body.clone()).unwrap();
            assert_eq!(signed, Call::sign(body.clone(), &key).unwrap());
            assert_eq!(Call::verify(signed.bytes(), body.network).unwrap(), signed);
        }
    }
}
