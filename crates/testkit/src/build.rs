use althing_record::{
    AgentId, AgentKey, Content, Draft, Genesis, Incarnation, Inception, Kind, Millis, Network, NodeKey,
    Placement, PlacementRule, Record, RecordId, Rotation, cbor, recovery_key_hash,
};

/// When the builders' records are made: one hour after the test network began.
pub const MADE: Millis = Millis(1_795_136_400_000);

/// The network of tests: default bounds, no anchors, no committee.
#[must_use]
pub fn network() -> Network {
    named_network("test")
}

pub(crate) fn named_network(name: &str) -> Network {
    let name = name.try_into().expect("a short name");
    Network::new(Genesis::plain(name, MADE.minus(60 * Millis::MINUTE))).expect("default bounds")
}

/// The `n`th agent's inception key.
#[must_use]
pub fn agent(n: u8) -> AgentKey {
    AgentKey::from_seed(&[n; 32])
}

/// The `n`th node's key. No node shares a key with an agent.
#[must_use]
pub fn node(n: u8) -> NodeKey {
    let mut seed = [n; 32];
    seed[0] = !n;
    NodeKey::from_seed(&seed)
}

/// A small body of version 1, different for each `n`.
#[must_use]
pub fn body(n: u64) -> Vec<u8> {
    let mut to = cbor::Writer::default();
    to.map(2);
    to.entry(0, &1_u64);
    to.entry(1, &n);
    to.into_bytes()
}

/// Signs a draft of the test network.
///
/// # Panics
/// When the record would not be valid.
#[must_use]
pub fn sign(draft: Draft, key: &AgentKey) -> Record {
    draft.sign(key, &network()).expect("a valid draft")
}

/// A slot record: revision and `made` are [`MADE`], the lifetime the longest of its kind.
///
/// # Panics
/// When the kind has no slot, or the name is too long.
#[must_use]
pub fn slot(key: &AgentKey, kind: Kind, name: &str, body: Vec<u8>) -> Draft {
    let PlacementRule::Slot { lifetime_ms_max } = kind.placement() else {
        panic!("{} has no slot", kind.name())
    };
    Draft {
        expires: Some(MADE.plus(lifetime_ms_max)),
        ..plain(
            key,
            kind,
            Placement::Slot { name: name.try_into().expect("a slot's name"), revision: MADE.0 },
            Content::Body(body),
        )
    }
}

/// A chain record after `prev`, or the first of its chain.
///
/// # Panics
/// When the kind has no chain, or `prev` stands in none.
#[must_use]
pub fn chain(key: &AgentKey, kind: Kind, prev: Option<&Record>, body: Vec<u8>) -> Draft {
    plain(key, kind, link(kind, prev), Content::Body(body))
}

/// A chain record with leaves beside it, after `prev` or the first of its chain.
///
/// # Panics
/// When `prev` stands in no chain.
#[must_use]
pub fn leaves(key: &AgentKey, prev: Option<&Record>, leaves: Vec<Vec<u8>>) -> Draft {
    plain(key, Kind::BallotBatch, link(Kind::BallotBatch, prev), Content::Leaves(leaves))
}

/// A message to another agent, its body beside it.
#[must_use]
pub fn detached(key: &AgentKey, to: AgentId, body: Vec<u8>) -> Draft {
    plain(key, Kind::Message, Placement::Pair { to }, Content::Detached(body))
}

/// The first record of an agent's identity chain.
#[must_use]
pub fn identity(key: &AgentKey, recovery: &AgentKey) -> Draft {
    let body = Inception { recovery_key_hash: recovery_key_hash(&recovery.public()) };
    chain(key, Kind::Inception, None, cbor::to_vec(&body))
}

/// A rotation of the agent that `prev` belongs to, to the key `new`. Sign it with the key before or the recovery key,
/// and name the event that authorises that key unless it is the inception key.
#[must_use]
pub fn rotation(prev: &Record, key_event: Option<RecordId>, new: &AgentKey) -> Draft {
    let body = Rotation { new_key: new.public(), new_recovery_key_hash: None };
    let draft = chain(new, Kind::Rotation, Some(prev), cbor::to_vec(&body));
    Draft { agent: prev.agent(), key_event, ..draft }
}

fn plain(key: &AgentKey, kind: Kind, placement: Placement, content: Content) -> Draft {
    Draft {
        agent: key.agent(),
        key_event: None,
        group: None,
        kind,
        placement,
        made: MADE,
        expires: None,
        content,
    }
}

fn link(kind: Kind, prev: Option<&Record>) -> Placement {
    let PlacementRule::Chain { stream, per_incarnation } = kind.placement() else {
        panic!("{} has no chain", kind.name())
    };
    let seq = prev.map_or(0, |prev| match prev.header().placement {
        Placement::Chain { seq, .. } => seq + 1,
        Placement::Slot { .. } | Placement::Pair { .. } | Placement::Round { .. } => {
            panic!("{prev:?} stands in no chain")
        }
    });
    Placement::Chain {
        stream: stream.try_into().expect("a stream's name"),
        incarnation: per_incarnation.then_some(Incarnation([1; 8])),
        seq,
        prev: prev.map(Record::id),
    }
}
