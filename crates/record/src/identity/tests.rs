use proptest::prelude::*;

use super::*;
use crate::{AgentKey, Content, Draft, Millis, Network, cbor};

const OLD: u8 = 1;
const NEW: u8 = 2;
const NEXT: u8 = 3;
const RECOVERY: u8 = 10;
const RECOVERY_NEXT: u8 = 11;
const THIEF: u8 = 66;

fn key(n: u8) -> AgentKey {
    AgentKey::from_seed(&[n; 32])
}

fn agent() -> AgentId {
    key(OLD).agent()
}

fn signed(
    kind: Kind,
    place: (u64, Option<RecordId>),
    signer: (u8, Option<RecordId>),
    body: Vec<u8>,
) -> Record {
    Draft {
        agent: agent(),
        key_event: signer.1,
        group: None,
        kind,
        placement: Placement::Chain {
            stream: "identity".try_into().unwrap(),
            incarnation: None,
            seq: place.0,
            prev: place.1,
        },
        made: Millis(1_795_132_800_000),
        expires: None,
        content: Content::Body(body),
    }
    .sign(&key(signer.0), &Network::builtin())
    .unwrap()
}

fn inception_with(recovery: u8) -> Record {
    let body = Inception { recovery_key_hash: recovery_key_hash(&key(recovery).public()) };
    signed(Kind::Inception, (0, None), (OLD, None), cbor::to_vec(&body))
}

fn inception() -> Record {
    inception_with(RECOVERY)
}

fn rotation_to(
    new_key: [u8; 32],
    place: (u64, &Record),
    signer: (u8, Option<&Record>),
    recovery: Option<u8>,
) -> Record {
    let new_recovery_key_hash = recovery.map(|n| recovery_key_hash(&key(n).public()));
    let body = cbor::to_vec(&Rotation { new_key, new_recovery_key_hash });
    signed(Kind::Rotation, (place.0, Some(place.1.id())), (signer.0, signer.1.map(Record::id)), body)
}

/// A rotation to `new` at the position of `place`, signed by `signer`.
fn rotation(new: u8, place: (u64, &Record), signer: (u8, Option<&Record>)) -> Record {
    rotation_to(key(new).public(), place, signer, None)
}

/// Any record of the agent, as far as keys are concerned.
fn statement(signer: (u8, Option<&Record>)) -> Record {
    Draft {
        agent: agent(),
        key_event: signer.1.map(Record::id),
        group: None,
        kind: Kind::Card,
        placement: Placement::Slot { name: "card".try_into().unwrap(), revision: 1 },
        made: Millis(1),
        expires: Some(Millis(2)),
        content: Content::Body(vec![0xa0]),
    }
    .sign(&key(signer.0), &Network::builtin())
    .unwrap()
}

fn fold(records: &[&Record]) -> KeyHistory {
    KeyHistory::fold(agent(), records.iter().copied())
}

#[test]
fn an_agent_that_never_rotated_speaks_with_its_inception_key() {
    for history in [fold(&[]), fold(&[&inception()])] {
        assert_eq!((history.current_key(), history.current_event()), (agent().0, None));
        assert_eq!(history.rank(&statement((OLD, None))), Some(0));
    }
}

#[test]
fn each_rotation_hands_over_to_the_next_key() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    let second = rotation(NEXT, (2, &first), (NEW, Some(&first)));
    let history = fold(&[&start, &first, &second]);
    assert_eq!((history.current_key(), history.current_event()), (key(NEXT).public(), Some(second.id())));
    assert_eq!(history.rank(&statement((OLD, None))), Some(0));
    assert_eq!(history.rank(&statement((NEW, Some(&first)))), Some(1));
    assert_eq!(history.rank(&statement((NEXT, Some(&second)))), Some(2));
}

#[test]
fn the_next_rotation_follows_the_tip_and_needs_the_recovery_key_that_holds_there() {
    assert_eq!((fold(&[]).tip(), fold(&[]).recovery_key_hash()), (None, None));
    let start = inception();
    let next = rotation_to(key(NEW).public(), (1, &start), (RECOVERY, Some(&start)), Some(RECOVERY_NEXT));
    let history = fold(&[&next, &start]);
    assert_eq!(history.branch(), [start.id(), next.id()]);
    assert_eq!(history.tip(), Some((next.id(), 1)));
    assert_eq!(history.recovery_key_hash(), Some(recovery_key_hash(&key(RECOVERY_NEXT).public())));
    let spent = rotation(NEXT, (2, &next), (RECOVERY, Some(&next)));
    let held = rotation(NEXT, (2, &next), (RECOVERY_NEXT, Some(&next)));
    assert!(!history.admits(&spent) && history.admits(&held));
}

#[test]
fn a_key_ranks_only_with_the_event_that_introduced_it() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    let history = fold(&[&start, &first]);
    assert_eq!(history.rank(&statement((NEW, Some(&start)))), None);
    assert_eq!(history.rank(&statement((THIEF, Some(&first)))), None);
    let unknown = rotation(NEXT, (2, &first), (NEW, Some(&first)));
    assert_eq!(history.rank(&statement((NEXT, Some(&unknown)))), None);
}

#[test]
fn another_agents_records_have_no_rank() {
    let history = KeyHistory::fold(key(NEW).agent(), []);
    assert_eq!(history.rank(&statement((OLD, None))), None);
    assert!(!history.knows(&statement((OLD, None))));
    assert!(!history.admits(&inception()));
}

#[test]
fn the_old_key_cannot_rotate_after_a_rotation() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    let late = rotation(THIEF, (2, &first), (OLD, None));
    let history = fold(&[&start, &first, &late]);
    assert_eq!(history.current_key(), key(NEW).public());
    assert!(!history.admits(&late));
}

#[test]
fn a_rotation_names_the_event_of_the_key_that_signs_it() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    for event in [&start, &statement((OLD, None))] {
        let misnamed = rotation(NEXT, (2, &first), (NEW, Some(event)));
        assert_eq!(fold(&[&start, &first, &misnamed]), fold(&[&start, &first]));
    }
}

#[test]
fn a_stranger_cannot_rotate() {
    let start = inception();
    let strange = rotation(THIEF, (1, &start), (THIEF, Some(&start)));
    assert_eq!(fold(&[&start, &strange]), fold(&[&start]));
}

#[test]
fn a_rotation_without_its_predecessor_waits() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    let second = rotation(NEXT, (2, &first), (NEW, Some(&first)));
    assert_eq!(fold(&[&start, &second]).current_key(), agent().0);
    assert_eq!(fold(&[&first, &second]).current_key(), agent().0);
}

#[test]
fn the_branch_of_the_recovery_key_wins_whatever_the_ids() {
    let start = inception();
    for thief in 60..70 {
        let theft = rotation_to(key(thief).public(), (1, &start), (OLD, None), Some(thief));
        let deeper = rotation(THIEF + 10, (2, &theft), (thief, Some(&theft)));
        let rescue = rotation(NEW, (1, &start), (RECOVERY, Some(&start)));
        let history = fold(&[&start, &theft, &deeper, &rescue]);
        assert_eq!((history.current_key(), history.current_event()), (key(NEW).public(), Some(rescue.id())));
        assert_eq!(history.rank(&statement((thief, Some(&theft)))), None);
        assert!(history.admits(&theft), "the losing branch is valid, and evidence");
    }
}

#[test]
fn a_fork_without_the_recovery_key_is_won_by_the_lower_id() {
    let start = inception();
    let forks = [NEW, NEXT].map(|new| rotation(new, (1, &start), (OLD, None)));
    let winner = if forks[0].id() < forks[1].id() { NEW } else { NEXT };
    assert_eq!(fold(&[&start, &forks[0], &forks[1]]).current_key(), key(winner).public());
}

#[test]
fn a_new_recovery_key_replaces_the_one_before() {
    let start = inception();
    let first = rotation_to(key(NEW).public(), (1, &start), (RECOVERY, Some(&start)), Some(RECOVERY_NEXT));
    let with_old = rotation(THIEF, (2, &first), (RECOVERY, Some(&start)));
    assert_eq!(fold(&[&start, &first, &with_old]).current_key(), key(NEW).public());
    let with_new = rotation(NEXT, (2, &first), (RECOVERY_NEXT, Some(&first)));
    assert_eq!(fold(&[&start, &first, &with_new]).current_key(), key(NEXT).public());
}

#[test]
fn the_recovery_key_may_change_while_the_signing_key_stays() {
    let start = inception();
    let first = rotation_to(agent().0, (1, &start), (OLD, None), Some(RECOVERY_NEXT));
    let history = fold(&[&start, &first]);
    assert_eq!((history.current_key(), history.current_event()), (agent().0, None));
    let second = rotation(NEW, (2, &first), (RECOVERY_NEXT, Some(&first)));
    assert_eq!(fold(&[&start, &first, &second]).current_key(), key(NEW).public());
}

#[test]
fn no_rotation_leads_back_to_the_inception_key_or_to_a_weak_one() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    for new in [agent().0, identity_point, [0; 32]] {
        let bad = rotation_to(new, (2, &first), (NEW, Some(&first)), None);
        assert_eq!(fold(&[&start, &first, &bad]), fold(&[&start, &first]));
    }
}

#[test]
fn a_rotation_stands_right_after_the_one_it_names() {
    let start = inception();
    let first = rotation(NEW, (1, &start), (OLD, None));
    for seq in [1, 3, 255] {
        let misplaced = rotation(NEXT, (seq, &first), (NEW, Some(&first)));
        assert_eq!(fold(&[&start, &first, &misplaced]), fold(&[&start, &first]));
    }
}

#[test]
fn a_rotation_with_a_body_of_another_form_is_passed_over() {
    let start = inception();
    let odd = signed(Kind::Rotation, (1, Some(start.id())), (OLD, None), vec![0xa1, 0x00, 0x02]);
    assert_eq!(fold(&[&start, &odd]), fold(&[&start]));
}

#[test]
fn repeated_records_cost_nothing() {
    let mut chain = vec![inception()];
    let mut signer = (OLD, None);
    for position in 1..40 {
        let last = &chain[position - 1];
        let next = rotation(
            100 + position as u8,
            (position as u64, last),
            (signer.0, signer.1.map(|at: usize| &chain[at])),
        );
        chain.push(next);
        signer = (100 + position as u8, Some(position));
    }
    let thrice: Vec<_> = chain.iter().chain(&chain).chain(&chain).collect();
    assert_eq!(fold(&thrice), fold(&chain.iter().collect::<Vec<_>>()));
    assert_eq!(fold(&thrice).current_key(), key(139).public());
}

/// A chain with forks at every position, bad links, strangers and other kinds.
fn tangle() -> Vec<Record> {
    let starts = [inception(), inception_with(RECOVERY_NEXT)];
    let mut records = starts.to_vec();
    for start in &starts {
        let first = rotation(NEW, (1, start), (OLD, None));
        let theft = rotation(THIEF, (1, start), (OLD, None));
        records.push(rotation(NEXT, (1, start), (RECOVERY, Some(start))));
        records.push(rotation(NEXT, (2, &first), (NEW, Some(&first))));
        records.push(rotation(THIEF, (2, &first), (OLD, None)));
        records.push(rotation(NEXT, (2, &theft), (THIEF, Some(&theft))));
        records.push(statement((NEW, Some(&first))));
        records.extend([first, theft]);
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_fold_depends_on_the_set_and_not_on_the_order(
        (subset, shuffled) in proptest::sample::subsequence(tangle(), 0..=tangle().len())
            .prop_flat_map(|subset| {
                let twice = [subset.clone(), subset.clone()].concat();
                (Just(subset), Just(twice).prop_shuffle())
            }),
    ) {
        let one = KeyHistory::fold(agent(), &subset);
        let other = KeyHistory::fold(agent(), &shuffled);
        prop_assert_eq!(&one, &other);
        for record in &subset {
            prop_assert_eq!(one.rank(record), other.rank(record));
        }
    }
}
