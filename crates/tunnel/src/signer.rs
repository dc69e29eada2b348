use std::fmt;

use althing_record::{AgentKey, SIGNATURE_LEN};
use althing_trust::{Signed, Statement, StatementError};
use aws_lc_rs::signature::Ed25519KeyPair;

/// An agent's key, ready to sign many statements: AWS-LC's arithmetic, which the node's TLS brings along, takes less than
/// half of the time. The signatures are the same to the byte.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: [u8; 32],
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
        Self { pair, public: key.public() }
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
