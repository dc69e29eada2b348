use althing_record::AgentId;
use althing_record::cbor::{self, Limits};
use proptest::prelude::*;

use super::*;
use crate::Source;

fn agent(n: usize) -> AgentId {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
    AgentId(id)
}

fn voters(masses: &[u64]) -> Vec<Voter> {
    masses.iter().enumerate().map(|(n, mass)| Voter { agent: agent(n), weight: *mass }).collect()
}

fn terms() -> HolderTerms {
    HolderTerms::new("text/translate", 400, 7).unwrap()
}

fn electorate(masses: &[u64]) -> Result<Electorate, BallotError> {
    Electorate::of_holders(terms(), voters(masses))
}

fn weights(masses: &[u64]) -> Vec<u64> {
    let cap = cap_of(masses);
    masses.iter().map(|mass| *mass.min(&cap)).collect()
}

/// The largest L that holds, found by trying all.
fn by_trying_all(masses: &[u64]) -> u64 {
    let most: u64 = masses.iter().sum();
    let holds = |cap: &u64| 10 * cap <= masses.iter().map(|mass| mass.min(cap)).sum::<u64>();
    (0..=most).rev().find(holds).unwrap()
}

#[test]
fn a_whale_weighs_a_tenth_of_all_and_no_more() {
    let mut masses = vec![100; 18];
    masses.push(1_000_000);
    // 18 · 100 + L = 10 · L.
    assert_eq!(cap_of(&masses), 200);
    assert_eq!(weights(&masses).iter().sum::<u64>(), 2_000);
    let two = [&masses[..], &[500_000]].concat();
    assert_eq!(cap_of(&two), 225, "two whales share what is beyond the rest: 1800 + 2 L = 10 L");
}

#[test]
fn nobody_is_capped_where_nobody_has_more_than_a_tenth() {
    let masses = vec![7; 10];
    assert_eq!(weights(&masses), masses);
    let masses: Vec<u64> = (90..110).collect();
    assert_eq!(weights(&masses), masses);
}

#[test]
fn of_ten_all_weigh_as_much_as_the_least() {
    let mut masses = vec![50; 9];
    masses.push(3);
    assert_eq!(weights(&masses), vec![3; 10]);
}

#[test]
fn of_fewer_than_ten_nobody_can_weigh_anything() {
    assert_eq!(cap_of(&[5; 9]), 0);
    assert_eq!(cap_of(&[]), 0);
    assert_eq!(cap_of(&[5, 5, 5, 5, 5, 5, 5, 5, 5, 0]), 0);
    let error = electorate(&[5; 9]).unwrap_err();
    assert_eq!(error, BallotError::FewHolders(9));
    let said = error.to_string();
    assert!(said.starts_with("9 agents") && said.contains("invites Sybils"), "{said}");
}

#[test]
fn the_largest_masses_overflow_nothing() {
    assert_eq!(cap_of(&[u64::MAX; 1_000]), u64::MAX);
    assert_eq!(cap_of(&[u64::MAX; 10]), u64::MAX);
    let mut masses = vec![1; 9];
    masses.extend([u64::MAX; 2]);
    // 9 + 2 L = 10 L: L = 1.125.
    assert_eq!(cap_of(&masses), 1);
    let mut masses = vec![u64::MAX; 20];
    masses.extend([1; 980]);
    assert_eq!(cap_of(&masses), u64::MAX);
    assert!(matches!(electorate(&[u64::MAX; 12]), Err(BallotError::Holders(_))));
}

#[test]
fn an_electorate_of_holders_round_trips_with_its_masses_and_terms() {
    let mut masses = vec![100; 18];
    masses.push(1_000_000);
    let made = electorate(&masses).unwrap();
    assert_eq!((made.total(), made.is_equal()), (2_000, false));
    let holders = made.holders().unwrap();
    assert_eq!((holders.cap, holders.masses.clone(), holders.terms.clone()), (200, masses, terms()));
    let read = cbor::from_slice(&cbor::to_vec(&made.snapshot()), Limits::RECORD).unwrap();
    assert_eq!(Electorate::from_snapshot(&read), Ok(made));
}

#[test]
fn weights_that_do_not_follow_from_the_masses_are_refused() {
    let mut masses = vec![100; 18];
    masses.push(1_000_000);
    let fair = electorate(&masses).unwrap().snapshot();
    let uncapped = Electorate::weighted(voters(&masses)).unwrap().snapshot();
    let mut wrong = fair.clone();
    (wrong.root, wrong.total) = (uncapped.root, uncapped.total);
    assert_eq!(Electorate::from_snapshot(&wrong), Err(BallotError::Electorate));
    let mut wrong = fair.clone();
    let Source::Holders { masses, .. } = &mut wrong.source else { panic!("holders") };
    *masses = vec![100; 18].try_into().unwrap();
    assert_eq!(Electorate::from_snapshot(&wrong), Err(BallotError::Electorate));
    let mut wrong = fair;
    let Source::Holders { masses, .. } = &mut wrong.source else { panic!("holders") };
    *masses = vec![0; 19].try_into().unwrap();
    assert!(matches!(Electorate::from_snapshot(&wrong), Err(BallotError::Holders(_))));
}

#[test]
fn terms_out_of_bounds_are_refused() {
    assert!(HolderTerms::new(" ", 0, 0).is_err());
    assert!(HolderTerms::new(&"x".repeat(129), 0, 0).is_err());
    assert!(HolderTerms::new("text", 1_001, 0).is_err());
    let more_than_all = vec![MASS_MAX / 10 + 1; 10];
    assert!(matches!(electorate(&more_than_all), Err(BallotError::Holders(_))));
}

#[test]
fn the_rating_epoch_is_one_that_was_settled_a_while_ago() {
    let network = Network::builtin();
    let genesis = network.genesis();
    let put_in = |epoch: u64| genesis.created.plus(genesis.rating_epoch_ms * epoch);
    let fits: Vec<u64> = (0..20).filter(|epoch| terms().fit(put_in(*epoch), &network)).collect();
    assert_eq!(fits, (9..=15).collect::<Vec<_>>());
    let never = HolderTerms { epoch: u64::MAX, ..terms() };
    assert!(!never.fit(put_in(0), &network));
}

proptest! {
    #[test]
    fn the_cap_is_what_trying_all_finds(masses in proptest::collection::vec(0..40_u64, 0..25)) {
        prop_assert_eq!(cap_of(&masses), by_trying_all(&masses));
    }

    #[test]
    fn one_whale_among_few_is_capped_as_trying_all_finds(
        masses in proptest::collection::vec(1..9_u64, 9..15), whale in 1..2_000_u64,
    ) {
        let masses = [&masses[..], &[whale]].concat();
        prop_assert_eq!(cap_of(&masses), by_trying_all(&masses));
    }

    #[test]
    fn nobody_weighs_more_than_a_tenth_and_who_has_as_much_weighs_as_much(
        masses in proptest::collection::vec(
            prop_oneof![1..10_u64, any::<u64>(), Just(u64::MAX), Just(1 << 32)], 10..60,
        ),
    ) {
        let (cap, weights) = (cap_of(&masses), weights(&masses));
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        for (mass, weight) in masses.iter().zip(&weights) {
            prop_assert!(10 * u128::from(*weight) <= total);
            prop_assert!(weight <= mass && *weight >= 1);
            prop_assert!(weight == mass || *weight == cap);
        }
        // One more would be too much, unless it is as much as there can be.
        let next = u128::from(cap) + 1;
        let sum: u128 = masses.iter().map(|mass| u128::from(*mass).min(next)).sum();
        prop_assert!(cap == u64::MAX || 10 * next > sum);
    }

    #[test]
    fn the_order_of_the_masses_changes_nothing(
        masses in proptest::collection::vec(1..1_000_u64, 10..40), by in 0..40_usize,
    ) {
        let mut other = masses.clone();
        other.rotate_left(by % masses.len());
        prop_assert_eq!(cap_of(&other), cap_of(&masses));
        let mut listed = voters(&masses);
        listed.rotate_left(by % masses.len());
        prop_assert_eq!(Electorate::of_holders(terms(), listed), electorate(&masses));
    }

    #[test]
    fn more_behind_one_voter_takes_nothing_from_the_others(
        masses in proptest::collection::vec(1..1_000_u64, 10..40), more in 0..1_000_u64,
    ) {
        let mut other = masses.clone();
        other[0] += more;
        prop_assert!(cap_of(&other) >= cap_of(&masses));
    }
}
