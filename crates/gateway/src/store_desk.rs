use althing_engine::{RecordPage, Refusal};
use althing_record::{AgentId, Kind, Record, VerifyError};

use crate::api::{CallProof, Checkpoint, Compaction, RateRequest, Rated};

/// What the gateway needs of the node's store beside the engine: work that takes time and decides nothing.
///
/// Every method is called on the blocking pool, a bounded number at a time.
pub trait StoreDesk: Send + Sync {
    /// A page of the live records; see [`althing_engine::live_records`].
    ///
    /// # Errors
    /// When the store cannot be read.
    fn records(&self, kind: Option<Kind>, from: &[u8]) -> Result<RecordPage, Refusal>;

    /// The newest calls of this node's agents that both sides signed, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn receipts(&self, limit: usize) -> Result<Vec<CallProof>, Refusal>;

    /// The newest calls of the node's own agent to another one that have a receipt, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn calls_to(&self, callee: AgentId, limit: usize) -> Result<Vec<CallProof>, Refusal>;

    /// Changes how good the answer to a call was, in the receipt of the node's own agent.
    ///
    /// # Errors
    /// When there is no such call of its own, its rating epoch is published, or the store fails.
    fn rate(&self, task: &str, wish: &RateRequest) -> Result<Rated, Refusal>;

    /// Verifies a record of this network.
    ///
    /// # Errors
    /// When it is none.
    fn verify(&self, bytes: &[u8]) -> Result<Record, VerifyError>;

    /// Holds the files of the database as they are now, for [`StoreDesk::read_checkpoint`].
    ///
    /// # Errors
    /// When somebody is reading another checkpoint, or there is too little space.
    fn checkpoint(&self) -> Result<Checkpoint, Refusal>;

    /// Bytes of a file of the held checkpoint from an offset on, at most `bytes_max`; empty at its end.
    ///
    /// # Errors
    /// When there is no checkpoint, or no such file in it.
    fn read_checkpoint(&self, file: &str, offset: u64, bytes_max: usize) -> Result<Vec<u8>, Refusal>;

    /// Lets the held checkpoint go, if there is one.
    ///
    /// # Errors
    /// Never yet.
    fn release_checkpoint(&self) -> Result<(), Refusal>;

    /// Begins to compact the store, unless that is under way. Returns at once.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn compact(&self) -> Result<Compaction, Refusal>;

    /// How the last compaction is going.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn compaction(&self) -> Result<Compaction, Refusal>;
}
