use althing_agree::Value;
use althing_record::{Content, Draft, Kind};
use althing_testkit::chain;

use super::closed::{agreed_in, place};
use super::*;
use crate::{CloseReport, ClosedTerms, HolderTerms, Outcome, Question, ReportSet};

const VOTERS: u8 = 12;

/// A network with a committee of four, an hour after which anything is made in tests; rating epochs of five minutes.
fn rated() -> Network {
    let mut genesis = network().genesis().clone();
    let mut committee: Vec<_> = (1..=4).map(|n| agent(n).agent()).collect();
    committee.sort_unstable();
    genesis.committee = List::try_from(committee).unwrap();
    genesis.rating_epoch_ms = 300_000;
    Network::new(genesis).unwrap()
}

/// Twelve holders, one of whom has a thousand times as much reputation as any other.
fn holders(epoch: u64) -> Electorate {
    let mass = |n| if n == 1 { 1_000_000 } else { 1_000 };
    let masses = (1..=VOTERS).map(|n| Voter { agent: agent(n).agent(), weight: mass(n) }).collect();
    Electorate::of_holders(HolderTerms::new("text/translate", 400, epoch).unwrap(), masses).unwrap()
}

fn terms() -> ClosedTerms {
    ClosedTerms { by_committee: true, ..ClosedTerms::default() }
}

fn body(electorate: &Electorate, terms: &ClosedTerms) -> Result<ProposalBody, BallotError> {
    let (options, rule) = (["a", "b"].map(str::to_owned), Rule::Majority);
    ProposalBody::closed(
        &Question { text: "which?", options: &options, rule, electorate, window_ms: 1, nonce: [0; 8] },
        terms,
    )
}

/// The whale votes for the one, all others for the other.
fn certificate(electorate: &Electorate) -> Option<Vec<u8>> {
    let network = rated();
    let signed = |key: &AgentKey, kind, content| {
        let draft = Draft { content, ..chain(key, kind, None, Vec::new()) };
        draft.sign(key, &network).unwrap()
    };
    let body = cbor::to_vec(&body(electorate, &terms()).unwrap());
    let proposal = signed(&agent(9), Kind::Proposal, Content::Body(body));
    let parsed = Proposal::from_record(&proposal).unwrap();
    let choice = |n| Choice::Option(u32::from(n != 1));
    let cast = |n| {
        let leaves = vec![leaf(proposal.id(), &choice(n))];
        signed(&agent(n), Kind::BallotBatch, Content::Leaves(leaves))
    };
    let ballots: Vec<_> = (1..=VOTERS).map(cast).collect();
    let mut rows: Vec<_> =
        (1..=VOTERS).zip(&ballots).map(|(n, ballot)| (place(electorate, n), ballot.id())).collect();
    rows.sort_unstable();
    let report = |n: u8| {
        let body = cbor::to_vec(&CloseReport::body(proposal.id(), &rows).unwrap());
        signed(&agent(n), Kind::CloseReport, Content::Body(body))
    };
    let reports: Vec<_> = (1..=3).map(report).collect();
    let set = ReportSet::new(4, reports.iter().map(Record::id)).unwrap();
    let commit = agreed_in(&network, &parsed, &Value::new(&set.to_bytes()).unwrap(), 4);
    let written = ClosedCertificate::write(&network, &proposal, &reports, &ballots, &[], &[], &commit)?;
    Some(written.to_bytes())
}

#[test]
fn holders_outvote_one_who_has_almost_all_reputation() {
    let electorate = holders(10);
    let verified = ClosedCertificate::verify(&certificate(&electorate).unwrap(), Some(rated().id())).unwrap();
    assert_eq!(verified.count.decides(), Outcome::Decided(1));
    // 11 · 1000 + L = 10 · L.
    assert_eq!((verified.count.participating, verified.proposal.electorate.total()), (12_222, 12_222));
    let holders = verified.proposal.electorate.holders().unwrap();
    assert_eq!((holders.cap, &*holders.terms.skill), (1_222, "text/translate"));
}

#[test]
fn no_byte_of_a_certificate_of_holders_can_be_changed() {
    let bytes = certificate(&holders(10)).unwrap();
    assert!(verify_file(&bytes, Some(rated().id())).is_ok());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(verify_file(&changed, Some(rated().id())).is_err(), "byte {at}");
    }
}

#[test]
fn a_rating_epoch_that_was_not_settled_certifies_nothing() {
    // Everything is made in rating epoch 12. What is written is verified first.
    for (epoch, is_settled) in [(3, false), (4, true), (10, true), (11, false), (12, false), (13, false)] {
        assert_eq!(certificate(&holders(epoch)).is_some(), is_settled, "rating epoch {epoch}");
    }
}

#[test]
fn holders_neither_close_a_vote_nor_decide_directly() {
    let electorate = holders(10);
    let said = |error: BallotError| error.to_string();
    let closed = body(&electorate, &ClosedTerms::default()).unwrap_err();
    assert!(said(closed).contains("committee closes"));
    let direct = ProposalBody::direct("?", &[], Rule::Approvals(0), &electorate, 1, [0; 8]).unwrap_err();
    assert!(said(direct).contains("committee closes"));
}

/// The bytes under fixtures/ are part of docs/spec/voting.md.
#[test]
fn golden_bytes_of_holders_have_not_changed() {
    super::golden("proposal-body-holders", &cbor::to_vec(&body(&holders(10), &terms()).unwrap()));
}
