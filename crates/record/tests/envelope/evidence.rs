use althing_record::cbor::{Blob, DecodeError};
use althing_record::{
    Draft, Fork, ForkBytes, ForkError, Incarnation, KeyHistory, Kind, Placement, Record, cbor,
};
use althing_testkit::{
    agent, body, chain, equivocator, foreigner, identity, impostor, leaves, network, rotation,
    second_signature, sign, slot,
};

fn pair(first: &[u8], second: &[u8]) -> Vec<u8> {
    let blob = |bytes: &[u8]| Blob::try_from(bytes.to_vec()).unwrap();
    cbor::to_vec(&ForkBytes { first: blob(first), second: blob(second) })
}

#[test]
fn an_equivocator_is_proved_from_the_bytes() {
    let [one, other] = equivocator(&agent(1), None);
    let fork = Fork::prove(&one, &other).unwrap();
    assert_eq!(Fork::prove(&other, &one), Some(fork.clone()));
    assert_eq!(Fork::verify(&fork.to_bytes(), &network()), Ok(fork.clone()));
    assert_eq!(fork.agent(), agent(1).agent());
    assert!(fork.records()[0].id() < fork.records()[1].id());
}

#[test]
fn what_does_not_conflict_is_no_fork() {
    let key = agent(1);
    let [one, other] = equivocator(&key, None);
    let next = sign(chain(&key, Kind::Proposal, Some(&one), body(3)), &key);
    let elsewhere = Draft {
        placement: Placement::Chain {
            stream: "vote".try_into().unwrap(),
            incarnation: Some(Incarnation([9; 8])),
            seq: 0,
            prev: None,
        },
        ..chain(&key, Kind::Proposal, None, body(2))
    };
    let strangers = equivocator(&agent(2), None);
    let group = sign(chain(&key, Kind::Founding, None, body(0)), &key);
    let cards = [1, 2].map(|n| sign(slot(&key, Kind::Card, "card", body(n)), &key));
    assert_eq!(Fork::prove(&one, &one), None);
    assert_eq!(Fork::prove(&one, &second_signature(&one, &key)), None);
    assert_eq!(Fork::prove(&one, &next), None);
    assert_eq!(Fork::prove(&one, &sign(elsewhere, &key)), None);
    assert_eq!(Fork::prove(&one, &strangers[0]), None);
    assert_eq!(Fork::prove(&one, &group), None);
    assert_eq!(Fork::prove(&cards[0], &cards[1]), None);
    assert!(Fork::prove(&one, &other).is_some());
}

#[test]
fn a_proof_has_one_encoding_per_pair_of_envelopes() {
    let key = agent(1);
    let [one, other] = [1, 2].map(|n| sign(leaves(&key, None, vec![vec![n]]), &key));
    let fork = Fork::prove(&one, &other).unwrap();
    let [first, second] = fork.records();
    assert_eq!(Fork::verify(&fork.to_bytes(), &network()), Ok(fork.clone()));
    let wrong_order = pair(second.envelope(), first.envelope());
    let (low, high) = if one.id() < other.id() { (&one, &other) } else { (&other, &one) };
    let companions_along = pair(low.bytes(), high.bytes());
    for bytes in [wrong_order, companions_along] {
        assert_eq!(
            Fork::verify(&bytes, &network()),
            Err(ForkError::Malformed(DecodeError::NotDeterministic))
        );
    }
}

#[test]
fn a_proof_with_a_bad_record_is_none() {
    let [one, other] = equivocator(&agent(1), None);
    let mut altered = other.bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert!(matches!(Fork::verify(&pair(one.bytes(), &altered), &network()), Err(ForkError::Record(_))));
    let foreign = foreigner(&agent(1));
    assert!(matches!(
        Fork::verify(&pair(one.bytes(), foreign.bytes()), &network()),
        Err(ForkError::Record(_))
    ));
    assert_eq!(Fork::verify(&pair(one.bytes(), one.bytes()), &network()), Err(ForkError::NoConflict));
    assert!(matches!(Fork::verify(&[0xa0], &network()), Err(ForkError::Malformed(_))));
    assert!(matches!(Fork::verify(&vec![0x40; 1 << 20], &network()), Err(ForkError::Malformed(_))));
}

#[test]
fn an_impostor_cannot_frame_anyone() {
    let victim = agent(1);
    let inception = sign(identity(&victim, &agent(2)), &victim);
    let keys = KeyHistory::fold(victim.agent(), [&inception]);
    let [one, other] = impostor(victim.agent());
    let framed = Fork::prove(&one, &other).unwrap();
    assert!(!framed.binds(&keys));
    let own = equivocator(&victim, None);
    assert!(Fork::prove(&own[0], &own[1]).unwrap().binds(&keys));
    assert!(!Fork::prove(&own[0], &one).unwrap().binds(&keys));
}

#[test]
fn a_rotated_agent_is_bound_by_its_new_key() {
    let (old, new) = (agent(1), agent(3));
    let inception = sign(identity(&old, &agent(2)), &old);
    let event = sign(rotation(&inception, None, &new), &old);
    let keys = KeyHistory::fold(old.agent(), [&inception, &event]);
    let [one, other]: [Record; 2] = [1, 2].map(|n| {
        let draft = chain(&new, Kind::Proposal, None, body(n));
        sign(Draft { agent: old.agent(), key_event: Some(event.id()), ..draft }, &new)
    });
    assert!(Fork::prove(&one, &other).unwrap().binds(&keys));
}
