use althing_record::Draft;
use althing_record::cbor::{self, List};
use althing_testkit::{agent, chain, founding, membership, sign};
use proptest::prelude::*;

use super::*;

fn did(n: u8) -> AgentId {
    agent(n).agent()
}

fn id(n: u8) -> RecordId {
    RecordId([n; 32])
}

fn begun() -> State {
    State::founded(&founding(&agent(1), "translators")).unwrap()
}

/// The state after changes that the founder makes.
fn changed(state: &State, changes: &[Change]) -> State {
    changes
        .iter()
        .fold(state.clone(), |state, change| state.after(state.head(), state.founder(), change).unwrap())
}

fn refused(state: &State, author: u8, change: Change) -> String {
    state.after(id(9), did(author), &change).unwrap_err().to_string()
}

fn ascending(agents: impl IntoIterator<Item = u8>) -> Vec<AgentId> {
    let mut agents: Vec<_> = agents.into_iter().map(did).collect();
    agents.sort_unstable();
    agents
}

fn with_lists(name: &str, members: Vec<AgentId>, admins: Vec<AgentId>) -> Result<State, GroupError> {
    let body = Founding {
        name: name.try_into().unwrap(),
        members: List::try_from(members).unwrap(),
        admins: List::try_from(admins).unwrap(),
        nonce: [0; 8],
    };
    State::founded(&sign(chain(&agent(1), Kind::Founding, None, cbor::to_vec(&body)), &agent(1)))
}

#[test]
fn an_invited_agent_is_no_member_before_it_is_added() {
    let state = changed(&begun(), &[Change::Invite(did(2))]);
    assert_eq!((state.role(did(2)), state.is_member(did(2))), (Some(Role::Invited), false));
    let invited = state.invite(did(2)).unwrap();
    assert_eq!((invited.record, invited.by), (state.head(), did(1)));
    let state = changed(&state, &[Change::Add(did(2))]);
    assert_eq!((state.role(did(2)), state.invite(did(2))), (Some(Role::Member), None));
    assert_eq!(state.height(), 2);
    let state = changed(&state, &[Change::Remove(did(2))]);
    assert_eq!(state.role(did(2)), None);
}

#[test]
fn removing_an_invited_agent_withdraws_the_invitation() {
    let state = changed(&begun(), &[Change::Invite(did(2)), Change::Remove(did(2))]);
    assert_eq!(state.role(did(2)), None);
    assert_eq!(state.invites().len(), 0);
}

#[test]
fn only_the_founder_and_admins_change_a_group() {
    let state = changed(&begun(), &[Change::Add(did(2)), Change::Add(did(3))]);
    for change in [Change::Invite(did(4)), Change::Remove(did(3)), Change::Remove(did(2))] {
        assert!(refused(&state, 2, change.clone()).contains("is not an admin"));
        assert!(refused(&state, 9, change).contains("is not an admin"));
    }
    let state = changed(&state, &[Change::Promote(did(2))]);
    assert_eq!(state.role(did(2)), Some(Role::Admin));
    assert!(state.after(id(9), did(2), &Change::Invite(did(4))).is_ok());
    let state = changed(&state, &[Change::Demote(did(2))]);
    assert!(refused(&state, 2, Change::Invite(did(4))).contains("is not an admin"));
}

#[test]
fn the_founder_can_be_neither_removed_nor_demoted() {
    let state = changed(&begun(), &[Change::Add(did(2)), Change::Promote(did(2))]);
    for change in [Change::Remove(did(1)), Change::Demote(did(1))] {
        assert!(refused(&state, 2, change).contains("stays in it"));
    }
}

#[test]
fn changes_that_change_nothing_are_refused_by_name() {
    let state = changed(&begun(), &[Change::Add(did(2)), Change::Invite(did(3))]);
    assert!(refused(&state, 1, Change::Invite(did(3))).contains("invited already"));
    assert!(refused(&state, 1, Change::Invite(did(2))).contains("is a member already"));
    assert!(refused(&state, 1, Change::Add(did(2))).contains("is a member already"));
    assert!(refused(&state, 1, Change::Remove(did(4))).contains("not a member"));
    assert!(refused(&state, 1, Change::Promote(did(3))).contains("not a member"));
    assert!(refused(&state, 1, Change::Promote(did(1))).contains("an admin already"));
    assert!(refused(&state, 1, Change::Demote(did(2))).contains("plain member"));
}

#[test]
fn groups_are_bounded() {
    let far = |n: usize| AgentId(std::array::from_fn(|at| if at < 8 { n.to_be_bytes()[at] } else { 7 }));
    let mut state = begun();
    for n in 1..MEMBERS_MAX {
        state = changed(&state, &[Change::Add(far(n))]);
    }
    assert_eq!(refused(&state, 1, Change::Add(far(0))), GroupError::Full.to_string());
    for n in 1..=ADMINS_MAX {
        state = changed(&state, &[Change::Promote(far(n))]);
    }
    assert_eq!(refused(&state, 1, Change::Promote(far(100))), GroupError::Admins.to_string());
    for n in 0..INVITES_MAX {
        state = changed(&state, &[Change::Invite(far(1_000 + n))]);
    }
    assert_eq!(refused(&state, 1, Change::Invite(far(9_999))), GroupError::Invites.to_string());
    state.height = HEIGHT_MAX;
    assert_eq!(refused(&state, 1, Change::Remove(far(1))), GroupError::Height.to_string());
}

#[test]
fn a_founding_says_who_is_in_it_from_the_start_in_one_form() {
    let state = with_lists("x", ascending([2, 3]), vec![did(3)]).unwrap();
    assert_eq!(state.members().map(|(agent, _)| agent).collect::<Vec<_>>(), ascending([1, 2, 3]));
    assert_eq!([1, 2, 3].map(|n| state.may_change(did(n))), [true, false, true]);
    let mut unordered = ascending([2, 3]);
    unordered.reverse();
    for (members, admins) in
        [(unordered, vec![]), (vec![did(2); 2], vec![]), (vec![did(1)], vec![]), (vec![did(2)], vec![did(3)])]
    {
        assert!(matches!(with_lists("x", members, admins), Err(GroupError::Founding(_))));
    }
    assert_eq!(with_lists(" \t", vec![], vec![]), Err(GroupError::Name(2)));
    assert_eq!(with_lists("", vec![], vec![]), Err(GroupError::Name(0)));
}

#[test]
fn the_author_of_the_newest_change_keeps_the_group_while_it_may() {
    let state = changed(&begun(), &[Change::Add(did(2)), Change::Promote(did(2))]);
    assert_eq!(state.keeper(), did(1));
    let state = state.after(id(7), did(2), &Change::Invite(did(3))).unwrap();
    assert_eq!(state.keeper(), did(2));
    let gone = state.after(id(8), did(2), &Change::Remove(did(2))).unwrap();
    assert_eq!(gone.keeper(), did(1), "who is no admin any more keeps nothing");
}

/// Replays changes of which no vote is believed.
fn replay(records: &[Record]) -> Result<State, GroupError> {
    State::replay(records, |_, _, _| Err(GroupError::Order))
}

#[test]
fn a_change_that_members_decided_on_is_made_by_any_of_them_and_by_nobody_else() {
    let state = changed(&begun(), &[Change::Add(did(2)), Change::Add(did(3))]);
    let remove = Change::Remove(did(3));
    assert_eq!(state.after(id(9), did(2), &remove), Err(GroupError::NotAllowed(did(2))));
    let after = state.after_vote(id(9), did(2), &remove).unwrap();
    assert!(!after.is_member(did(3)));
    assert_eq!(after.keeper(), did(1), "who made it is no admin by that");
    assert_eq!(state.after_vote(id(9), did(4), &remove), Err(GroupError::NotMember(did(4))));
    let founder = Change::Remove(did(1));
    assert_eq!(state.after_vote(id(9), did(2), &founder), Err(GroupError::Founder(did(1))));
}

#[test]
fn what_a_change_carries_is_asked_about_once_and_only_if_it_follows_otherwise() {
    let begin = founding(&agent(1), "translators");
    let group = GroupId(begin.id().0);
    let add = membership(&agent(1), group, begin.id(), Change::Add(did(2)));
    let voted = |about| {
        let decision = Some(cbor::Blob::try_from(vec![7]).unwrap());
        let body = Membership { prev: add.id(), change: Change::Invite(did(about)), decision };
        let draft = chain(&agent(2), Kind::Membership, None, cbor::to_vec(&body));
        sign(Draft { group: Some(group), ..draft }, &agent(2))
    };
    let played = |record: &Record, says: Result<(), GroupError>| {
        let mut asked = Vec::new();
        let records = [begin.clone(), add.clone(), record.clone()];
        let state = State::replay(&records, |state, record, body| {
            asked.push((state.head(), record.id(), body.change.clone()));
            says.clone()
        });
        (state.map(|state| state.invite(did(3)).is_some()), asked.len())
    };
    assert_eq!(played(&voted(3), Ok(())), (Ok(true), 1));
    assert_eq!(played(&voted(3), Err(GroupError::Height)), (Err(GroupError::Height), 1));
    assert_eq!(played(&voted(2), Ok(())), (Err(GroupError::IsMember(did(2))), 0));
}

#[test]
fn records_are_replayed_in_order_and_only_so() {
    let begin = founding(&agent(1), "translators");
    let group = GroupId(begin.id().0);
    let invite = membership(&agent(1), group, begin.id(), Change::Invite(did(2)));
    let add = membership(&agent(1), group, invite.id(), Change::Add(did(2)));
    let state = replay(&[begin.clone(), invite.clone(), add.clone()]).unwrap();
    assert_eq!((state.head(), state.height(), state.is_member(did(2))), (add.id(), 2, true));
    assert_eq!(replay(&[begin.clone(), add.clone(), invite.clone()]), Err(GroupError::Order));
    assert_eq!(replay(&[]), Err(GroupError::Order));
    let foreign = membership(&agent(1), GroupId([7; 32]), begin.id(), Change::Invite(did(2)));
    assert_eq!(replay(&[begin.clone(), foreign]), Err(GroupError::Order));
    let usurped = membership(&agent(2), group, begin.id(), Change::Add(did(2)));
    assert_eq!(replay(&[begin, usurped]), Err(GroupError::NotAllowed(did(2))));
    assert!(matches!(replay(&[invite]), Err(GroupError::Kind { expected: "Founding", .. })));
}

proptest! {
    /// Whatever is tried, by whomever: the bounds hold, and the founder stays.
    #[test]
    fn any_changes_leave_a_group_that_somebody_can_change(
        tried in proptest::collection::vec((0_u64..7, 1_u8..6, 1_u8..6), 0..60),
    ) {
        let mut state = begun();
        for (code, author, about) in tried {
            let Some(change) = Change::from_parts(code, did(about)) else { continue };
            let before = state.clone();
            match state.after(id(about), did(author), &change) {
                Ok(next) => {
                    prop_assert!(before.may_change(did(author)));
                    prop_assert_eq!(next.height(), before.height() + 1);
                    state = next;
                }
                Err(_) => prop_assert_eq!(&state, &before),
            }
            prop_assert!(state.is_member(did(1)) && state.may_change(state.keeper()));
            prop_assert!(state.invites().all(|(agent, _)| !state.is_member(agent)));
            prop_assert!(state.members().all(|(agent, member)| !member.is_admin || state.may_change(agent)));
        }
    }
}
