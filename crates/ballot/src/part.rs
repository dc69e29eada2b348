use althing_agree::{ENTRY_BYTES_MAX, Entry, Instance, Keys};
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

    /// What it says in the decision, if the record's agent says it with the record's key.
    ///
    /// # Errors
    /// When it is no valid entry of the decision, or another closer's, or under another key; or when a key in it is not known
    /// ([`BallotError::UnknownKey`]).
    pub fn entry(&self, record: &Record, instance: &Instance, keys: Keys<'_>) -> Result<Entry, BallotError> {
        let entry = Entry::verify(&self.entry, instance, keys).map_err(|error| {
            if error.is_unknown_key() {
                BallotError::UnknownKey(error.to_string())
            } else {
                BallotError::Agreement(error.to_string())
            }
        })?;
        if entry.statement().closer != record.agent() {
            return Err(BallotError::Closing("the statement is another closer's than the record"));
        }
        if entry.statement().signing_key() != *record.signing_key() {
            return Err(BallotError::Closing("the statement is signed by another key than the record"));
        }
        Ok(entry)
    }
}
