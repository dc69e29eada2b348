use althing_record::{AgentId, Change, GroupId, Membership};
use althing_testkit::{chain, founding, identity, membership, rotation};

use super::*;
use crate::GroupState;

/// A group that agent 1 founded and to which it then added the agents up to `count`, one by one.
fn group(count: u8) -> Vec<Record> {
    let mut records = vec![founding(&agent(1), "translators")];
    let group = GroupId(records[0].id().0);
    for n in 2..=count {
        let prev = records.last().map(Record::id).unwrap();
        records.push(membership(&agent(1), group, prev, Change::Add(agent(n).agent())));
    }
    records
}

fn electorate(records: &[Record], members: Vec<AgentId>) -> Electorate {
    let state = GroupState { group: GroupId(records[0].id().0), head: records.last().unwrap().id() };
    Electorate::of_group(state, members).unwrap()
}

fn agents(of: std::ops::RangeInclusive<u8>) -> Vec<AgentId> {
    of.map(|n| agent(n).agent()).collect()
}

/// A motion of a group of five that four of them decided, with the group's records.
fn decided_in_group() -> (Vec<Record>, Certificate) {
    let records = group(5);
    let proposal = motion(&electorate(&records, agents(1..=5)), Rule::Approvals(0));
    let batches = ballots(1..=4, &proposal, YES);
    let mut unordered = records.clone();
    unordered.reverse();
    let certificate = Certificate::write(&network(), &proposal, &batches, &unordered).unwrap();
    (records, certificate)
}

fn with_records(certificate: &Certificate, records: &[Record]) -> Result<Verified, CertificateError> {
    let blobs: Vec<_> = records.iter().map(|record| record.envelope().to_vec().try_into().unwrap()).collect();
    verify(&Certificate { group: Some(blobs.try_into().unwrap()), ..certificate.clone() })
}

fn group_fault<T: std::fmt::Debug>(result: Result<T, CertificateError>) -> String {
    let Err(CertificateError::Group(cause)) = result else {
        panic!("expected the group at fault, found {result:?}")
    };
    cause
}

#[test]
fn a_groups_certificate_proves_who_its_members_were() {
    let (records, certificate) = decided_in_group();
    let verified = verify(&certificate).unwrap();
    assert_eq!(verified.proposal.electorate.group().unwrap().head, records[4].id());
    assert_eq!(verified.weight, 4);
    let bytes = certificate.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Certificate::verify(&changed, Some(network().id())).is_err(), "byte {at}");
    }
}

#[test]
fn a_groups_certificate_holds_all_records_on_the_way_and_no_others() {
    let (records, certificate) = decided_in_group();
    assert_eq!(
        group_fault(verify(&Certificate { group: None, ..certificate.clone() })),
        "the records of its members are missing"
    );
    assert!(group_fault(with_records(&certificate, &records[..4])).contains("not of the state"));
    assert!(group_fault(with_records(&certificate, &group(6))).contains("not of the state"));
    let gap = [&records[..2], &records[3..]].concat();
    assert!(group_fault(with_records(&certificate, &gap)).contains("does not follow"));
    let (_, plain) = decided();
    assert_eq!(group_fault(with_records(&plain, &records)), "the electorate is no group's");
    let proposal = motion(&electorate(&records, agents(1..=5)), Rule::Approvals(0));
    let batches = ballots(1..=4, &proposal, YES);
    assert_eq!(Certificate::write(&network(), &proposal, &batches, &records[1..]), None, "one is missing");
}

#[test]
fn an_electorate_that_is_not_the_members_is_refused() {
    let records = group(5);
    let attempt = |electorate: &Electorate, voters| {
        let proposal = motion(electorate, Rule::Approvals(0));
        let batches = ballots(voters, &proposal, YES);
        verify(&Certificate::write(&network(), &proposal, &batches, &records).unwrap())
    };
    let fewer = electorate(&records, agents(1..=4));
    assert_eq!(group_fault(attempt(&fewer, 1..=4)), "the electorate is not the members");
    let others = electorate(&records, agents(2..=6));
    assert_eq!(group_fault(attempt(&others, 2..=5)), "the electorate is not the members");
}

#[test]
fn a_stranger_cannot_have_proposed_to_a_group() {
    let mut records = vec![founding(&agent(2), "others")];
    let group = GroupId(records[0].id().0);
    let prev = records[0].id();
    records.push(membership(&agent(2), group, prev, Change::Add(agent(3).agent())));
    // Agent 1 proposes.
    let proposal = motion(&electorate(&records, agents(2..=3)), Rule::Unanimous);
    let batches = ballots(2..=3, &proposal, YES);
    let certificate = Certificate::write(&network(), &proposal, &batches, &records).unwrap();
    assert_eq!(group_fault(verify(&certificate)), "the proposer was no member");
}

#[test]
fn an_admin_that_forks_its_identity_later_takes_no_certificate_away() {
    let (admin, rotated, recovery) = (agent(2), agent(102), agent(200));
    let inception = sign(identity(&admin, &recovery), &admin);
    let turn = sign(rotation(&inception, None, &rotated), &admin);
    let body = Rotation { new_key: agent(103).public(), new_recovery_key_hash: None };
    let fork = chain(&recovery, Kind::Rotation, Some(&inception), cbor::to_vec(&body));
    let fork = sign(Draft { agent: admin.agent(), key_event: Some(inception.id()), ..fork }, &recovery);
    let mut records = group(2);
    let group = GroupId(records[0].id().0);
    records.push(membership(&agent(1), group, records[1].id(), Change::Promote(admin.agent())));
    let body = Membership { prev: records[2].id(), change: Change::Add(agent(3).agent()), decision: None };
    let add = chain(&rotated, Kind::Membership, None, cbor::to_vec(&body));
    let add = Draft { agent: admin.agent(), key_event: Some(turn.id()), group: Some(group), ..add };
    records.push(sign(add, &rotated));
    let proposal = motion(&electorate(&records, agents(1..=3)), Rule::Approvals(0));
    let batches = [ballots(1..=1, &proposal, YES), ballots(3..=3, &proposal, YES)].concat();
    for identities in [vec![inception.clone(), turn.clone()], vec![inception, turn, fork]] {
        let others = [records.clone(), identities].concat();
        let certificate = Certificate::write(&network(), &proposal, &batches, &others).unwrap();
        assert_eq!(verify(&certificate).map(|verified| verified.weight), Ok(2));
    }
}
