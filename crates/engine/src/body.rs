use althing_agree::Entry;
use althing_ballot::{Ack, AgreementBody, Ballot, CloseReport, Proposal, ballots_of};
use althing_card::{Card, Lease};
use althing_record::{Inception, Kind, Record, RecordId, Rotation};

use crate::admit::Admission;

/// A body that was read before anything is written.
pub(crate) enum Body {
    Card(Option<Card>),
    Lease(Option<Lease>),
    Identity,
    Proposal,
    Ballots(Vec<Ballot>),
    Acks(Vec<Ack>),
    Report(CloseReport),
    /// A closer's part in an agreement, not yet held against its proposal.
    Agreement(AgreementBody),
    /// The same, checked.
    Statement(RecordId, Box<Entry>),
}

/// Reads a record's body, or says what is to be done with the record instead.
pub(crate) fn read_body(record: &Record) -> Result<Body, Admission> {
    match record.kind() {
        Kind::Card => {
            Card::from_record(record).map(Body::Card).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::Lease => {
            Lease::from_record(record).map(Body::Lease).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::Inception => record
            .body::<Inception>()
            .map(|_| Body::Identity)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Rotation => {
            record.body::<Rotation>().map(|_| Body::Identity).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::Proposal => Proposal::from_record(record)
            .map(|_| Body::Proposal)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::BallotBatch if !record.is_whole() => {
            // The id is the same with them: a peer that withholds them must not make this node refuse the whole record.
            Err(Admission::Early("its leaves did not travel along"))
        }
        Kind::BallotBatch => {
            ballots_of(record).map(Body::Ballots).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::BallotAck => {
            Ack::from_record(record).map(Body::Acks).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::CloseReport => CloseReport::from_record(record)
            .map(Body::Report)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Agreement => AgreementBody::from_record(record)
            .map(Body::Agreement)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Founding | Kind::Membership => {
            Err(Admission::Unwanted("groups are not kept by this version".into()))
        }
        Kind::Attestations | Kind::Checkpoint => {
            Err(Admission::Unwanted("attestations are not kept by this version".into()))
        }
        Kind::Message => Err(Admission::Unwanted("messages are not shared".into())),
    }
}

fn wrong(error: impl ToString, newer: bool) -> Admission {
    if newer { Admission::Unwanted(error.to_string()) } else { Admission::Wrong(error.to_string()) }
}
