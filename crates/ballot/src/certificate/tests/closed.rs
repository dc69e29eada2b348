use std::sync::Arc;

use althing_agree::{Agreement, CommitCertificate, Output, Value};
use althing_record::{AgentId, AgentKey, Change, Content, Draft, GroupId, Kind, Millis, Record, RecordId};
use althing_testkit::{agent, chain, leaves, network, sign};

use super::super::*;
use crate::{
    CloseReport, ClosedTerms, Electorate, GroupState, Outcome, ProposalBody, Question, Rejection, ReportSet,
    Rule, Voter, leaf,
};

pub(super) fn electorate(count: u8) -> Electorate {
    Electorate::equal((1..=count).map(|n| agent(n).agent()).collect()).unwrap()
}

pub(super) fn proposal(rule: Rule, electorate: &Electorate, terms: &ClosedTerms) -> Record {
    let options = ["Memphis", "Nashville", "Chattanooga", "Knoxville"].map(str::to_owned);
    let question =
        Question { text: "capital?", options: &options, rule, electorate, window_ms: 60_000, nonce: [7; 8] };
    let body = cbor::to_vec(&ProposalBody::closed(&question, terms).unwrap());
    sign(chain(&agent(1), Kind::Proposal, None, body), &agent(1))
}

pub(super) fn ballot(key: &AgentKey, proposal: &Record, choice: &Choice) -> Record {
    sign(leaves(key, None, vec![leaf(proposal.id(), choice)]), key)
}

pub(super) fn report(key: &AgentKey, proposal: &Record, ballots: &[(u16, RecordId)]) -> Record {
    let body = cbor::to_vec(&CloseReport::body(proposal.id(), ballots).unwrap());
    sign(chain(key, Kind::CloseReport, None, body), key)
}

/// The voters' places are those of their ids; agents are in another order.
pub(super) fn place(electorate: &Electorate, n: u8) -> u16 {
    let agent = agent(n).agent();
    electorate.voters().iter().position(|voter| voter.agent == agent).unwrap().try_into().unwrap()
}

/// Has the closers of a decision agree on a value.
pub(super) fn agreed(parsed: &Proposal, value: &Value, count: u8) -> Vec<u8> {
    agreed_in(&network(), parsed, value, count)
}

pub(super) fn agreed_in(network: &Network, parsed: &Proposal, value: &Value, count: u8) -> Vec<u8> {
    let keys: Vec<_> = (1..=count).map(|n| (agent(n).agent(), agent(n))).collect();
    agreed_by(network, parsed, value, &keys)
}

/// The same by closers with these keys.
pub(super) fn agreed_by(
    network: &Network,
    parsed: &Proposal,
    value: &Value,
    keys: &[(AgentId, AgentKey)],
) -> Vec<u8> {
    let instance = instance(network, parsed).unwrap();
    let mut seats: Vec<Agreement> = keys
        .iter()
        .map(|(closer, _)| Agreement::new(Arc::clone(&instance), Some(*closer), Millis(0)))
        .collect();
    for (seat, (_, key)) in seats.iter_mut().zip(keys) {
        seat.offer(Millis(0), value.clone(), key);
    }
    for _ in 0..100 {
        let mut said = Vec::new();
        for (seat, (_, key)) in seats.iter_mut().zip(keys) {
            while let Some(output) = seat.poll() {
                match output {
                    Output::Keep(entry) => said.push(entry.message().clone()),
                    Output::Judge(value) => {
                        seat.judge(Millis(0), value.id(), true, key);
                    }
                    Output::Decided { certificate, .. } => return certificate.bytes().to_vec(),
                    Output::Send(_)
                    | Output::Answer(_)
                    | Output::WakeAt(_)
                    | Output::Evidence(_)
                    | Output::Doubled(_) => {}
                }
            }
        }
        for (seat, (_, key)) in seats.iter_mut().zip(keys) {
            for message in &said {
                seat.handle(Millis(0), message, key);
            }
        }
    }
    panic!("nothing is agreed on")
}

pub(super) struct Story {
    pub(super) proposal: Record,
    pub(super) reports: Vec<Record>,
    pub(super) ballots: Vec<Record>,
    /// What trustees published of sealed ballots.
    pub(super) openings: Vec<Record>,
    pub(super) commit: Vec<u8>,
}

impl Story {
    /// Each voter says this; the first closers report all of it.
    pub(super) fn of(
        rule: Rule,
        terms: &ClosedTerms,
        electorate: &Electorate,
        said: &[(u8, Choice)],
    ) -> Self {
        let proposal = proposal(rule, electorate, terms);
        Self::told(proposal, electorate, said)
    }

    /// The same, on a proposal that is there.
    pub(super) fn told(proposal: Record, electorate: &Electorate, said: &[(u8, Choice)]) -> Self {
        let count = u8::try_from(electorate.voters().len()).unwrap();
        let ballots: Vec<_> = said.iter().map(|(n, choice)| ballot(&agent(*n), &proposal, choice)).collect();
        let mut rows: Vec<_> =
            said.iter().zip(&ballots).map(|((n, _), ballot)| (place(electorate, *n), ballot.id())).collect();
        rows.sort_unstable();
        let needed = u8::try_from(crate::Closing::reports_needed(count.into())).unwrap();
        let reports: Vec<_> = (1..=needed).map(|n| report(&agent(n), &proposal, &rows)).collect();
        Self::agree(proposal, reports, ballots, count)
    }

    fn agree(proposal: Record, reports: Vec<Record>, ballots: Vec<Record>, count: u8) -> Self {
        let set = ReportSet::new(count.into(), reports.iter().map(Record::id)).unwrap();
        let parsed = Proposal::from_record(&proposal).unwrap();
        let commit = agreed(&parsed, &Value::new(&set.to_bytes()).unwrap(), count);
        Self { proposal, reports, ballots, openings: Vec::new(), commit }
    }

    pub(super) fn certificate(&self) -> Option<ClosedCertificate> {
        let Self { proposal, reports, ballots, openings, commit } = self;
        ClosedCertificate::write(&network(), proposal, reports, ballots, openings, &[], commit)
    }

    pub(super) fn verified(&self) -> ClosedVerified {
        ClosedCertificate::verify(&self.certificate().unwrap().to_bytes(), Some(network().id())).unwrap()
    }
}

fn ranking(options: &[u8]) -> Choice {
    Choice::Ranking(options.into())
}

/// Tennessee: 42 for Memphis, 26 for Nashville, 15 for Chattanooga, 17 for Knoxville, here as weights of four voters.
fn tennessee(rule: Rule) -> Story {
    let weights = [42, 26, 15, 17];
    let voters = (1..).zip(weights).map(|(n, weight)| Voter { agent: agent(n).agent(), weight });
    let electorate = Electorate::weighted(voters.collect()).unwrap();
    let said = [
        (1, ranking(&[0, 1, 2, 3])),
        (2, ranking(&[1, 2, 3, 0])),
        (3, ranking(&[2, 3, 1, 0])),
        (4, ranking(&[3, 2, 1, 0])),
    ];
    Story::of(rule, &ClosedTerms::default(), &electorate, &said)
}

#[test]
fn the_known_answers_of_the_specification_come_out_of_certificates() {
    let irv = tennessee(Rule::Ranked).verified();
    assert_eq!(irv.count.decides(), Outcome::Decided(3));
    let tallies: Vec<_> = irv.count.outcome.rounds.iter().map(|round| round.tally.clone()).collect();
    assert_eq!(tallies[0], [Some(42), Some(26), Some(15), Some(17)]);
    assert_eq!(tallies[1], [Some(42), Some(26), None, Some(32)]);
    assert_eq!(tallies[2], [Some(42), None, None, Some(58)]);
    assert_eq!(tennessee(Rule::Schulze).verified().count.decides(), Outcome::Decided(1));
}

#[test]
fn no_byte_of_a_certificate_can_be_changed_or_left_out() {
    let bytes = tennessee(Rule::Ranked).certificate().unwrap().to_bytes();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(crate::verify_file(&altered, Some(network().id())).is_err(), "byte {at}");
    }
    for len in (0..bytes.len()).step_by(97) {
        assert!(crate::verify_file(&bytes[..len], None).is_err(), "{len} bytes");
    }
}

#[test]
fn who_voted_twice_is_void_if_both_ballots_were_reported() {
    let electorate = electorate(4);
    let proposal = proposal(Rule::Majority, &electorate, &ClosedTerms::default());
    let option = |n, index| ballot(&agent(n), &proposal, &Choice::Option(index));
    let ballots = [option(1, 0), option(2, 1), option(3, 1), option(4, 0), option(4, 1)];
    let row = |n: u8, at: usize| (place(&electorate, n), ballots[at].id());
    let rows = |last: usize| {
        let mut rows = vec![row(1, 0), row(2, 1), row(3, 2), row(4, last)];
        rows.sort_unstable();
        rows
    };
    let reports = vec![
        report(&agent(1), &proposal, &rows(3)),
        report(&agent(2), &proposal, &rows(4)),
        report(&agent(3), &proposal, &rows(3)),
    ];
    let story = Story::agree(proposal, reports, ballots.to_vec(), 4);
    let verified = story.verified();
    assert_eq!(verified.manifest.void.iter().copied().collect::<Vec<_>>(), [agent(4).agent()]);
    assert_eq!(verified.count.decides(), Outcome::Decided(1));
    assert_eq!((verified.count.participating, verified.closers.1), (3, 4));
}

#[test]
fn ballots_and_reports_are_exactly_those_that_were_agreed_on() {
    let story = tennessee(Rule::Ranked);
    let certificate = story.certificate().unwrap();
    let verify = |certificate: &ClosedCertificate| {
        ClosedCertificate::verify(&certificate.to_bytes(), None).unwrap_err().to_string()
    };
    let mut fewer = certificate.clone();
    fewer.ballots = List::try_from(certificate.ballots[1..].to_vec()).unwrap();
    assert!(verify(&fewer).contains("the reports name"));
    let mut fewer = certificate.clone();
    fewer.reports = List::try_from(certificate.reports[1..].to_vec()).unwrap();
    assert!(verify(&fewer).contains("close reports"));
    // A report that was not agreed on.
    let mut other = story.reports.clone();
    other[0] = report(&agent(1), &story.proposal, &[]);
    let write = |reports: &[Record], ballots: &[Record]| {
        ClosedCertificate::write(&network(), &story.proposal, reports, ballots, &[], &[], &story.commit)
    };
    assert_eq!(write(&other, &story.ballots), None);
    assert_eq!(write(&story.reports, &story.ballots[1..]), None);
    let direct = Certificate::verify(&certificate.to_bytes(), None);
    assert!(matches!(direct, Err(CertificateError::Malformed(_))), "{direct:?}");
}

#[test]
fn delegation_is_followed_and_a_cycle_abstains() {
    let terms = ClosedTerms { delegation: true, ..ClosedTerms::default() };
    let to = |n: u8| Choice::Delegate(agent(n).agent());
    let said = [(1, Choice::Option(0)), (2, to(1)), (3, to(4)), (4, to(3))];
    let verified = Story::of(Rule::Majority, &terms, &electorate(4), &said).verified();
    assert_eq!(verified.count.decides(), Outcome::Decided(0));
    assert_eq!((verified.count.first_tallies()[0], verified.count.abstaining), (2, 2));
}

#[test]
fn too_few_is_a_rejection_that_is_proved_as_well() {
    let quorum = Some(crate::Quorum::Share { num: 3, den: 4 });
    let terms = ClosedTerms { quorum, ..ClosedTerms::default() };
    let said = [(1, Choice::Option(0)), (2, Choice::Option(0))];
    let verified = Story::of(Rule::Majority, &terms, &electorate(4), &said).verified();
    assert_eq!(verified.count.decides(), Outcome::Rejected(Rejection::NoQuorum));
    let said = [(1, Choice::Option(0)), (2, Choice::Option(1)), (3, Choice::Abstain)];
    let verified = Story::of(Rule::Majority, &terms, &electorate(4), &said).verified();
    assert_eq!(verified.count.decides(), Outcome::Rejected(Rejection::TooFew));
}

#[test]
fn weights_up_to_the_largest_are_counted() {
    let voters = (1..=2).map(|n| Voter { agent: agent(n).agent(), weight: u64::MAX / 2 });
    let electorate = Electorate::weighted(voters.collect()).unwrap();
    let said = [(1, Choice::Scores([5, 0, 0, 0].into())), (2, Choice::Scores([0, 5, 0, 1].into()))];
    let verified = Story::of(Rule::Star, &ClosedTerms::default(), &electorate, &said).verified();
    assert_eq!(verified.count.decides(), Outcome::Rejected(Rejection::Tied));
    assert_eq!(verified.count.participating, u64::MAX - 1);
}

/// The bytes under fixtures/ are part of docs/spec/voting.md.
#[test]
fn golden_bytes_of_a_closed_certificate_have_not_changed() {
    super::golden("closed-certificate", &tennessee(Rule::Ranked).certificate().unwrap().to_bytes());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the time that it takes is shown")]
fn a_closed_certificate_of_a_thousand_voters_is_verified_soon() {
    // As many voters as there can be, closed by a committee of four.
    let committee: Vec<_> = (1..=4).map(|n| agent(n).agent()).collect();
    let mut genesis = network().genesis().clone();
    genesis.committee = List::try_from(committee).unwrap();
    let network = Network::new(genesis).unwrap();
    let keys: Vec<AgentKey> = (0..VOTERS_MAX as u32)
        .map(|n| AgentKey::from_seed(&[&n.to_be_bytes()[..], &[9; 28]].concat().try_into().unwrap()))
        .collect();
    let electorate = Electorate::equal(keys.iter().map(AgentKey::agent).collect()).unwrap();
    let options = ["a", "b"].map(str::to_owned);
    let rule = Rule::Majority;
    let question =
        Question { text: "?", options: &options, rule, electorate: &electorate, window_ms: 1, nonce: [0; 8] };
    let terms = ClosedTerms { by_committee: true, ..ClosedTerms::default() };
    let body = cbor::to_vec(&ProposalBody::closed(&question, &terms).unwrap());
    let signed = |key: &AgentKey, kind, content| {
        let draft = Draft { content, ..chain(key, kind, None, Vec::new()) };
        draft.sign(key, &network).unwrap()
    };
    let proposal = signed(&agent(1), Kind::Proposal, Content::Body(body));
    let parsed = Proposal::from_record(&proposal).unwrap();
    let ballots: Vec<_> = keys
        .iter()
        .map(|key| {
            let leaves = vec![leaf(proposal.id(), &Choice::Option(0))];
            signed(key, Kind::BallotBatch, Content::Leaves(leaves))
        })
        .collect();
    let place =
        |record: &Record| electorate.voters().iter().position(|voter| voter.agent == record.agent()).unwrap();
    let mut rows: Vec<_> =
        ballots.iter().map(|ballot| (u16::try_from(place(ballot)).unwrap(), ballot.id())).collect();
    rows.sort_unstable();
    let report = |n: u8| {
        let body = cbor::to_vec(&CloseReport::body(proposal.id(), &rows).unwrap());
        signed(&agent(n), Kind::CloseReport, Content::Body(body))
    };
    let reports: Vec<_> = (1..=3).map(report).collect();
    let set = ReportSet::new(4, reports.iter().map(Record::id)).unwrap();
    let commit = agreed_in(&network, &parsed, &Value::new(&set.to_bytes()).unwrap(), 4);
    let certificate = ClosedCertificate::write(&network, &proposal, &reports, &ballots, &[], &[], &commit)
        .unwrap()
        .to_bytes();
    let start = std::time::Instant::now();
    let verified = ClosedCertificate::verify(&certificate, None).unwrap();
    println!("1,000 voters: {} bytes, verified in {} ms", certificate.len(), start.elapsed().as_millis());
    assert_eq!(verified.count.participating, 1_000);
    assert!(certificate.len() < 640 * 1_024, "{} bytes", certificate.len());
}

#[test]
fn a_groups_closed_certificate_proves_who_its_members_were() {
    let mut records = vec![althing_testkit::founding(&agent(1), "translators")];
    let group = GroupId(records[0].id().0);
    for n in 2..=4 {
        let (prev, add) = (records.last().unwrap().id(), Change::Add(agent(n).agent()));
        records.push(althing_testkit::membership(&agent(1), group, prev, add));
    }
    let state = GroupState { group, head: records[3].id() };
    let electorate = Electorate::of_group(state, (1..=4).map(|n| agent(n).agent()).collect()).unwrap();
    let said = [(1, Choice::Option(0)), (2, Choice::Option(0)), (3, Choice::Option(1))];
    let story = Story::of(Rule::Majority, &ClosedTerms::default(), &electorate, &said);
    assert_eq!(story.certificate(), None, "without the group's records nothing is proved");
    let write = |others: &[Record]| {
        ClosedCertificate::write(
            &network(),
            &story.proposal,
            &story.reports,
            &story.ballots,
            &[],
            others,
            &story.commit,
        )
    };
    let certificate = write(&records).unwrap();
    let verify = |certificate: &ClosedCertificate| ClosedCertificate::verify(&certificate.to_bytes(), None);
    assert_eq!(verify(&certificate).unwrap().proposal.electorate.group(), Some(state));
    let bare = ClosedCertificate { group: None, ..certificate };
    assert!(matches!(verify(&bare), Err(CertificateError::Group(_))));
    assert_eq!(write(&records[1..]), None);
}

#[test]
fn closers_who_signed_the_agreement_with_rotated_keys_bring_their_identity() {
    let story = tennessee(Rule::Ranked);
    let parsed = Proposal::from_record(&story.proposal).unwrap();
    let set = ReportSet::new(4, story.reports.iter().map(Record::id)).unwrap();
    let value = Value::new(&set.to_bytes()).unwrap();
    let later = |n: u8| if n > 2 { agent(n + 100) } else { agent(n) };
    let keys: Vec<_> = (1..=4).map(|n| (agent(n).agent(), later(n))).collect();
    let commit = agreed_by(&network(), &parsed, &value, &keys);
    let identities: Vec<_> = (1..=4).map(|n| super::rotated(&agent(n), &agent(n + 100))).collect();
    let write = |others: &[Record]| {
        let Story { proposal, reports, ballots, .. } = &story;
        ClosedCertificate::write(&network(), proposal, reports, ballots, &[], others, &commit)
    };
    let certificate = write(&identities.concat()).unwrap();
    let rotated = CommitCertificate::rotated(&commit, &instance(&network(), &parsed).unwrap()).unwrap();
    assert!(!rotated.is_empty());
    assert_eq!(certificate.identities.len(), 2 * rotated.len(), "those of who signed with another key alone");
    let verified = ClosedCertificate::verify(&certificate.to_bytes(), None).unwrap();
    assert_eq!(verified.count.decides(), Outcome::Decided(3));
    assert!(write(&[]).is_none(), "without their identity records nothing shows whose keys these are");

    let without = ClosedCertificate { identities: List::default(), ..certificate.clone() };
    let error = ClosedCertificate::verify(&without.to_bytes(), None).unwrap_err();
    assert!(
        matches!(&error, CertificateError::Agreement(cause) if cause.contains("is not known to be")),
        "{error}"
    );
    // The rotations of another agent to the very same keys prove nothing.
    let foreign = |n: u8| super::rotated(&agent(n + 50), &agent(n + 100));
    let mut blobs: Vec<_> = (3..=4).flat_map(foreign).collect();
    blobs.sort_by_key(Record::id);
    let blobs: Vec<_> =
        blobs.iter().map(|record| Blob::try_from(record.envelope().to_vec()).unwrap()).collect();
    let foreign = ClosedCertificate { identities: blobs.try_into().unwrap(), ..certificate.clone() };
    let error = ClosedCertificate::verify(&foreign.to_bytes(), None).unwrap_err();
    assert!(matches!(error, CertificateError::Agreement(_)), "{error}");
    let mut more: Vec<Record> = identities.concat();
    more.retain(|record| rotated.contains(&record.agent()) || record.agent() == agent(1).agent());
    more.sort_by_key(Record::id);
    let blobs: Vec<_> =
        more.iter().map(|record| Blob::try_from(record.envelope().to_vec()).unwrap()).collect();
    let more = ClosedCertificate { identities: blobs.try_into().unwrap(), ..certificate.clone() };
    assert_eq!(ClosedCertificate::verify(&more.to_bytes(), None), Err(CertificateError::Surplus));

    let bytes = certificate.to_bytes();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(ClosedCertificate::verify(&changed, None).is_err(), "byte {at}");
    }
}
