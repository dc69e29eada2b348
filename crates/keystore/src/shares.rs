//! Shamir shares of an agent's keys.
//!
//! A plain Shamir share is a point and nothing else: an altered one gives another secret without a word, a repeated one
//! too, and one at x = 0 is the secret of whoever made it. So a [`Share`] here is signed by the agent whose key it is of,
//! says which set it belongs to, and cannot be had without passing those checks; and what [`restore`] gives is the
//! agent's key or nothing.

mod deal;
mod error;
mod restore;
mod share;
#[cfg(test)]
mod tests;

pub use deal::{Deal, Dealer, SHARES_MAX, THRESHOLD_MIN};
pub use error::{DealError, Misfit, MisfitKind, RestoreError, ShareError};
pub use restore::{Restored, restore};
pub use share::{Part, SetId, Share};
