use std::collections::BTreeMap;

use althing_record::{AgentId, AgentKey, Kind, NetworkId, Record, RecordId, cbor_map};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::sealed::derive;
use crate::{BallotError, Sealing};

cbor_map! {
    /// The body of a trustee's key.
    pub struct TrusteeKeyBody: version 1 {
        /// For which proposal.
        1 => pub proposal: RecordId,
        /// The X25519 public key.
        2 => pub key: [u8; 32],
    }
}

cbor_map! {
    /// The body of an opening.
    pub struct OpeningBody: version 1 {
        /// Of which proposal.
        1 => pub proposal: RecordId,
        /// The X25519 secret.
        2 => pub secret: [u8; 32],
    }
}

/// The key under which voters seal their ballots for one trustee of one proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrusteeKey {
    /// For which proposal.
    pub proposal: RecordId,
    /// Whose.
    pub trustee: AgentId,
    /// The X25519 public key.
    pub key: [u8; 32],
}

/// The secret of a trustee's key, which belongs to one proposal.
#[derive(Clone)]
pub struct TrusteeSecret(Zeroizing<[u8; 32]>);

/// A trustee's secret, for all to see.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Of which proposal.
    pub proposal: RecordId,
    /// Whose.
    pub trustee: AgentId,
    /// The secret.
    pub secret: TrusteeSecret,
}

/// The secrets that trustees of one proposal published, by the trustee's place and the public key.
#[derive(Clone, Debug, Default)]
pub struct Openings(BTreeMap<(u8, [u8; 32]), TrusteeSecret>);

impl TrusteeKey {
    /// Reads a trustee's key.
    ///
    /// # Errors
    /// When the record is none, or the key is weak: what is sealed under it anyone could open.
    pub fn from_record(record: &Record) -> Result<Self, BallotError> {
        if record.kind() != Kind::TrusteeKey {
            return Err(BallotError::Kind { expected: "TrusteeKey", found: record.kind().name() });
        }
        let TrusteeKeyBody { proposal, key } = record.body()?;
        // With any secret a point of small order gives nothing but zeros.
        let probe = StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(key));
        if !probe.was_contributory() {
            return Err(BallotError::Closing("the trustee's key is weak (small order)"));
        }
        Ok(Self { proposal, trustee: record.agent(), key })
    }
}

impl TrusteeSecret {
    /// The secret of an agent for one proposal. It needs no memory: whoever has the agent's key has it.
    #[must_use]
    pub fn of(key: &AgentKey, network: NetworkId, proposal: RecordId) -> Self {
        Self(derive(&key.seed()[..], &[b"althing/sealed/1/trustee", &network.0, &proposal.0]))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.x25519()).to_bytes()
    }

    /// The body that tells the public key.
    #[must_use]
    pub fn key_body(&self, proposal: RecordId) -> TrusteeKeyBody {
        TrusteeKeyBody { proposal, key: self.public() }
    }

    /// The body that tells the secret.
    #[must_use]
    pub fn opening_body(&self, proposal: RecordId) -> OpeningBody {
        OpeningBody { proposal, secret: *self.0 }
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn x25519(&self) -> StaticSecret {
        StaticSecret::from(*self.0)
    }
}

impl std::fmt::Debug for TrusteeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrusteeSecret(secret)")
    }
}

impl Opening {
    /// Reads an opening. Whether it opens a key that its trustee published is another question.
    ///
    /// # Errors
    /// When the record is none.
    pub fn from_record(record: &Record) -> Result<Self, BallotError> {
        if record.kind() != Kind::Opening {
            return Err(BallotError::Kind { expected: "Opening", found: record.kind().name() });
        }
        let OpeningBody { proposal, secret } = record.body()?;
        let secret = TrusteeSecret(Zeroizing::new(secret));
        Ok(Self { proposal, trustee: record.agent(), secret })
    }
}

impl Openings {
    /// Adds a secret, if it is of a trustee.
    pub fn insert(&mut self, sealing: &Sealing, opening: &Opening) {
        if let Some(place) = sealing.place(opening.trustee) {
            self.0.insert((place, opening.secret.public()), opening.secret.clone());
        }
    }

    /// The secret of a trustee's key, if it was published.
    #[must_use]
    pub fn secret(&self, place: u8, key: &[u8; 32]) -> Option<&TrusteeSecret> {
        self.0.get(&(place, *key))
    }
}

#[cfg(test)]
mod tests {
    use althing_record::cbor;
    use althing_testkit::{agent, chain, network, sign};

    use super::*;

    #[test]
    fn a_secret_belongs_to_one_agent_one_network_and_one_proposal() {
        let of = |n, network, proposal| TrusteeSecret::of(&agent(n), NetworkId(network), RecordId(proposal));
        let secret = of(1, [1; 32], [2; 32]);
        assert_eq!(secret.public(), of(1, [1; 32], [2; 32]).public());
        for other in [of(2, [1; 32], [2; 32]), of(1, [2; 32], [2; 32]), of(1, [1; 32], [1; 32])] {
            assert_ne!(secret.public(), other.public());
        }
        assert_eq!(format!("{secret:?}"), "TrusteeSecret(secret)");
    }

    #[test]
    fn weak_keys_are_refused() {
        let key = |key: [u8; 32]| {
            let body = cbor::to_vec(&TrusteeKeyBody { proposal: RecordId([7; 32]), key });
            let record = sign(chain(&agent(1), Kind::TrusteeKey, None, body), &agent(1));
            TrusteeKey::from_record(&record)
        };
        let mut one = [0; 32];
        one[0] = 1;
        for weak in [[0; 32], one] {
            assert!(key(weak).unwrap_err().to_string().contains("weak"));
        }
        let secret = TrusteeSecret::of(&agent(1), network().id(), RecordId([7; 32]));
        assert_eq!(key(secret.public()).unwrap().key, secret.public());
    }
}
