use althing_record::{AgentKey, Content, Draft, Kind, Record};
use althing_testkit::{agent, chain, network};

use super::super::*;
use super::closed::{Story, agreed_in, proposal};
use crate::{
    BallotSeed, CloseReport, ClosedTerms, Electorate, Occasion, Outcome, ProposalBody, Question, ReportSet,
    Rule, Sealed, Sealing, TrusteeKeys, TrusteeSecret, leaf,
};

/// The trustees are agents 11 and on.
fn terms(trustees: u8) -> ClosedTerms {
    let named = (0..trustees).map(|n| agent(11 + n).agent()).collect();
    ClosedTerms { sealing: Some(Sealing::new(named, None).unwrap()), ..ClosedTerms::default() }
}

fn keys(network: &Network, proposal: &Proposal) -> TrusteeKeys {
    let secret = |trustee: &AgentId| {
        let key = (11..27).map(agent).find(|key| key.agent() == *trustee).unwrap();
        TrusteeSecret::of(&key, network.id(), proposal.id).public()
    };
    (0..).zip(proposal.sealing().unwrap().trustees().iter().map(secret)).collect()
}

fn sealed(network: &Network, proposal: &Proposal, key: &AgentKey, choice: &Choice) -> Choice {
    let occasion = Occasion { network: network.id(), proposal, voter: key.agent() };
    let keys = keys(network, proposal);
    let seed = BallotSeed::of(key, &occasion, &keys, choice).unwrap();
    Choice::Sealed(Sealed::seal(&occasion, &keys, choice, &seed).unwrap())
}

fn opening(network: &Network, proposal: &Record, key: &AgentKey) -> Record {
    let secret = TrusteeSecret::of(key, network.id(), proposal.id());
    let content = Content::Body(cbor::to_vec(&secret.opening_body(proposal.id())));
    Draft { content, ..chain(key, Kind::Opening, None, Vec::new()) }.sign(key, network).unwrap()
}

/// Three of four voters for Knoxville, sealed for four trustees of whom two open; agent 4's ballot is a copy of agent 1's.
fn story() -> Story {
    let electorate = Electorate::equal((1..=4).map(|n| agent(n).agent()).collect()).unwrap();
    let proposal = proposal(Rule::Majority, &electorate, &terms(4));
    let parsed = Proposal::from_record(&proposal).unwrap();
    let said = |n: u8, option| sealed(&network(), &parsed, &agent(n), &Choice::Option(option));
    let said = [(1, said(1, 3)), (2, said(2, 0)), (3, said(3, 3)), (4, said(1, 3))];
    let mut story = Story::told(proposal, &electorate, &said);
    story.openings = [11, 12].map(|n| opening(&network(), &story.proposal, &agent(n))).to_vec();
    story
}

fn refused(certificate: &ClosedCertificate) -> String {
    ClosedCertificate::verify(&certificate.to_bytes(), None).unwrap_err().to_string()
}

#[test]
fn sealed_ballots_are_opened_and_counted_offline() {
    let story = story();
    let verified = story.verified();
    assert_eq!(verified.count.decides(), Outcome::Decided(3));
    assert_eq!(verified.count.first_tallies(), [1, 0, 0, 2]);
    assert_eq!(verified.manifest.choices[&agent(1).agent()], Choice::Option(3));
    assert_eq!(verified.manifest.invalid.iter().copied().collect::<Vec<_>>(), [agent(4).agent()]);
    assert_eq!(verified.count.participating, 3);
}

#[test]
fn any_trustees_prove_the_same_and_more_than_enough_are_left_out() {
    let mut story = story();
    let first = story.verified();
    for trustees in [[11, 13], [12, 14], [13, 14]] {
        story.openings = trustees.map(|n| opening(&network(), &story.proposal, &agent(n))).to_vec();
        assert_eq!(story.verified(), first);
    }
    story.openings = (11..=14).map(|n| opening(&network(), &story.proposal, &agent(n))).collect();
    assert_eq!(story.certificate().unwrap().openings.unwrap().len(), 2);
    assert_eq!(story.verified(), first);
}

#[test]
fn a_certificate_without_enough_openings_is_none() {
    let mut story = story();
    let certificate = story.certificate().unwrap();
    let mut fewer = certificate.clone();
    fewer.openings = Some(List::try_from(certificate.openings.clone().unwrap()[1..].to_vec()).unwrap());
    assert!(refused(&fewer).contains("is sealed: 2 openings are needed, 1 are there"), "{}", refused(&fewer));
    let none = ClosedCertificate { openings: None, ..certificate.clone() };
    assert!(refused(&none).contains("do not agree on whether ballots are sealed"));
    let mut openings = certificate.openings.clone().unwrap().into_inner();
    openings.reverse();
    let shuffled = ClosedCertificate { openings: Some(openings.try_into().unwrap()), ..certificate.clone() };
    assert!(refused(&shuffled).contains("not in ascending order"));
    let strange = [opening(&network(), &story.proposal, &agent(1))];
    let blobs: Vec<_> =
        strange.iter().map(|record| Blob::try_from(record.envelope().to_vec()).unwrap()).collect();
    let strange = ClosedCertificate { openings: Some(blobs.try_into().unwrap()), ..certificate };
    assert!(refused(&strange).contains("opening 0: it is not of this proposal and one of its trustees"));
    story.openings.truncate(1);
    assert_eq!(story.certificate(), None);
}

#[test]
fn no_byte_of_a_sealed_certificate_can_be_changed() {
    let bytes = story().certificate().unwrap().to_bytes();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(crate::verify_file(&altered, Some(network().id())).is_err(), "byte {at}");
    }
}

/// The bytes under fixtures/ are part of docs/spec/voting.md.
#[test]
fn golden_bytes_of_a_sealed_certificate_have_not_changed() {
    super::golden("sealed-certificate", &story().certificate().unwrap().to_bytes());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the time that it takes is shown")]
fn a_sealed_certificate_of_a_thousand_voters_and_sixteen_trustees_fits() {
    let committee: Vec<_> = (1..=4).map(|n| agent(n).agent()).collect();
    let mut genesis = network().genesis().clone();
    genesis.committee = List::try_from(committee).unwrap();
    let network = Network::new(genesis).unwrap();
    let voters: Vec<AgentKey> = (0..VOTERS_MAX as u32)
        .map(|n| AgentKey::from_seed(&[&n.to_be_bytes()[..], &[9; 28]].concat().try_into().unwrap()))
        .collect();
    let electorate = Electorate::equal(voters.iter().map(AgentKey::agent).collect()).unwrap();
    let options = ["a", "b"].map(str::to_owned);
    let question = Question {
        text: "?",
        options: &options,
        rule: Rule::Majority,
        electorate: &electorate,
        window_ms: 1,
        nonce: [0; 8],
    };
    let terms = ClosedTerms { by_committee: true, ..terms(16) };
    let signed = |key: &AgentKey, kind, content| {
        Draft { content, ..chain(key, kind, None, Vec::new()) }.sign(key, &network).unwrap()
    };
    let body = cbor::to_vec(&ProposalBody::closed(&question, &terms).unwrap());
    let proposal = signed(&agent(1), Kind::Proposal, Content::Body(body));
    let parsed = Proposal::from_record(&proposal).unwrap();
    let ballots: Vec<Record> = voters
        .iter()
        .map(|key| {
            let said = sealed(&network, &parsed, key, &Choice::Option(0));
            signed(key, Kind::BallotBatch, Content::Leaves(vec![leaf(proposal.id(), &said)]))
        })
        .collect();
    let mut rows: Vec<_> = ballots
        .iter()
        .map(|ballot| {
            let place = electorate.voters().iter().position(|voter| voter.agent == ballot.agent()).unwrap();
            (u16::try_from(place).unwrap(), ballot.id())
        })
        .collect();
    rows.sort_unstable();
    let body = cbor::to_vec(&CloseReport::body(proposal.id(), &rows).unwrap());
    let report = |n: u8| signed(&agent(n), Kind::CloseReport, Content::Body(body.clone()));
    let reports: Vec<_> = (1..=3).map(report).collect();
    let set = ReportSet::new(4, reports.iter().map(Record::id)).unwrap();
    let value = althing_agree::Value::new(&set.to_bytes()).unwrap();
    let commit = agreed_in(&network, &parsed, &value, 4);
    let openings: Vec<_> = (11..17).map(|n| opening(&network, &proposal, &agent(n))).collect();
    let certificate =
        ClosedCertificate::write(&network, &proposal, &reports, &ballots, &openings, &[], &commit).unwrap();
    let bytes = certificate.to_bytes();
    let start = std::time::Instant::now();
    let verified = ClosedCertificate::verify(&bytes, None).unwrap();
    println!("1,000 voters: {} bytes, verified in {} ms", bytes.len(), start.elapsed().as_millis());
    assert_eq!(verified.count.participating, 1_000);
    assert!(bytes.len() < CERTIFICATE_BYTES_MAX / 4, "{} bytes", bytes.len());
}
