use althing_engine::Taken;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Document, document};

/// The answer of `POST /v1/store/records`: what became of each record, in the order in which they were sent. What is
/// new is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Always `althing.imported/v1`.
    #[schema(example = "althing.imported/v1")]
    pub schema: String,
    /// One for each record.
    pub records: Vec<ImportedRecord>,
}

document!(Imported, "althing.imported/v1");

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedRecord {
    /// Its kind; absent if it is no record of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// Why it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What became of a record that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportOutcome {
    /// It is stored.
    New,
    /// It was here already.
    Known,
    /// Something that it depends on is not here yet; it may be sent again.
    Early,
    /// It is not kept here, and nobody is at fault.
    Unwanted,
    /// It is wrong.
    Wrong,
}

impl ImportOutcome {
    /// The word for it, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Early => "early",
            Self::Unwanted => "unwanted",
            Self::Wrong => "wrong",
        }
    }
}

impl ImportedRecord {
    pub(crate) fn new(kind: Option<String>, taken: Taken) -> Self {
        let (outcome, cause) = match taken {
            Taken::New => (ImportOutcome::New, None),
            Taken::Known => (ImportOutcome::Known, None),
            Taken::Early(cause) => (ImportOutcome::Early, Some(cause)),
            Taken::Unwanted(cause) => (ImportOutcome::Unwanted, Some(cause)),
            Taken::Wrong(cause) => (ImportOutcome::Wrong, Some(cause)),
        };
        Self { kind, outcome, cause }
    }
}

impl Imported {
    pub(crate) fn new(records: Vec<ImportedRecord>) -> Self {
        Self { schema: Self::SCHEMA.to_owned(), records }
    }
}

/// The answer of `POST /v1/store/checkpoint`: the files of the database at one moment. They are held until they are
/// released, or nobody has read them for a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Always `althing.checkpoint/v1`.
    #[schema(example = "althing.checkpoint/v1")]
    pub schema: String,
    /// The files, by name.
    pub files: Vec<CheckpointFile>,
}

document!(Checkpoint, "althing.checkpoint/v1");

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointFile {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Checkpoint {
    /// A checkpoint of these files.
    #[must_use]
    pub fn new(files: Vec<CheckpointFile>) -> Self {
        Self { schema: Self::SCHEMA.to_owned(), files }
    }
}

/// The answer of `POST /v1/store/checkpoint/release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// Always `althing.released/v1`.
    #[schema(example = "althing.released/v1")]
    pub schema: String,
}

document!(Released, "althing.released/v1");

impl Default for Released {
    fn default() -> Self {
        Self { schema: Self::SCHEMA.to_owned() }
    }
}

/// The answer of `/v1/store/compact`: how the last compaction since the node's start is going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compaction {
    /// Always `althing.compaction/v1`.
    #[schema(example = "althing.compaction/v1")]
    pub schema: String,
    /// How far it is.
    pub state: CompactionState,
    /// The table that is being compacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Bytes of the table files before it.
    pub bytes_before: u64,
    /// Bytes of the table files after it, or now.
    pub bytes_after: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

document!(Compaction, "althing.compaction/v1");

/// How far a compaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CompactionState {
    /// There was none.
    None,
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It was not done.
    Failed,
}

impl Compaction {
    /// A compaction in a state, with the size of the table files before and after it.
    #[must_use]
    pub fn new(state: CompactionState, [bytes_before, bytes_after]: [u64; 2]) -> Self {
        let schema = Self::SCHEMA.to_owned();
        Self { schema, state, table: None, bytes_before, bytes_after, cause: None, hint: None }
    }
}

/// The query of `GET /v1/store/records`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordsQuery {
    /// The `next` of the page before, in hex; the first page if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only records of this kind, such as `card`; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// The query of `GET /v1/store/checkpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CheckpointQuery {
    /// The file's name.
    #[param(example = "CURRENT")]
    pub file: String,
    /// Where to begin; 0 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}
