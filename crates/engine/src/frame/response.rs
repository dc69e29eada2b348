//! Responses as bytes.

use althing_record::cbor::{self, Blob, Decode, DecodeError, Encode, Reader, Writer};
use althing_record::{AgentId, Digest, Network, Record, VerifyError};
use althing_sync::MESSAGE_BYTES_MAX;
use althing_trust::ScoreProof;

use super::{
    BUSY, CARDS_ANSWER, FrameError, LEAF_BYTES_MAX, LIMITS, PATH_BYTES_MAX, PROOFS, RECONCILE, RECORDS,
    RECORDS_MAX, RESPONSE_BYTES_MAX, ROWS_ASKED_MAX, Response, SCORES_ANSWER, SCORES_ASKED_MAX,
    agent_or_none, newer,
};

fn read_records(
    from: &mut Reader<'_>,
    verify: &mut impl FnMut(&[u8]) -> Result<Record, VerifyError>,
) -> Result<(Vec<Record>, Vec<VerifyError>), FrameError> {
    let count = from.array()?;
    if count > RECORDS_MAX {
        return Err(FrameError::TooLong(count));
    }
    let (mut records, mut invalid) = (Vec::with_capacity(count), Vec::new());
    for _ in 0..count {
        match verify(from.bytes()?) {
            Ok(record) => records.push(record),
            Err(error) => invalid.push(error),
        }
    }
    Ok((records, invalid))
}

fn read_proofs(from: &mut Reader<'_>) -> Result<Vec<ScoreProof>, FrameError> {
    let count = from.array()?;
    if count > SCORES_ASKED_MAX {
        return Err(FrameError::TooLong(count));
    }
    let mut proofs = Vec::with_capacity(count);
    for _ in 0..count {
        if from.array()? != 4 {
            return Err(
                DecodeError::Invalid("a score has a leaf, its place, a number and a path".into()).into()
            );
        }
        let leaf = Blob::<LEAF_BYTES_MAX>::decode(from)?.into_inner();
        let (index, count) = (from.uint()?, from.uint()?);
        let path = Blob::<PATH_BYTES_MAX>::decode(from)?;
        let path = path.chunks(32).map(Digest::try_from).collect::<Result<_, _>>();
        let path = path.map_err(|error| DecodeError::Invalid(error.to_string()))?;
        proofs.push(ScoreProof { leaf, index, count, path });
    }
    Ok(proofs)
}

/// A response to [`Request::Cards`], as bytes.
pub(crate) fn cards_response<B: AsRef<[u8]>>(next: Option<AgentId>, records: &[B]) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(3);
    to.uint(CARDS_ANSWER);
    to.bytes(next.as_ref().map_or(&[], |agent| &agent.0));
    to.array(records.len());
    records.iter().for_each(|record| to.bytes(record.as_ref()));
    to.into_bytes()
}

/// A response that carries records, as bytes.
pub(crate) fn records_response<B: AsRef<[u8]>>(served: u64, records: &[B]) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(3);
    to.uint(RECORDS);
    to.uint(served);
    to.array(records.len());
    records.iter().for_each(|record| to.bytes(record.as_ref()));
    to.into_bytes()
}

impl Response {
    /// The response as bytes: an array of a tag and its parts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Self::Reconcile { message, clock } => {
                to.array(3);
                to.uint(RECONCILE);
                to.bytes(message);
                clock.encode(&mut to);
            }
            Self::Cards { next, records, .. } => {
                return cards_response(*next, &records.iter().map(Record::bytes).collect::<Vec<_>>());
            }
            Self::Records { served, records, .. } => {
                return records_response(*served, &records.iter().map(Record::bytes).collect::<Vec<_>>());
            }
            Self::Proofs { proofs } => {
                to.array(2);
                to.uint(PROOFS);
                to.array(proofs.len());
                proofs.iter().for_each(|proof| to.bytes(proof.as_deref().unwrap_or_default()));
            }
            Self::Scores { checkpoint, proofs } => {
                to.array(3);
                to.uint(SCORES_ANSWER);
                checkpoint.encode(&mut to);
                to.array(proofs.len());
                for proof in proofs {
                    to.array(4);
                    to.bytes(&proof.leaf);
                    to.uint(proof.index);
                    to.uint(proof.count);
                    to.bytes(proof.path.iter().map(|hash| hash.0).collect::<Vec<_>>().as_flattened());
                }
            }
            Self::Busy => {
                to.array(1);
                to.uint(BUSY);
            }
        }
        to.into_bytes()
    }

    /// Reads a response and verifies every record in it.
    ///
    /// # Errors
    /// When it is too long, malformed or of a newer version. An invalid record in it is no error of the frame.
    pub fn parse(bytes: &[u8], network: &Network) -> Result<Self, FrameError> {
        Self::parse_with(bytes, |bytes| Record::verify(bytes, network))
    }

    /// [`Response::parse`] for a caller that remembers which bytes it has verified.
    ///
    /// # Errors
    /// As [`Response::parse`].
    pub fn parse_with(
        bytes: &[u8],
        mut verify: impl FnMut(&[u8]) -> Result<Record, VerifyError>,
    ) -> Result<Self, FrameError> {
        if bytes.len() > RESPONSE_BYTES_MAX {
            return Err(FrameError::TooLong(bytes.len()));
        }
        cbor::scan(bytes, LIMITS)?;
        let mut from = Reader::new(bytes);
        let len = from.array()?;
        let tag = if len == 0 { u64::MAX } else { from.uint()? };
        match (tag, len) {
            (RECONCILE, 3) => {
                let message = Blob::<{ MESSAGE_BYTES_MAX + 64 }>::decode(&mut from)?.into_inner();
                Ok(Self::Reconcile { message, clock: Decode::decode(&mut from)? })
            }
            (RECORDS, 3) => {
                let served = from.uint()?;
                let (records, invalid) = read_records(&mut from, &mut verify)?;
                Ok(Self::Records { served, records, invalid })
            }
            (CARDS_ANSWER, 3) => {
                let next = agent_or_none(from.bytes()?)?;
                let (records, invalid) = read_records(&mut from, &mut verify)?;
                Ok(Self::Cards { next, records, invalid })
            }
            (PROOFS, 2) => {
                let count = from.array()?;
                if count > ROWS_ASKED_MAX {
                    return Err(FrameError::TooLong(count));
                }
                let mut proofs = Vec::with_capacity(count);
                for _ in 0..count {
                    let proof = from.bytes()?;
                    proofs.push((!proof.is_empty()).then(|| proof.to_vec()));
                }
                Ok(Self::Proofs { proofs })
            }
            (SCORES_ANSWER, 3) => {
                let checkpoint = Decode::decode(&mut from)?;
                Ok(Self::Scores { checkpoint, proofs: read_proofs(&mut from)? })
            }
            (BUSY, 1) => Ok(Self::Busy),
            (value, _) => Err(newer("response", value).into()),
        }
    }
}
