use althing_agree::{ENTRY_BYTES_MAX, Entry, Instance};
use althing_record::cbor::Blob;
use althing_record::{Kind, Record, RecordId, cbor_map};

use crate::BallotError;

/// Longest part of an agreement in bytes: a value is 21 ids of reports at most.
const PART_BYTES_MAX: usize = 12 * 1_024;

const _: () = assert!(PART_BYTES_MAX < ENTRY_BYTES_MAX);

cbor_map! {
    /// The body of a closer's part in an agreement: what it says, and with a precommit what allows it.
    pub struct AgreementBody: version 1 {
        /// On which proposal.
        1 => pub proposal: RecordId,
        /// The entry, see docs/spec/agreement.md.
        2 => pub entry: Blob<PART_BYTES_MAX>,
    }
}

impl AgreementBody {
    /// The body that carries an entry; `None` if it is too long.
    #[must_use]
    pub fn of(proposal: RecordId, entry: &Entry) -> Option<Self> {
        Some(Self { proposal, entry: Blob::try_from(entry.bytes().to_vec()).ok()? })
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    /// When the record is of another kind or malformed.
    pub fn from_record(record: &Record) -> Result<Self, BallotError> {
        if record.kind() != Kind::Agreement {
            return Err(BallotError::Kind { expected: "Agreement", found: record.kind().name() });
        }
        Ok(record.body()?)
    }

    /// What it says in the decision, if the record's agent says it.
    ///
    /// # Errors
    /// When it is no valid entry of the decision, or another closer's.
    pub fn entry(&self, record: &Record, instance: &Instance) -> Result<Entry, BallotError> {
        let entry = Entry::verify(&self.entry, instance)
            .map_err(|error| BallotError::Agreement(error.to_string()))?;
        if entry.statement().closer != record.agent() {
            return Err(BallotError::Closing("the statement is another closer's than the record"));
        }
        Ok(entry)
    }
}
