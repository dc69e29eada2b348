use althing_record::cbor::Blob;
use althing_record::{AgentId, Kind, Record, RecordId, cbor_map};

use crate::{BallotError, Proposal};

/// Most bytes of a list of ballots: 1,000 voters of 34 bytes.
const LIST_BYTES_MAX: usize = 34 * 1_024;

/// A voter's place in the electorate and the batch that holds the ballot.
const ROW_LEN: usize = 34;

/// Most acknowledgements in one record.
pub const ACKS_MAX: usize = 512;

const ACK_LEN: usize = 32 + ROW_LEN;

cbor_map! {
    /// The body of a close report: the ballots that a closer holds for a proposal.
    pub struct ReportBody: version 1 {
        /// Which proposal.
        1 => pub proposal: RecordId,
        /// For each voter with a ballot: the place in the electorate (2 bytes, big-endian), ascending, and the batch.
        2 => pub ballots: Blob<LIST_BYTES_MAX>,
    }
}

cbor_map! {
    /// The body of a ballot acknowledgement: ballots that its closer will report.
    pub struct AckBody: version 1 {
        /// For each: the proposal, the voter's place in the electorate (2 bytes, big-endian), the batch; ascending.
        1 => pub ballots: Blob<{ ACKS_MAX * ACK_LEN }>,
    }
}

/// A closer's word on which ballots it holds. The closer acknowledges no more ballots for the proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// The record's id.
    pub id: RecordId,
    /// Which proposal.
    pub proposal: RecordId,
    /// Whose word.
    pub closer: AgentId,
    /// The voters' places in the electorate, ascending, and the batches with their ballots.
    pub ballots: Vec<(u16, RecordId)>,
}

/// One ballot that a closer promised to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ack {
    /// For which proposal.
    pub proposal: RecordId,
    /// The voter's place in the electorate.
    pub voter: u16,
    /// The batch with the ballot.
    pub batch: RecordId,
}

impl CloseReport {
    /// The body of a report.
    #[must_use]
    pub fn body(proposal: RecordId, ballots: &[(u16, RecordId)]) -> Option<ReportBody> {
        let rows: Vec<u8> =
            ballots.iter().flat_map(|(voter, batch)| [&voter.to_be_bytes()[..], &batch.0].concat()).collect();
        Some(ReportBody { proposal, ballots: Blob::try_from(rows).ok()? })
    }

    /// Reads a report. Whether it fits a proposal is another question: [`CloseReport::fits`].
    ///
    /// # Errors
    /// When the record is none, or its list is not in order.
    pub fn from_record(record: &Record) -> Result<Self, BallotError> {
        if record.kind() != Kind::CloseReport {
            return Err(BallotError::Kind { expected: "CloseReport", found: record.kind().name() });
        }
        let body: ReportBody = record.body()?;
        let rows = body.ballots.chunks(ROW_LEN).map(|row| {
            let (voter, batch) = row.split_first_chunk::<2>()?;
            Some((u16::from_be_bytes(*voter), RecordId::try_from(batch).ok()?))
        });
        let ballots: Vec<_> = rows
            .collect::<Option<_>>()
            .ok_or(BallotError::Closing("the list of ballots has an odd length"))?;
        if ballots.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(BallotError::Closing("the list of ballots is not in order"));
        }
        Ok(Self { id: record.id(), proposal: body.proposal, closer: record.agent(), ballots })
    }

    /// Whether it can be about the proposal: of one of these closers, and of voters that there are.
    #[must_use]
    pub fn fits(&self, proposal: &Proposal, closers: &[AgentId]) -> bool {
        let voters = proposal.electorate.voters().len();
        proposal.id == self.proposal
            && closers.contains(&self.closer)
            && self.ballots.last().is_none_or(|(voter, _)| usize::from(*voter) < voters)
    }
}

impl Ack {
    /// The body of an acknowledgement of at most [`ACKS_MAX`] ballots.
    #[must_use]
    pub fn body(acks: &[Self]) -> Option<AckBody> {
        let mut acks = acks.to_vec();
        acks.sort_unstable();
        let rows = acks
            .iter()
            .flat_map(|ack| [&ack.proposal.0[..], &ack.voter.to_be_bytes(), &ack.batch.0].concat());
        Some(AckBody { ballots: Blob::try_from(rows.collect::<Vec<u8>>()).ok()? })
    }

    /// Reads the acknowledgements in a record.
    ///
    /// # Errors
    /// When the record is none, or its list is empty or not in order.
    pub fn from_record(record: &Record) -> Result<Vec<Self>, BallotError> {
        if record.kind() != Kind::BallotAck {
            return Err(BallotError::Kind { expected: "BallotAck", found: record.kind().name() });
        }
        let body: AckBody = record.body()?;
        let rows = body.ballots.chunks(ACK_LEN).map(|row| {
            let (proposal, row) = row.split_first_chunk::<32>()?;
            let (voter, batch) = row.split_first_chunk::<2>()?;
            let (voter, batch) = (u16::from_be_bytes(*voter), RecordId::try_from(batch).ok()?);
            Some(Self { proposal: RecordId(*proposal), voter, batch })
        });
        let acks: Vec<_> = rows
            .collect::<Option<_>>()
            .ok_or(BallotError::Closing("the list of ballots has an odd length"))?;
        if acks.is_empty() || acks.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(BallotError::Closing("the list of ballots is empty or not in order"));
        }
        Ok(acks)
    }
}
