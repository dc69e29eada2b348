//! Scores from attestations: TrustFlow in integers. `docs/spec/reputation.md` is the rule for people.

mod bucket;
mod counts;
mod decay;
mod fixed;
mod flow;
mod ledger;
mod relation;
mod scores;
mod standing;
mod trust;
mod view;

pub use counts::{Counts, CountsError, QUALITY_MAX};
pub use fixed::Q32;
pub use ledger::{Ledger, Rating};
pub use scores::{Params, ScoreProof, ScoreProofError, Scores, Slash};
pub use standing::{Factor, Standing};
pub use view::{Contribution, View};
