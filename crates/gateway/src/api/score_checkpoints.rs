use althing_engine::CheckpointShown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, document, rfc3339};

/// The answer of `GET /v1/score-checkpoints`: checkpoints of the ratings that the network's committee decided on, the newest
/// first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreCheckpoints {
    /// Always `althing.score-checkpoints/v1`.
    #[schema(example = "althing.score-checkpoints/v1")]
    pub schema: String,
    /// The checkpoints.
    pub checkpoints: Vec<ScoreCheckpointSummary>,
}

document!(ScoreCheckpoints, "althing.score-checkpoints/v1");

/// A checkpoint in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreCheckpointSummary {
    /// Its record.
    pub checkpoint: String,
    /// The last rating epoch that is in it.
    pub epoch: u64,
    /// When it was made, by its author's clock.
    pub made: String,
    /// How many attestations it took.
    pub taken: u64,
    /// How many agents have scores.
    pub agents: u64,
    /// How many rows it struck out.
    pub unproved: u64,
    /// The root over the scores of all agents, hex.
    pub score_root: String,
    /// Whether the scores are those that this node computed; none if it computed none, which it does for the newest alone.
    pub agrees: Option<bool>,
}

/// The answer of `GET /v1/score-checkpoints/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScoreCheckpoint {
    /// Always `althing.score-checkpoint/v1`.
    #[schema(example = "althing.score-checkpoint/v1")]
    pub schema: String,
    /// Its record.
    pub checkpoint: String,
    /// The proposal that the committee passed; its certificate proves it.
    pub proposal: String,
    /// Who proposed it.
    pub author: String,
    /// When it was made, by its author's clock.
    pub made: String,
    /// The last rating epoch that is in it.
    pub epoch: u64,
    /// The checkpoint before it; none if it is the first.
    pub prev: Option<String>,
    /// How many attestations it took.
    pub taken: u64,
    /// How many agents have scores.
    pub agents: u64,
    /// The root over the scores of all agents, hex.
    pub score_root: String,
    /// The hash of what they were computed with, hex.
    pub params_hash: String,
    /// Agents whose misbehaviour it counts and those before it did not.
    pub slashed: Vec<String>,
    /// Agents against whom nothing stands any more.
    pub cleared: Vec<String>,
    /// Rows that it struck out.
    pub unproved: Vec<UnprovedRow>,
    /// Whether the scores are those that this node computed; none if it computed none, which it does for the newest alone.
    pub agrees: Option<bool>,
}

document!(ScoreCheckpoint, "althing.score-checkpoint/v1");

/// A row of an attestation of which a demanded receipt was not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnprovedRow {
    /// Who counted it.
    pub rater: String,
    /// For which rating epoch.
    pub epoch: u64,
    /// Its place among the rows of the attestation, from 0.
    pub row: u32,
}

impl From<Vec<CheckpointShown>> for ScoreCheckpoints {
    fn from(found: Vec<CheckpointShown>) -> Self {
        let checkpoints = found.into_iter().map(|one| ScoreCheckpointSummary {
            checkpoint: one.checkpoint.to_string(),
            epoch: one.epoch.0,
            made: rfc3339(one.made),
            taken: one.taken,
            agents: one.agents,
            unproved: one.unproved.len() as u64,
            score_root: one.score_root.to_string(),
            agrees: one.agrees,
        });
        Self { schema: Self::SCHEMA.to_owned(), checkpoints: checkpoints.collect() }
    }
}

impl From<CheckpointShown> for ScoreCheckpoint {
    fn from(found: CheckpointShown) -> Self {
        let unproved = found.unproved.iter().map(|row| UnprovedRow {
            rater: row.rater.to_string(),
            epoch: row.epoch.0,
            row: row.row,
        });
        Self {
            schema: Self::SCHEMA.to_owned(),
            checkpoint: found.checkpoint.to_string(),
            proposal: found.proposal.to_string(),
            author: found.author.to_string(),
            made: rfc3339(found.made),
            epoch: found.epoch.0,
            prev: found.prev.map(|prev| prev.to_string()),
            taken: found.taken,
            agents: found.agents,
            score_root: found.score_root.to_string(),
            params_hash: found.params_hash.to_string(),
            slashed: found.slashed.iter().map(ToString::to_string).collect(),
            cleared: found.cleared.iter().map(ToString::to_string).collect(),
            unproved: unproved.collect(),
            agrees: found.agrees,
        }
    }
}
