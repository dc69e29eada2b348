use althing_record::cbor::{DecodeError, Encode, List, Text, Writer};
use althing_record::{
    AgentId, Kind, Millis, NetworkId, NodeId, NodeKey, Placement, Record, SIGNATURE_LEN, SignatureError,
    cbor_map, verify_signature,
};

/// How long a lease counts, in milliseconds: 15 minutes.
pub const LEASE_LIFETIME_MS: u64 = 15 * Millis::MINUTE;

/// How often a lease is renewed, in milliseconds: every 5 minutes.
pub const LEASE_RENEWAL_MS: u64 = 5 * Millis::MINUTE;

cbor_map! {
    /// The body of a lease record. All entries absent: the node no longer serves the agent.
    pub struct LeaseBody: version 1 {
        /// The serving node.
        1 => pub node: Option<NodeId>,
        /// Where it listens, as multiaddrs.
        2 => pub addresses: Option<List<Text<256>, 16>>,
        /// The node's signature: it does serve this agent until then.
        3 => pub node_signature: Option<[u8; SIGNATURE_LEN]>,
    }
}

/// "This agent is served at this node now", said by both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The served agent.
    pub agent: AgentId,
    /// The serving node.
    pub node: NodeId,
    /// Where it listens, as multiaddrs.
    pub addresses: Vec<String>,
    /// When the lease ends.
    pub expires: Millis,
}

/// Why something is not a lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The record is of another kind.
    #[error("expected a lease, found {0}")]
    Kind(&'static str),
    /// The body does not decode.
    #[error("lease body is malformed: {0}")]
    Body(#[from] DecodeError),
    /// Some entries are there and others are not.
    #[error("lease is incomplete")]
    Incomplete,
    /// The slot is not named after the node.
    #[error("lease of node {node} stands in slot \"{slot}\"")]
    Slot {
        /// The node.
        node: NodeId,
        /// The slot's name.
        slot: String,
    },
    /// The node did not sign it.
    #[error("lease is not signed by its node: {0}")]
    Node(#[from] SignatureError),
}

impl LeaseError {
    /// Whether a newer node might accept the record.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Body(error) if error.is_newer())
    }
}

impl Lease {
    /// Reads and checks a lease record; `None` if it ends the lease.
    ///
    /// # Errors
    /// When it is not a lease, or the node did not sign it.
    pub fn from_record(record: &Record) -> Result<Option<Self>, LeaseError> {
        if record.kind() != Kind::Lease {
            return Err(LeaseError::Kind(record.kind().name()));
        }
        let (Placement::Slot { name, .. }, Some(expires)) = (&record.header().placement, record.expires())
        else {
            return Err(LeaseError::Incomplete);
        };
        let body: LeaseBody = record.body()?;
        let (node, addresses, signature) = match (body.node, body.addresses, body.node_signature) {
            (None, None, None) => return Ok(None),
            (Some(node), Some(addresses), Some(signature)) => (node, addresses, signature),
            _ => return Err(LeaseError::Incomplete),
        };
        if **name != node.to_string() {
            return Err(LeaseError::Slot { node, slot: name.to_string() });
        }
        let agent = record.agent();
        verify_signature(&node.0, &claim(record.header().network, agent, node, expires), &signature)?;
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Ok(Some(Self { agent, node, addresses, expires }))
    }

    /// The body of a record that carries this lease. Addresses that are too long or too many are left out.
    #[must_use]
    pub fn body(&self, network: NetworkId, key: &NodeKey) -> LeaseBody {
        let addresses = self.addresses.iter().filter_map(|address| Text::try_from(address.as_str()).ok());
        LeaseBody {
            node: Some(self.node),
            addresses: List::try_from(addresses.take(16).collect::<Vec<_>>()).ok(),
            node_signature: Some(key.sign(&claim(network, self.agent, self.node, self.expires))),
        }
    }
}

/// What the node signs: deterministic CBOR of ["althing/lease/1", network, agent, node, expires].
fn claim(network: NetworkId, agent: AgentId, node: NodeId, expires: Millis) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(5);
    to.text("althing/lease/1");
    network.encode(&mut to);
    agent.encode(&mut to);
    node.encode(&mut to);
    expires.encode(&mut to);
    to.into_bytes()
}
