//! RocksDB behind the store contract, the vote guard outside of it, and the thread that commits to both.
//!
//! [`Rocks::open`] locks a data directory, checks that its database is whole and not older than its guard, and gives a
//! reader and a [`Committer`]. Batches are committed in groups: guard first, then one write, then the word that they
//! are durable. A damaged database is refused by file name; a shorter history is never served. [`Rocks::freeze`] holds
//! the files of a database still for whoever copies them, [`Restore`] makes a data directory from such a copy. This
//! crate deliberately does not know what rows mean, and repairs nothing.
//!
//! What lies in a data directory:
//!
//! | name | what |
//! | --- | --- |
//! | `lock` | held while the directory is open; holds the process id |
//! | `safety.0`, `safety.1` | the vote guard, written in turn; not to be backed up |
//! | `reserve` | space that is given up when the disk is full |
//! | `db/` | RocksDB, one column family per [`Table`](althing_store::Table) |
//! | `checkpoint/` | links to the files of `db/` while a snapshot is being taken |
//!
//! ```no_run
//! use althing_rocks::{Options, Rocks};
//! use althing_store::{Batch, Table};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let opened = Rocks::open("/var/lib/althing".as_ref(), Options::default())?;
//! println!("votes: {}", opened.guard);
//! let mut batch = Batch::default();
//! batch.put(Table::Slot, b"name", b"card");
//! batch.require_sync();
//! let no = opened.commit.next();
//! let mut durable = opened.committer.durable();
//! opened.committer.submit(no, batch).await?;
//! durable.wait_for(|durable| durable.no >= no || durable.failed.is_some()).await?;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod check;
mod committer;
mod database;
mod fault;
mod frozen;
mod guard_file;
mod guard_state;
mod holder;
mod lock;
mod open;
mod open_error;
mod options;
mod reserve;
mod restore;
mod rocks;
mod schema;
mod space;
#[cfg(test)]
mod tests;
mod worker;

pub use check::{CheckError, Damage, Report, check};
pub use committer::{CommitFailure, Committer, Durable, SubmitError};
pub use database::Aside;
pub use frozen::{FreezeError, Frozen, FrozenFile, is_part};
pub use guard_state::GuardState;
pub use holder::Holder;
pub use open::Opened;
pub use open_error::OpenError;
pub use options::Options;
pub use restore::{Restore, RestoreError};
pub use rocks::{CompactError, Rocks};
pub use schema::SCHEMA;
pub use space::{SpaceError, require_space};
