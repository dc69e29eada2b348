use althing_agree::Entry;
use althing_ballot::{
    Ack, AgreementBody, Answers, Ballot, CloseReport, Docket, Electorate, Opening, Proposal, TrusteeKey,
    ballots_of,
};
use althing_card::{Card, Lease};
use althing_group::State;
use althing_record::{Inception, Joining, Kind, Membership, Network, Record, RecordId, Rotation};
use althing_trust::{Accusation, Attestations, Checkpoint};

use crate::admit::Admission;

/// A body that was read before anything is written.
pub(crate) enum Body {
    Card(Option<Card>),
    Lease(Option<Lease>),
    Identity,
    Group(GroupBody),
    /// With its electorate, unless that is a list.
    Proposal(Option<Box<Electorate>>),
    Docket(Box<Docket>),
    Ballots(Vec<Ballot>),
    /// Answers to a docket.
    Answers(Answers),
    Acks(Vec<Ack>),
    Report(CloseReport),
    /// A closer's part in an agreement, not yet held against its proposal.
    Agreement(AgreementBody),
    /// The same, checked.
    Statement(RecordId, Box<Entry>),
    TrusteeKey(TrusteeKey),
    Opening(Opening),
    Attestations(Box<Attestations>),
    Evidence(Box<Accusation>),
    Checkpoint,
}

/// What is said in a group.
pub(crate) enum GroupBody {
    Founding(Box<State>),
    Change(Membership),
    Joining(Joining),
}

/// Reads a record's body, or says what is to be done with the record instead.
pub(crate) fn read_body(record: &Record, network: &Network) -> Result<Body, Admission> {
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
            .map(|proposal| {
                let electorate = proposal.electorate;
                let is_list = electorate.group().is_none() && electorate.holders().is_none();
                Body::Proposal((!is_list).then(|| Box::new(electorate)))
            })
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::BallotBatch | Kind::ProposalBatch if !record.is_whole() => {
            // The id is the same with them: a peer that withholds them must not make this node refuse the whole record.
            Err(Admission::Early("its leaves did not travel along"))
        }
        Kind::ProposalBatch => Docket::from_record(record)
            .map(|docket| Body::Docket(Box::new(docket)))
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::BallotBatch => match Answers::from_record(record) {
            Ok(Some(answers)) => Ok(Body::Answers(answers)),
            Ok(None) => {
                ballots_of(record).map(Body::Ballots).map_err(|error| wrong(&error, error.is_newer()))
            }
            Err(error) => Err(wrong(&error, error.is_newer())),
        },
        Kind::BallotAck => {
            Ack::from_record(record).map(Body::Acks).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::CloseReport => CloseReport::from_record(record)
            .map(Body::Report)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Agreement => AgreementBody::from_record(record)
            .map(Body::Agreement)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::TrusteeKey => TrusteeKey::from_record(record)
            .map(Body::TrusteeKey)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Opening => {
            Opening::from_record(record).map(Body::Opening).map_err(|error| wrong(&error, error.is_newer()))
        }
        Kind::Founding | Kind::Membership | Kind::Joining => read_group(record).map(Body::Group),
        Kind::Attestations => Attestations::from_record(record, network.genesis())
            .map(|said| Body::Attestations(Box::new(said)))
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Evidence => Accusation::from_record(record, network)
            .map(|said| Body::Evidence(Box::new(said)))
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Checkpoint => Checkpoint::from_record(record)
            .map(|_| Body::Checkpoint)
            .map_err(|error| wrong(&error, error.is_newer())),
        Kind::Message => Err(Admission::Unwanted("messages are not shared".into())),
    }
}

fn read_group(record: &Record) -> Result<GroupBody, Admission> {
    if record.kind() == Kind::Founding {
        let state = State::founded(record).map_err(|error| wrong(&error, error.is_newer()))?;
        return Ok(GroupBody::Founding(Box::new(state)));
    }
    if record.kind() == Kind::Membership {
        return record.body().map(GroupBody::Change).map_err(|error| wrong(&error, error.is_newer()));
    }
    let joining: Joining = record.body().map_err(|error| wrong(&error, error.is_newer()))?;
    match joining.leaves {
        None | Some(1) => Ok(GroupBody::Joining(joining)),
        Some(value) => Err(wrong(format!("what a joining with {value} asks for is not known"), true)),
    }
}

fn wrong(error: impl ToString, newer: bool) -> Admission {
    if newer { Admission::Unwanted(error.to_string()) } else { Admission::Wrong(error.to_string()) }
}
