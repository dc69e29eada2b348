//! Which branch of a forked group holds follows from what its members at the fork decided, and from nothing else.

use std::collections::BTreeSet;

use althing_ballot::{Choice, Electorate, GroupState, ProposalBody, Rule, Subject, leaf};
use althing_engine::{Answer, Ask, AskNo, Effect, Engine, Group, GroupAsk, Input, Output, Taken};
use althing_record::cbor::{self, List};
use althing_record::{AgentId, Change, Founding, GroupId, Kind, Record, RecordId};
use althing_store::Memory;
use althing_testkit::{agent, chain, leaves, membership, sign};
use proptest::prelude::*;

use crate::lab::{config, now};

/// The members where the group forks; three of these four decide.
const MEMBERS: [u8; 4] = [3, 4, 5, 6];

fn did(n: u8) -> AgentId {
    agent(n).agent()
}

fn ascending(of: &[u8]) -> Vec<AgentId> {
    let mut agents: Vec<_> = of.iter().map(|n| did(*n)).collect();
    agents.sort_unstable();
    agents
}

fn ask(engine: &mut Engine<Memory>, ask: Ask) -> Answer {
    engine.handle(now(1), Input::Ask { no: AskNo(1), ask });
    let effects = std::iter::from_fn(|| engine.poll()).map(|Output { effect, .. }| effect);
    let mut answers = effects.filter_map(|effect| {
        let Effect::Reply(_, answer) = effect else { return None };
        Some(answer)
    });
    answers.next().expect("one answer an ask")
}

/// Takes records in as they come, again and again until none is early any more.
fn seen_after(records: &[Record], group: GroupId) -> Group {
    let mut engine = Engine::new(config(), Memory::default(), [7; 32], now(0)).unwrap();
    while engine.poll().is_some() {}
    let mut waiting = records.to_vec();
    for _ in 0..=records.len() {
        let Answer::Imported(taken) = ask(&mut engine, Ask::Import { records: waiting.clone() }) else {
            panic!("no import")
        };
        let early = waiting.into_iter().zip(taken).filter(|(_, taken)| matches!(taken, Taken::Early(_)));
        waiting = early.map(|(record, _)| record).collect();
    }
    assert!(waiting.is_empty(), "{waiting:?}");
    let shown = ask(&mut engine, Ask::Group(GroupAsk::Show { group }));
    let Answer::Group { group, .. } = shown else { panic!("no group: {shown:?}") };
    *group
}

/// A group that agent 3 founded, forked at once, and went on with on both sides.
struct Story {
    group: GroupId,
    at: RecordId,
    branches: [RecordId; 2],
    heads: [RecordId; 2],
    records: Vec<Record>,
}

impl Story {
    fn new() -> Self {
        let members = List::try_from(ascending(&MEMBERS[1..])).unwrap();
        let body =
            Founding { name: "x".try_into().unwrap(), members, admins: List::default(), nonce: [1; 8] };
        let begin = sign(chain(&agent(3), Kind::Founding, None, cbor::to_vec(&body)), &agent(3));
        let (group, at) = (GroupId(begin.id().0), begin.id());
        let change = |prev, change| membership(&agent(3), group, prev, change);
        let firsts = [change(at, Change::Remove(did(6))), change(at, Change::Invite(did(7)))];
        let seconds = [1, 0].map(|side: usize| change(firsts[side].id(), Change::Invite(did(8))));
        let branches = [firsts[0].id(), firsts[1].id()];
        let heads = [seconds[1].id(), seconds[0].id()];
        let records = [begin].into_iter().chain(firsts).chain(seconds).collect();
        Self { group, at, branches, heads, records }
    }

    /// A vote of the members at a state, on a subject, that the first three of them decide for the first option.
    fn decides(
        &mut self,
        (head, voters): (RecordId, &[u8]),
        subject: &Subject,
        options: &[String],
        nonce: u8,
    ) -> RecordId {
        let state = GroupState { group: self.group, head };
        let electorate = Electorate::of_group(state, ascending(voters)).unwrap();
        let rule = Rule::Approvals(0);
        let body = ProposalBody::direct("which?", options, rule, &electorate, 60_000, [nonce; 8]).unwrap();
        let body = ProposalBody { subject: Some(subject.clone()), ..body };
        let proposal = sign(chain(&agent(3), Kind::Proposal, None, cbor::to_vec(&body)), &agent(3));
        let id = proposal.id();
        self.records.push(proposal);
        for n in &voters[..3] {
            let cast = leaves(&agent(*n), None, vec![leaf(id, &Choice::Option(0))]);
            self.records.push(sign(cast, &agent(*n)));
        }
        id
    }

    fn subject(&self, basis: Option<RecordId>) -> Subject {
        Subject::new(&format!("group fork {}", self.at), basis).unwrap()
    }

    fn options(&self, first: usize) -> [String; 2] {
        [self.branches[first].to_string(), self.branches[1 - first].to_string()]
    }

    fn seen(&self) -> Group {
        seen_after(&self.records, self.group)
    }
}

#[test]
fn a_fork_that_nobody_decided_on_stays() {
    let story = Story::new();
    let seen = story.seen();
    assert_eq!(seen.head, story.at);
    assert_eq!(seen.fork.unwrap().into_iter().collect::<BTreeSet<_>>(), story.branches.into());
}

#[test]
fn decisions_of_others_of_other_things_and_in_place_of_others_settle_nothing() {
    let mut story = Story::new();
    let (at, subject) = (story.at, story.subject(None));
    let options = story.options(0);
    // Members of a branch, and a subject of another name.
    let after = story.branches[1];
    story.decides((after, &MEMBERS), &subject, &options, 1);
    let other = Subject::new(&format!("group fork {after}"), None).unwrap();
    story.decides((at, &MEMBERS), &other, &options, 2);
    // For what is no change after the fork, and for what is no change.
    for (nonce, wrong) in [(3, story.heads[0].to_string()), (4, at.to_string()), (5, "neither".into())] {
        story.decides((at, &MEMBERS), &subject, &[wrong, options[0].clone()], nonce);
    }
    // In place of another decision.
    let basis = story.subject(Some(at));
    story.decides((at, &MEMBERS), &basis, &options, 6);
    assert!(story.seen().fork.is_some());
    // None of these is in the way of one that settles it.
    let by = story.decides((at, &MEMBERS), &subject, &story.options(1), 7);
    let seen = story.seen();
    assert_eq!((seen.fork, seen.head, seen.settled[0].by), (None, story.heads[1], by));
}

#[test]
fn who_votes_twice_settles_nothing_alone() {
    let mut story = Story::new();
    let (at, subject) = (story.at, story.subject(None));
    let id = story.decides((at, &MEMBERS), &subject, &story.options(0), 1);
    // Two honest votes are left, and one that is cast twice, in both ways.
    let ballots = story.records.len() - 1;
    story.records.remove(ballots);
    for option in [0, 1] {
        let cast = leaves(&agent(6), None, vec![leaf(id, &Choice::Option(option))]);
        story.records.push(sign(cast, &agent(6)));
    }
    let seen = story.seen();
    assert_eq!(
        (seen.fork, seen.head),
        (None, story.heads[0]),
        "it counts for both, which takes nothing away"
    );
    story.records.remove(ballots - 1);
    assert!(story.seen().fork.is_some(), "and is not enough for either");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_in_which_records_come_decides_nothing(
        order in Just((0..64_usize).collect::<Vec<_>>()).prop_shuffle(), both in any::<bool>(),
    ) {
        let mut story = Story::new();
        let (at, subject) = (story.at, story.subject(None));
        let one = story.decides((at, &MEMBERS), &subject, &story.options(0), 1);
        let mut expected = (story.heads[0], one);
        if both {
            let other = story.decides((at, &MEMBERS), &subject, &story.options(1), 2);
            if other < one {
                expected = (story.heads[1], other);
            }
        }
        let shuffled: Vec<_> =
            order.iter().filter_map(|place| story.records.get(*place).cloned()).collect();
        prop_assert_eq!(shuffled.len(), story.records.len());
        let seen = seen_after(&shuffled, story.group);
        prop_assert_eq!((seen.fork, seen.head, seen.settled[0].by), (None, expected.0, expected.1));
    }
}
