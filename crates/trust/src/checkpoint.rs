use althing_record::{Digest, cbor_map};

cbor_map! {
    /// The body of a checkpoint: which attestations count up to a rating epoch, and the scores that follow from them.
    /// It counts if a Closed decision of the network's committee says so.
    pub struct CheckpointBody: version 1 {
        /// The last rating epoch whose attestations are in it.
        1 => pub epoch: u64,
        /// The hash of the checkpoint before it, if there is one.
        2 => pub prev: Option<Digest>,
        /// The root over the heads of all raters' chains.
        3 => pub heads_root: Digest,
        /// [`crate::Scores::root`] of the network-wide scores at the epoch.
        4 => pub score_root: Digest,
        /// [`crate::Params::hash`] of what they were computed with.
        5 => pub params_hash: Digest,
    }
}
