//! What the core asks of a database, and nothing more: a [`Snapshot`] to read from and a [`Batch`] to write.
//!
//! The core never waits for a disk. It reads through a snapshot with an [`Overlay`] of batches that are not yet
//! durable on top, and hands finished batches to the shell. This crate deliberately does not know what the rows mean,
//! does no IO and starts no threads; [`Memory`] is the implementation for tests and the simulator, and
//! [`conformance`] is the one suite that every implementation passes.
//!
//! ```
//! use althing_store::{Batch, Memory, Snapshot, Table};
//!
//! let store = Memory::default();
//! let mut batch = Batch::default();
//! batch.put(Table::Meta, b"schema", b"1");
//! store.apply(&batch);
//! assert_eq!(store.get(Table::Meta, b"schema")?.as_deref(), Some(&b"1"[..]));
//! # Ok::<(), althing_store::ReadError>(())
//! ```

mod batch;
pub mod conformance;
mod guard;
mod memory;
mod overlay;
mod snapshot;
mod table;

pub use batch::{Batch, Op};
pub use guard::{Guard, Head, MAX_HEADS, MAX_PENDING};
pub use memory::Memory;
pub use overlay::Overlay;
pub use snapshot::{MAX_SCAN, ReadError, Row, Snapshot, prefix_end};
pub use table::Table;

/// The number of a commit, counting from 1 in the life of a data directory. Zero means "nothing committed yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitNo(pub u64);

impl CommitNo {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
