use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, document};

/// The answer of `GET /v1/evidence`: proven misbehaviour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Always `althing.evidence/v1`.
    #[schema(example = "althing.evidence/v1")]
    pub schema: String,
    /// How many cases the node knows; more than `evidence` when the list was cut to `limit`.
    pub total: u64,
    /// The cases, by agent.
    pub evidence: Vec<EvidenceRow>,
}

document!(Evidence, "althing.evidence/v1");

impl Evidence {
    /// The first `limit` of the node's rows.
    #[must_use]
    pub fn new(rows: Vec<althing_engine::EvidenceRow>, limit: usize) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            total: rows.len() as u64,
            evidence: rows.into_iter().take(limit).map(EvidenceRow::from).collect(),
        }
    }
}

/// One proven case of misbehaviour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceRow {
    /// The offender.
    pub agent: String,
    /// The case, however many records come to prove it.
    pub case: String,
    /// `double ballot`, `double report`, `double statement`, `double trustee key`, `double attestation`, `double accept`
    /// or `chain fork`.
    pub offence: String,
    /// What proves it: two records, or one that holds two statements.
    pub records: Vec<String>,
    /// The decided proposal that forgives it, if one does.
    pub pardoned_by: Option<String>,
}

impl From<althing_engine::EvidenceRow> for EvidenceRow {
    fn from(row: althing_engine::EvidenceRow) -> Self {
        Self {
            agent: row.agent.to_string(),
            case: row.case.to_string(),
            offence: row.offence,
            records: row.records.iter().map(ToString::to_string).collect(),
            pardoned_by: row.pardoned_by.map(|proposal| proposal.to_string()),
        }
    }
}
