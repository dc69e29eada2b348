use sha2::{Digest as _, Sha256};

use crate::cbor::{self, Writer};
use crate::header::Algorithm;
use crate::record::{Leaves, sig_structure};
use crate::{
    AgentId, AgentKey, Digest, GroupId, Header, Kind, Millis, Network, Placement, Record, RecordId,
    VerifyError, merkle,
};

/// What a record carries, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A body in the payload: deterministic CBOR.
    Body(Vec<u8>),
    /// A body that travels beside the envelope.
    Detached(Vec<u8>),
    /// Leaves that travel beside the envelope, under a signed root; 1 to 1,024.
    Leaves(Vec<Vec<u8>>),
}

/// A record that is about to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who says it.
    pub agent: AgentId,
    /// The rotation or inception that authorises the signing key, when it is not the inception key.
    pub key_event: Option<RecordId>,
    /// In which group, if in one.
    pub group: Option<GroupId>,
    /// What it is about.
    pub kind: Kind,
    /// Where it belongs.
    pub placement: Placement,
    /// When it is made.
    pub made: Millis,
    /// When it stops counting.
    pub expires: Option<Millis>,
    /// What it says.
    pub content: Content,
}

impl Draft {
    /// Signs the record. The result went through [`Record::verify`] like any other.
    ///
    /// # Errors
    /// When the record would not be valid; it is then not signed by anyone.
    pub fn sign(self, key: &AgentKey, network: &Network) -> Result<Record, VerifyError> {
        let (payload, companion, body_hash) = match self.content {
            Content::Body(body) => (body, Vec::new(), None),
            Content::Detached(body) => {
                let mut beside = Writer::default();
                beside.bytes(&body);
                (Vec::new(), beside.into_bytes(), Some(Digest(Sha256::digest(&body).into())))
            }
            Content::Leaves(leaves) => {
                let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
                let payload = cbor::to_vec(&Leaves { root: merkle::root(&leaves), count });
                let mut beside = Writer::default();
                beside.array(leaves.len());
                leaves.iter().for_each(|leaf| beside.bytes(leaf));
                (payload, beside.into_bytes(), None)
            }
        };
        let public = key.public();
        let header = Header {
            algorithm: Algorithm,
            agent: self.agent,
            key: (public != self.agent.0).then_some(public),
            key_event: self.key_event,
            network: network.id(),
            group: self.group,
            kind: self.kind.code(),
            placement: self.placement,
            made: self.made,
            expires: self.expires,
            body_hash,
        };
        let protected = cbor::to_vec(&header);
        let signature = key.sign(&sig_structure(&protected, &payload));
        Record::verify(&carry(&protected, &payload, &signature, &companion), network)
    }
}

/// The carried form of a record from its parts.
pub(crate) fn carry(protected: &[u8], payload: &[u8], signature: &[u8], companion: &[u8]) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(4);
    to.bytes(protected);
    to.map(0);
    to.bytes(payload);
    to.bytes(signature);
    to.raw(companion);
    to.into_bytes()
}
