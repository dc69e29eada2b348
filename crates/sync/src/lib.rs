//! Range-based set reconciliation and bounded backfill.
//!
//! Two nodes that hold almost the same records find out which ones differ in a few small messages (negentropy: a
//! fingerprint for a range of (made, id), split where it differs). [`Round`] is the asking side, [`answer`] the
//! answering one, which keeps no state. What is then fetched, [`Round`] hands out in bounded pages.
//!
//! This crate deliberately moves ids only: records travel and are verified elsewhere. Gossip is a hint; this is how
//! nodes that were late or cut off end up with the same records.
//!
//! ```
//! use althing_record::{Millis, RecordId};
//! use althing_sync::{Elements, Round, answer};
//!
//! let id = |n| RecordId([n; 32]);
//! let mine = Elements::new([(Millis(1), id(1))]);
//! let theirs = Elements::new([(Millis(1), id(1)), (Millis(2), id(2))]);
//! let (mut round, mut message) = Round::open(mine.into())?;
//! while let Some(next) = round.advance(&answer(&theirs, &message)?)? {
//!     message = next;
//! }
//! assert_eq!(round.next_page(), [id(2)]);
//! # Ok::<(), althing_sync::SyncError>(())
//! ```

mod elements;
mod round;

pub use elements::Elements;
pub use round::{FETCH_MAX, MESSAGE_BYTES_MAX, MESSAGES_MAX, NEED_MAX, Round, SyncError, answer};
