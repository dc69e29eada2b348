use crate::CommitNo;

/// Most chain heads that a guard holds: one per hosted agent and stream.
pub const MAX_HEADS: usize = 3_072;

/// Most freshly signed records that a guard holds at once.
pub const MAX_PENDING: usize = 256;

/// How far one of this node's own chains has been signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain's key: agent, stream and incarnation as in [`crate::Table::Chain`], without the seq.
    pub chain: Vec<u8>,
    /// The highest seq ever signed there.
    pub seq: u64,
    /// The id of the record signed at that seq.
    pub id: [u8; 32],
}

/// What this data directory has signed, kept in two plain files outside the database and synced before anything signed
/// leaves the node.
///
/// `pending` holds the signed records of the commit that the guard precedes, whole: after a crash between the guard and
/// the database they are applied again instead of being signed a second time, differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The last commit that was durable before this guard was written. A database behind it has lost writes.
    pub acknowledged: CommitNo,
    /// The heads of this node's own chains, in key order; at most [`MAX_HEADS`].
    pub heads: Vec<Head>,
    /// The carried bytes of newly signed records; at most [`MAX_PENDING`].
    pub pending: Vec<Vec<u8>>,
}
