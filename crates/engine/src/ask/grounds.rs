use althing_record::RecordId;

use crate::RatingRow;

/// Most raters whose attestations one [`Grounds`] shows, the weightiest.
pub const GROUNDS_RATERS_MAX: usize = 16;

/// Most attestations of one rater that one [`Grounds`] shows, the newest.
pub const GROUNDS_RECORDS_MAX: usize = 4;

/// Most good calls that are tried out to find how many would lift a score.
pub const GOOD_CALLS_MAX: u32 = 100;

/// What an agent's scores rest on, and what would lift them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// Rows of attestations on the agent, by rater, the weightiest first, each one's newest first; then struck ones of
    /// others, whom they made no raters.
    pub rows: Vec<GroundsRow>,
    /// How many good calls of this node's first agent lift what it chooses by to the goal; 0: it is there. None if
    /// [`GOOD_CALLS_MAX`] do not, or nobody calls from here.
    pub good_calls: Option<u32>,
}

/// A row of an attestation, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroundsRow {
    /// What it says.
    pub row: RatingRow,
    /// Whether a checkpoint struck it out, so that it counts nothing.
    pub is_struck: bool,
    /// That checkpoint, if its record is here.
    pub struck_by: Option<RecordId>,
}
