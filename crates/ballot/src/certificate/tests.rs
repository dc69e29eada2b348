mod closed;
mod docket;
mod group;
mod holders;
mod sealed;

use althing_record::{AgentKey, Draft, Kind, Record, RecordId, Rotation, recovery_key_hash};
use althing_testkit::{agent, foreign_network, identity, leaves, network, rotation, sign};

use super::*;
use crate::{BALLOTS_MAX, Electorate, ProposalBody, Rule, Voter, leaf};

const YES: Choice = Choice::Option(0);
const NO: Choice = Choice::Option(1);

fn motion(electorate: &Electorate, rule: Rule) -> Record {
    let body = ProposalBody::direct("merge PR 12?", &[], rule, electorate, 60_000, [7; 8]).unwrap();
    let body = cbor::to_vec(&body);
    sign(althing_testkit::chain(&agent(1), Kind::Proposal, None, body), &agent(1))
}

/// A motion of the first `count` agents.
fn question(count: u8) -> Record {
    motion(&Electorate::equal((1..=count).map(|n| agent(n).agent()).collect()).unwrap(), Rule::Approvals(0))
}

fn ballot(key: &AgentKey, proposal: &Record, choice: Choice) -> Record {
    sign(leaves(key, None, vec![leaf(proposal.id(), &choice)]), key)
}

fn ballots(voters: std::ops::RangeInclusive<u8>, proposal: &Record, choice: Choice) -> Vec<Record> {
    voters.map(|n| ballot(&agent(n), proposal, choice.clone())).collect()
}

/// Four of five voters say yes.
fn decided() -> (Record, Certificate) {
    let proposal = question(5);
    let batches = ballots(1..=4, &proposal, YES);
    let certificate = Certificate::write(&network(), &proposal, &batches, &[]).unwrap();
    (proposal, certificate)
}

fn verify(certificate: &Certificate) -> Result<Verified, CertificateError> {
    Certificate::verify(&certificate.to_bytes(), Some(network().id()))
}

/// The proofs, ascending by voter, of batches of one ballot each.
fn proofs(batches: &[Record]) -> List<VoteProof, VOTERS_MAX> {
    let mut batches: Vec<_> = batches.iter().collect();
    batches.sort_by_key(|batch| batch.agent());
    let proofs: Vec<_> = batches.into_iter().map(|batch| VoteProof::of(batch, 0).unwrap()).collect();
    proofs.try_into().unwrap()
}

fn fault(error: CertificateError) -> &'static str {
    let CertificateError::Vote { cause, .. } = error else {
        panic!("expected a vote at fault, found {error}")
    };
    cause
}

#[test]
fn certificate_round_trips_and_recounts() {
    let (proposal, certificate) = decided();
    let verified = verify(&certificate).unwrap();
    assert_eq!(verified.proposal.id, proposal.id());
    assert_eq!((verified.option.as_str(), verified.weight), ("yes", 4));
    let mut voters: Vec<_> = (1..=4).map(|n| agent(n).agent()).collect();
    voters.sort_unstable();
    assert_eq!(verified.voters, voters);
    let bytes = certificate.to_bytes();
    assert_eq!(cbor::from_slice::<Certificate>(&bytes, LIMITS), Ok(certificate));
    assert!(Certificate::verify(&bytes, None).is_ok());
}

#[test]
fn certificate_with_any_byte_changed_is_refused() {
    let bytes = decided().1.to_bytes();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let expected = Some(network().id());
            assert!(
                Certificate::verify(&changed, expected).is_err(),
                "byte {at} of {} ^ {mask:#x}",
                bytes.len()
            );
        }
    }
}

#[test]
fn certificate_cut_or_with_more_behind_is_refused() {
    let bytes = decided().1.to_bytes();
    for length in 0..bytes.len() {
        assert!(Certificate::verify(&bytes[..length], None).is_err(), "{length} bytes");
    }
    assert!(Certificate::verify(&[&bytes[..], &[0]].concat(), None).is_err());
    let long = vec![0; CERTIFICATE_BYTES_MAX + 1];
    assert_eq!(Certificate::verify(&long, None), Err(CertificateError::TooLong { found: long.len() }));
}

#[test]
fn certificate_of_another_network_is_refused() {
    let (_, certificate) = decided();
    let expected = foreign_network().id();
    assert_eq!(
        Certificate::verify(&certificate.to_bytes(), Some(expected)),
        Err(CertificateError::ForeignNetwork { found: network().id(), expected })
    );
    let moved = Certificate { genesis: foreign_network().to_bytes().try_into().unwrap(), ..certificate };
    assert!(matches!(
        Certificate::verify(&moved.to_bytes(), None),
        Err(CertificateError::Record { error: VerifyError::ForeignNetwork { .. }, .. })
    ));
}

#[test]
fn too_few_votes_certify_nothing() {
    let proposal = question(5);
    let three = ballots(1..=3, &proposal, YES);
    assert_eq!(Certificate::write(&network(), &proposal, &three, &[]), None);
    let (_, certificate) = decided();
    let certificate = Certificate { votes: proofs(&three), ..certificate };
    assert_eq!(verify(&certificate), Err(CertificateError::TooFew { found: 3, needed: 4 }));
}

#[test]
fn votes_of_strangers_and_repeated_votes_are_refused() {
    let (proposal, certificate) = decided();
    let mut batches = ballots(1..=4, &proposal, YES);
    batches.extend(ballots(9..=9, &proposal, YES));
    // Written all the same, without the stranger.
    let written = Certificate::write(&network(), &proposal, &batches, &[]).unwrap();
    assert_eq!(written, certificate);
    let forged = Certificate { votes: proofs(&batches), ..certificate.clone() };
    assert_eq!(fault(verify(&forged).unwrap_err()), "the voter is not in the electorate");

    let twice = [&batches[..3], &batches[..1]].concat();
    let forged = Certificate { votes: proofs(&twice), ..certificate.clone() };
    assert_eq!(fault(verify(&forged).unwrap_err()), "the voters are not in ascending order");

    let mut votes = certificate.votes.clone().into_inner();
    votes.swap(0, 1);
    let shuffled = Certificate { votes: votes.try_into().unwrap(), ..certificate };
    assert_eq!(fault(verify(&shuffled).unwrap_err()), "the voters are not in ascending order");
}

#[test]
fn votes_for_something_else_are_refused() {
    let (proposal, certificate) = decided();
    let other = question(6);
    for batch in [ballot(&agent(1), &proposal, NO), ballot(&agent(1), &other, YES)] {
        let batches = [vec![batch], ballots(2..=4, &proposal, YES)].concat();
        let forged = Certificate { votes: proofs(&batches), ..certificate.clone() };
        assert_eq!(fault(verify(&forged).unwrap_err()), "the ballot is not for this option of this proposal");
    }
    let mut votes = certificate.votes.clone().into_inner();
    votes[0].leaf = leaf(RecordId([1; 32]), &YES).try_into().unwrap();
    let forged = Certificate { votes: votes.try_into().unwrap(), ..certificate.clone() };
    assert_eq!(fault(verify(&forged).unwrap_err()), "the ballot is not among those that were signed");
    let mut votes = certificate.votes.clone().into_inner();
    votes[0].batch = proposal.envelope().to_vec().try_into().unwrap();
    let forged = Certificate { votes: votes.try_into().unwrap(), ..certificate };
    assert_eq!(fault(verify(&forged).unwrap_err()), "the record is not a batch of ballots");
}

#[test]
fn what_leaves_things_as_they_are_has_no_certificate() {
    let proposal = question(5);
    let batches = ballots(1..=5, &proposal, NO);
    assert_eq!(Certificate::write(&network(), &proposal, &batches, &[]), None);
    let (_, certificate) = decided();
    let against = Certificate { option: 1, votes: proofs(&batches), ..certificate.clone() };
    assert_eq!(verify(&against), Err(CertificateError::Option(1)));
    assert_eq!(verify(&Certificate { option: 9, ..certificate }), Err(CertificateError::Option(9)));
}

#[test]
fn conflicting_ballots_beyond_the_tolerance_certify_nothing() {
    let options = ["red".to_owned(), "blue".to_owned()];
    let voters = Electorate::equal((1..=4).map(|n| agent(n).agent()).collect()).unwrap();
    let body = ProposalBody::direct("?", &options, Rule::Approvals(0), &voters, 1, [0; 8]).unwrap();
    let body = cbor::to_vec(&body);
    let proposal = sign(althing_testkit::chain(&agent(1), Kind::Proposal, None, body), &agent(1));
    let reds = ballots(1..=3, &proposal, YES);
    assert!(Certificate::write(&network(), &proposal, &reds, &[]).is_some());
    let both = [reds, ballots(2..=4, &proposal, NO)].concat();
    assert_eq!(Certificate::write(&network(), &proposal, &both, &[]), None);
}

#[test]
fn weights_are_added_up() {
    let voters = (1..=7).map(|n| Voter { agent: agent(n).agent(), weight: 1 + u64::from(n % 2) }).collect();
    let electorate = Electorate::weighted(voters).unwrap();
    // W = 11, F = 3, T = 8.
    let proposal = motion(&electorate, Rule::Approvals(0));
    let five = ballots(1..=5, &proposal, YES);
    let certificate = Certificate::write(&network(), &proposal, &five, &[]).unwrap();
    assert_eq!(verify(&certificate).unwrap().weight, 8);
    assert_eq!(Certificate::write(&network(), &proposal, &five[..4], &[]), None);
}

#[test]
fn ballots_out_of_full_batches_are_proved_by_their_paths() {
    let proposal = question(4);
    for count in [2, 3, 100, BALLOTS_MAX] {
        let batches: Vec<_> = (1..=3)
            .map(|n| {
                let others = (0..count).map(|other| {
                    let mut id = [n; 32];
                    id[..8].copy_from_slice(&(other as u64).to_be_bytes());
                    leaf(RecordId(id), &NO)
                });
                let mut all: Vec<_> = others.collect();
                let at = usize::from(n) * (count - 1) / 3;
                all[at] = leaf(proposal.id(), &YES);
                sign(leaves(&agent(n), None, all), &agent(n))
            })
            .collect();
        let certificate = Certificate::write(&network(), &proposal, &batches, &[]).unwrap();
        assert!(verify(&certificate).is_ok(), "{count} ballots a batch");
        let mut votes = certificate.votes.clone().into_inner();
        votes[0].index = (votes[0].index + 1) % u32::try_from(count).unwrap();
        let moved = Certificate { votes: votes.try_into().unwrap(), ..certificate };
        assert!(verify(&moved).is_err(), "{count} ballots a batch");
    }
}

/// An agent whose key was rotated to `new`: its identity records.
fn rotated(key: &AgentKey, new: &AgentKey) -> [Record; 2] {
    let inception = sign(identity(key, &agent(200)), key);
    let rotation = sign(rotation(&inception, None, new), key);
    [inception, rotation]
}

#[test]
fn voters_with_rotated_keys_bring_their_identity() {
    let proposal = question(4);
    let (old, new) = (agent(1), agent(101));
    let records = rotated(&old, &new);
    let draft = leaves(&old, None, vec![leaf(proposal.id(), &YES)]);
    let batch = sign(Draft { key_event: Some(records[1].id()), ..draft }, &new);
    let batches = [vec![batch], ballots(2..=3, &proposal, YES)].concat();

    // Identity records of others are left out.
    let stranger = rotated(&agent(3), &agent(103));
    let known = [&records[..], &stranger[..], &records[..1]].concat();
    let certificate = Certificate::write(&network(), &proposal, &batches, &known).unwrap();
    assert_eq!(certificate.identities.len(), 2);
    assert_eq!(verify(&certificate).unwrap().voters.len(), 3);

    let without = Certificate { identities: List::default(), ..certificate.clone() };
    assert_eq!(fault(verify(&without).unwrap_err()), "the signing key is not proved to be its agent's");

    let blob = |record: &Record| Blob::try_from(record.envelope().to_vec()).unwrap();
    for extra in [&stranger[0], &records[0]] {
        let mut identities = certificate.identities.clone().into_inner();
        identities.push(blob(extra));
        let more = Certificate { identities: identities.try_into().unwrap(), ..certificate.clone() };
        assert_eq!(verify(&more), Err(CertificateError::Surplus));
    }
}

#[test]
fn ballot_under_a_key_that_lost_a_fork_is_not_proved() {
    let proposal = question(4);
    let (old, stolen, recovery) = (agent(1), agent(101), agent(200));
    let [inception, theft] = rotated(&old, &stolen);
    let body = Rotation { new_key: agent(102).public(), new_recovery_key_hash: None };
    let rescue = althing_testkit::chain(&recovery, Kind::Rotation, Some(&inception), cbor::to_vec(&body));
    let rescue = Draft { agent: old.agent(), key_event: Some(inception.id()), ..rescue };
    let rescue = sign(rescue, &recovery);
    assert_eq!(recovery_key_hash(&recovery.public()), recovery_key_hash(rescue.signing_key()));
    let draft = leaves(&old, None, vec![leaf(proposal.id(), &YES)]);
    let batch = sign(Draft { key_event: Some(theft.id()), ..draft }, &stolen);
    let batches = [vec![batch], ballots(2..=3, &proposal, YES)].concat();
    let certificate =
        Certificate::write(&network(), &proposal, &batches, &[inception, theft, rescue]).unwrap();
    assert_eq!(fault(verify(&certificate).unwrap_err()), "the signing key is not proved to be its agent's");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement for people; nothing depends on it")]
fn certificate_of_a_thousand_voters_is_small_and_verifies() {
    let keys: Vec<_> = (0..VOTERS_MAX as u32)
        .map(|n| {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&n.to_be_bytes());
            AgentKey::from_seed(&seed)
        })
        .collect();
    let electorate = Electorate::equal(keys.iter().map(AgentKey::agent).collect()).unwrap();
    let proposal = motion(&electorate, Rule::Unanimous);
    let batches: Vec<_> = keys.iter().map(|key| ballot(key, &proposal, YES)).collect();
    let certificate = Certificate::write(&network(), &proposal, &batches, &[]).unwrap();
    let bytes = certificate.to_bytes();
    let start = std::time::Instant::now();
    assert_eq!(Certificate::verify(&bytes, None).unwrap().weight, VOTERS_MAX as u64);
    println!("1,000 voters: {} bytes, verified in {} ms", bytes.len(), start.elapsed().as_millis());
    assert!(bytes.len() < 512 * 1_024, "{} bytes", bytes.len());
}

/// Compares with the fixture, or writes it when ALTHING_BLESS=1.
pub(crate) fn golden(name: &str, built: &[u8]) {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.hex"));
    let digits = hex::encode(built);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let text = lines.join("\n") + "\n";
    if std::env::var("ALTHING_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "{name} changed: a change of the format needs its own commit and reason");
}

// A change of these bytes is a change of the format. `ALTHING_BLESS=1 cargo test -p althing-ballot golden` rewrites them.
#[test]
fn golden_bytes_have_not_changed() {
    let (proposal, certificate) = decided();
    golden("proposal", proposal.bytes());
    let options = ["red".to_owned(), "green".to_owned(), "blue".to_owned()];
    let voters = (1..=7).map(|n| Voter { agent: agent(n).agent(), weight: 1 + u64::from(n % 2) }).collect();
    let weighted = Electorate::weighted(voters).unwrap();
    let rule = Rule::SuperMajority { num: 3, den: 4 };
    let body = ProposalBody::direct("which colour?", &options, rule, &weighted, 1_000, [9; 8]).unwrap();
    golden("proposal-body-weighted", &cbor::to_vec(&body));
    let three = [YES, NO, Choice::Abstain];
    let three = three.iter().enumerate().map(|(n, choice)| leaf(RecordId([n as u8; 32]), choice));
    golden("ballot-batch", sign(leaves(&agent(1), None, three.collect()), &agent(1)).bytes());
    golden("certificate", &certificate.to_bytes());
}
