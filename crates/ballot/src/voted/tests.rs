use althing_group::GroupError;
use althing_record::{AgentKey, Content, Draft, GroupId, Kind, RecordId};
use althing_testkit::{agent, chain, founding, identity, leaves, membership, network, rotation, sign};

use super::*;
use crate::{ClosedTerms, Electorate, ProposalBody, Question, Rule, leaf};

/// A group of agents 1, who founded it, to 5.
fn group() -> Vec<Record> {
    let mut records = vec![founding(&agent(1), "translators")];
    let id = GroupId(records[0].id().0);
    for n in 2..=5 {
        let prev = records.last().unwrap().id();
        records.push(membership(&agent(1), id, prev, Change::Add(agent(n).agent())));
    }
    records
}

fn state_of(records: &[Record]) -> State {
    State::replay(records, |state, record, body| VotedChange::check(&network(), state, record, body)).unwrap()
}

fn electorate(state: &State) -> Electorate {
    let of = GroupState { group: state.group(), head: state.head() };
    Electorate::of_group(of, state.members().map(|(agent, _)| agent).collect()).unwrap()
}

fn remove(n: u8) -> Change {
    Change::Remove(agent(n).agent())
}

fn body(state: &State, change: &Change) -> ProposalBody {
    let (question, electorate) = (VotedChange::question(state, change), electorate(state));
    let body = ProposalBody::direct(&question, &[], Rule::Approvals(0), &electorate, 60_000, [7; 8]).unwrap();
    ProposalBody { subject: Some(VotedChange::subject(change).unwrap()), ..body }
}

fn put(by: &AgentKey, body: &ProposalBody) -> Record {
    sign(chain(by, Kind::Proposal, None, cbor::to_vec(body)), by)
}

fn ballots(voters: impl IntoIterator<Item = u8>, proposal: &Record, option: u32) -> Vec<Record> {
    let choice = Choice::Option(option);
    let cast = |n| sign(leaves(&agent(n), None, vec![leaf(proposal.id(), &choice)]), &agent(n));
    voters.into_iter().map(cast).collect()
}

/// The record of a change with a decision, whatever it proves.
fn change_record(by: &AgentKey, group: GroupId, prev: RecordId, change: Change, decision: Vec<u8>) -> Record {
    let body = Membership { prev, change, decision: Some(Blob::try_from(decision).unwrap()) };
    let draft = chain(by, Kind::Membership, None, Vec::new());
    sign(Draft { group: Some(group), content: Content::Body(cbor::to_vec(&body)), ..draft }, by)
}

/// Agent 2, a plain member, puts the removal of agent 5 to the vote, and four of five agree.
fn decided() -> (Vec<Record>, State, Vec<u8>) {
    let records = group();
    let state = state_of(&records);
    let proposal = put(&agent(2), &body(&state, &remove(5)));
    let batches = ballots(1..=4, &proposal, YES);
    let decision = VotedChange::write(&network(), &state, &remove(5), &proposal, &batches, &[]).unwrap();
    (records, state, decision.into_inner())
}

fn follow(records: &[Record], change: &Record) -> Result<State, VotedChangeError> {
    let check = |state: &State, record: &Record, body: &Membership| {
        VotedChange::check(&network(), state, record, body)
    };
    State::replay(&[records, std::slice::from_ref(change)].concat(), check)
}

/// The fault of a change that carries what a changed proposal came to.
fn refused(alter: impl FnOnce(&State, ProposalBody) -> ProposalBody) -> VotedChangeError {
    let records = group();
    let state = state_of(&records);
    let proposal = put(&agent(2), &alter(&state, body(&state, &remove(5))));
    let blob = |record: &Record| Blob::try_from(record.envelope().to_vec()).unwrap();
    let votes = ballots(1..=4, &proposal, YES).iter().map(|batch| VoteProof::of(batch, 0).unwrap()).collect();
    let mut votes: Vec<VoteProof> = votes;
    votes.sort_by_key(|vote| Record::verify(&vote.batch, &network()).unwrap().agent());
    let decision = VotedChange {
        proposal: blob(&proposal),
        votes: votes.try_into().unwrap(),
        identities: List::default(),
    };
    let change = change_record(&agent(2), state.group(), state.head(), remove(5), cbor::to_vec(&decision));
    follow(&records, &change).unwrap_err()
}

#[test]
fn a_plain_member_makes_the_change_that_members_decided_on() {
    let (records, state, decision) = decided();
    let change = change_record(&agent(2), state.group(), state.head(), remove(5), decision);
    let after = follow(&records, &change).unwrap();
    assert!(!after.is_member(agent(5).agent()));
    assert_eq!((after.height(), after.head()), (state.height() + 1, change.id()));
    // Others go on from there, with a decision of the members who are left.
    let records = [records, vec![change]].concat();
    let promote = Change::Promote(agent(3).agent());
    let proposal = put(&agent(3), &body(&after, &promote));
    let batches = ballots(1..=3, &proposal, YES);
    let decision = VotedChange::write(&network(), &after, &promote, &proposal, &batches, &[]).unwrap();
    let next = change_record(&agent(3), after.group(), after.head(), promote, decision.into_inner());
    assert!(follow(&records, &next).unwrap().may_change(agent(3).agent()));
}

#[test]
fn too_few_votes_decide_nothing() {
    let state = state_of(&group());
    let proposal = put(&agent(2), &body(&state, &remove(5)));
    let write =
        |batches: &[Record]| VotedChange::write(&network(), &state, &remove(5), &proposal, batches, &[]);
    assert_eq!(write(&ballots(1..=3, &proposal, YES)), None);
    assert_eq!(write(&ballots(1..=5, &proposal, 1)), None, "all are against it");
    let strangers = [ballots(1..=3, &proposal, YES), ballots(7..=9, &proposal, YES)].concat();
    assert_eq!(write(&strangers), None);
    let twice = [ballots(1..=3, &proposal, YES), ballots(1..=3, &proposal, YES)].concat();
    assert_eq!(write(&twice), None);
    assert!(write(&ballots(2..=5, &proposal, YES)).is_some());
    let (records, state, decision) = decided();
    let mut less: VotedChange = cbor::from_slice(&decision, LIMITS).unwrap();
    less.votes = List::try_from(less.votes.into_inner()[..3].to_vec()).unwrap();
    let change = change_record(&agent(2), state.group(), state.head(), remove(5), cbor::to_vec(&less));
    let error = follow(&records, &change).unwrap_err();
    assert_eq!(error, VotedChangeError::Votes(CertificateError::TooFew { found: 3, needed: 4 }));
}

#[test]
fn a_decision_is_for_one_change_of_one_state_by_who_asked_for_it() {
    let (records, state, decision) = decided();
    let fault = |by: u8, change: Change| {
        let record = change_record(&agent(by), state.group(), state.head(), change, decision.clone());
        follow(&records, &record).unwrap_err()
    };
    assert_eq!(fault(2, remove(4)), VotedChangeError::OtherChange);
    assert_eq!(fault(2, Change::Promote(agent(5).agent())), VotedChangeError::OtherChange);
    assert_eq!(fault(3, remove(5)), VotedChangeError::Author);
    assert_eq!(fault(7, remove(5)), VotedChangeError::Group(GroupError::NotMember(agent(7).agent())));
    // Of the state before, or after: whoever was asked, it was about another one.
    let early = change_record(&agent(2), state.group(), records[3].id(), remove(4), decision.clone());
    assert_eq!(follow(&records[..4], &early).unwrap_err(), VotedChangeError::OtherState);
    let later = membership(&agent(1), state.group(), state.head(), Change::Add(agent(6).agent()));
    let longer = [records.clone(), vec![later.clone()]].concat();
    let late = change_record(&agent(2), state.group(), later.id(), remove(5), decision.clone());
    assert_eq!(follow(&longer, &late).unwrap_err(), VotedChangeError::OtherState);
    // Of another group with the same members.
    let mut other = vec![founding(&agent(1), "others")];
    let id = GroupId(other[0].id().0);
    for n in 2..=5 {
        let prev = other.last().unwrap().id();
        other.push(membership(&agent(1), id, prev, Change::Add(agent(n).agent())));
    }
    let foreign = change_record(&agent(2), id, other[4].id(), remove(5), decision.clone());
    assert_eq!(follow(&other, &foreign).unwrap_err(), VotedChangeError::OtherState);
    let garbage = change_record(&agent(2), state.group(), state.head(), remove(5), vec![0xa0]);
    assert!(matches!(follow(&records, &garbage).unwrap_err(), VotedChangeError::Malformed(_)));
}

#[test]
fn a_vote_that_asks_something_else_or_in_another_way_changes_no_group() {
    let other = refused(|state, body| ProposalBody {
        question: VotedChange::question(state, &remove(4)).as_str().try_into().unwrap(),
        ..body
    });
    assert_eq!(other, VotedChangeError::OtherChange);
    let silent = refused(|_, body| ProposalBody { subject: None, ..body });
    assert_eq!(silent, VotedChangeError::OtherChange);
    let based = refused(|_, body| {
        let subject = VotedChange::subject(&remove(5)).unwrap();
        ProposalBody { subject: Some(Subject { basis: Some(RecordId([7; 32])), ..subject }), ..body }
    });
    assert_eq!(based, VotedChangeError::OtherChange);
    let listed = refused(|state, _| {
        let list = Electorate::equal(state.members().map(|(agent, _)| agent).collect()).unwrap();
        let question = VotedChange::question(state, &remove(5));
        let body = ProposalBody::direct(&question, &[], Rule::Approvals(0), &list, 60_000, [7; 8]).unwrap();
        ProposalBody { subject: VotedChange::subject(&remove(5)).ok(), ..body }
    });
    assert_eq!(listed, VotedChangeError::OtherState);
    let closed = refused(|state, _| {
        let (text, electorate) = (VotedChange::question(state, &remove(5)), electorate(state));
        let question = Question {
            text: &text,
            options: &[],
            rule: Rule::Majority,
            electorate: &electorate,
            window_ms: 60_000,
            nonce: [7; 8],
        };
        let body = ProposalBody::closed(&question, &ClosedTerms::default()).unwrap();
        ProposalBody { subject: VotedChange::subject(&remove(5)).ok(), ..body }
    });
    assert_eq!(closed, VotedChangeError::NotDirect);
    let options = refused(|state, _| {
        let (text, options) =
            (VotedChange::question(state, &remove(5)), ["yes", "no", "later"].map(str::to_owned));
        let electorate = electorate(state);
        let body =
            ProposalBody::direct(&text, &options, Rule::Approvals(0), &electorate, 60_000, [7; 8]).unwrap();
        ProposalBody { subject: VotedChange::subject(&remove(5)).ok(), ..body }
    });
    assert_eq!(options, VotedChangeError::NotDirect);
}

#[test]
fn no_byte_of_a_decision_can_be_changed() {
    let (records, state, decision) = decided();
    for at in 0..decision.len() {
        let mut changed = decision.clone();
        changed[at] ^= 1;
        let change = change_record(&agent(2), state.group(), state.head(), remove(5), changed);
        assert!(follow(&records, &change).is_err(), "byte {at}");
    }
}

#[test]
fn members_with_rotated_keys_bring_their_identity() {
    let state = state_of(&group());
    let proposal = put(&agent(2), &body(&state, &remove(5)));
    let (old, new) = (agent(3), agent(103));
    let inception = sign(identity(&old, &agent(200)), &old);
    let turn = sign(rotation(&inception, None, &new), &old);
    let draft = leaves(&old, None, vec![leaf(proposal.id(), &Choice::Option(YES))]);
    let cast = sign(Draft { key_event: Some(turn.id()), ..draft }, &new);
    let batches = [ballots([1, 2, 4], &proposal, YES), vec![cast]].concat();
    let write = |identities: &[Record]| {
        VotedChange::write(&network(), &state, &remove(5), &proposal, &batches, identities)
    };
    assert!(write(&[inception.clone(), turn.clone()]).is_some());
    assert_eq!(write(&[inception]), None);
}

#[test]
fn a_groups_certificate_replays_what_its_members_decided() {
    use crate::certificate::Certificate;
    let (records, state, decision) = decided();
    let change = change_record(&agent(2), state.group(), state.head(), remove(5), decision);
    let path = [records, vec![change]].concat();
    let after = state_of(&path);
    let question = ProposalBody::direct("?", &[], Rule::Approvals(0), &electorate(&after), 60_000, [8; 8]);
    let proposal = put(&agent(3), &question.unwrap());
    let batches = ballots(1..=3, &proposal, YES);
    let certificate = Certificate::write(&network(), &proposal, &batches, &path).unwrap();
    let verified = Certificate::verify(&certificate.to_bytes(), None).unwrap();
    assert_eq!(verified.voters.len(), 3);
    // Without the decision that removed agent 5 there is no way to that state.
    let body = Membership { prev: state.head(), change: remove(5), decision: None };
    let draft = chain(&agent(2), Kind::Membership, None, cbor::to_vec(&body));
    let usurped = sign(Draft { group: Some(state.group()), ..draft }, &agent(2));
    let after_usurped = GroupState { group: state.group(), head: usurped.id() };
    let members = (1..=4).map(|n| agent(n).agent()).collect();
    let electorate = Electorate::of_group(after_usurped, members).unwrap();
    let question = ProposalBody::direct("?", &[], Rule::Approvals(0), &electorate, 60_000, [8; 8]);
    let proposal = put(&agent(3), &question.unwrap());
    let path = [&path[..5], &[usurped]].concat();
    let certificate =
        Certificate::write(&network(), &proposal, &ballots(1..=3, &proposal, YES), &path).unwrap();
    let error = Certificate::verify(&certificate.to_bytes(), None).unwrap_err();
    assert!(error.to_string().contains("is not an admin of the group"), "{error}");
}

#[test]
fn a_decision_of_as_many_members_as_there_can_be_fits_a_record() {
    let key = |n: u16| AgentKey::from_seed(&[&n.to_be_bytes()[..], &[9; 30]].concat().try_into().unwrap());
    let mut members: Vec<_> = (1..256).map(|n| key(n).agent()).collect();
    members.sort_unstable();
    let founding = althing_record::Founding {
        name: "many".try_into().unwrap(),
        members: List::try_from(members).unwrap(),
        admins: List::default(),
        nonce: [0; 8],
    };
    let founder = key(0);
    let founding = sign(chain(&founder, Kind::Founding, None, cbor::to_vec(&founding)), &founder);
    let state = State::founded(&founding).unwrap();
    let change = Change::Remove(key(9).agent());
    let proposal = put(&key(1), &body(&state, &change));
    let cast = |n| sign(leaves(&key(n), None, vec![leaf(proposal.id(), &Choice::Option(YES))]), &key(n));
    let batches: Vec<_> = (0..256).map(cast).collect();
    let decision = VotedChange::write(&network(), &state, &change, &proposal, &batches, &[]).unwrap();
    let bytes = decision.into_inner();
    println!("256 members: {} bytes", bytes.len());
    let record = change_record(&key(1), state.group(), state.head(), change, bytes);
    assert!(follow(&[founding], &record).is_ok());
}
