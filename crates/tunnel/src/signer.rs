use std::fmt;
use std::sync::Arc;

use althing_record::{AgentKey, SIGNATURE_LEN};
use althing_trust::{Lineage, Signature, Signed, Statement, Unsigned};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, HeaderValue};

use crate::signing::{Queue, Signing};

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
    queue: Queue,
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
        Self { pair, public: key.public(), lineage: None, queue: Queue::default() }
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

    /// Signs a statement, with others that are about to be signed unless it `is_alone`.
    pub(crate) fn sign<S: Statement>(self: &Arc<Self>, statement: S, is_alone: bool) -> Signing<S> {
        Signing::new(Arc::clone(self), statement, is_alone)
    }

    /// Signs many statements, as few signatures as that takes. What cannot be signed is left out.
    pub(crate) fn sign_all<S: Statement>(&self, statements: Vec<S>) -> Vec<Option<Signed<S>>> {
        let unsigned = statements.into_iter().map(|statement| Unsigned::new(statement, self.public).ok());
        let unsigned: Vec<_> = unsigned.collect();
        let messages: Vec<_> = unsigned.iter().flatten().map(Unsigned::message).collect();
        let mut signatures = Signature::of_all(&messages, |message| self.sign_message(message)).into_iter();
        let with_next = |unsigned: Option<Unsigned<S>>| unsigned?.signed(&signatures.next()?).ok();
        unsigned.into_iter().map(with_next).collect()
    }

    pub(crate) fn sign_message(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature = self.pair.sign(message);
        let mut bytes = [0; SIGNATURE_LEN];
        bytes.copy_from_slice(signature.as_ref());
        bytes
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.public
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }
}

#[cfg(test)]
mod tests {
    use althing_record::{Digest, Millis, Network, NodeKey};
    use althing_trust::{Accept, AcceptBody, Call, CallBody, TaskId};

    use super::*;

    fn body(key: &AgentKey, number: u8) -> CallBody {
        CallBody {
            network: Network::builtin().id(),
            caller: key.agent(),
            callee: AgentKey::from_seed(&[99; 32]).agent(),
            task: TaskId([number; 16]),
            caller_node: NodeKey::from_seed(&[1; 32]).node(),
            request_head_hash: Digest([number; 32]),
            made: Millis(1_795_132_800_000),
            key: None,
        }
    }

    #[tokio::test]
    async fn statements_are_signed_as_the_key_itself_signs_them() {
        for seed in 0..16 {
            let key = AgentKey::from_seed(&[seed; 32]);
            let body = body(&key, seed);
            let signed = Arc::new(Signer::of(&key)).sign(body.clone(), true).await.unwrap();
            assert_eq!(signed, Call::sign(body.clone(), &key).unwrap());
            assert_eq!(Call::verify(signed.bytes(), body.network).unwrap(), signed);
        }
    }

    #[test]
    fn of_many_each_is_signed_but_what_breaks_a_rule() {
        let (one, other) = (AgentKey::from_seed(&[1; 32]), AgentKey::from_seed(&[2; 32]));
        let to = Call::sign(body(&other, 0), &other).unwrap();
        // Nobody accepts its own call, and there is no place 0.
        let accepts: Vec<_> = (0..200).map(|index| AcceptBody::to(&to, index % 20, Millis(1))).collect();
        let accepts: Vec<_> =
            accepts.into_iter().map(|accept| AcceptBody { callee: one.agent(), ..accept }).collect();
        for (index, accept) in Signer::of(&one).sign_all(accepts).iter().enumerate() {
            let Some(accept) = accept else {
                assert_eq!(index % 20, 0);
                continue;
            };
            assert_eq!(accept.index, index as u64 % 20);
            assert_eq!(Accept::verify(accept.bytes(), to.network).unwrap(), *accept);
        }
    }
}
