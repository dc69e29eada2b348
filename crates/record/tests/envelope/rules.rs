//! What each kind demands of its header.

use althing_record::{
    Digest, Draft, GroupId, Header, Incarnation, Kind, Millis, Placement, PlacementRule, Record, RecordId,
    VerifyError,
};
use althing_testkit::{MADE, Raw, agent, body, chain, detached, identity, leaves, rotation, sign, slot};

use crate::rejected;

/// Signs a record again after `change`, and gives the rule that it then breaks.
fn broken(record: &Record, change: impl FnOnce(&mut Header)) -> &'static str {
    let mut header = record.header().clone();
    change(&mut header);
    let raw = Raw::new(&header, record.payload().to_vec()).signed_by(&agent(1));
    let error = rejected(&raw.bytes());
    let VerifyError::Rule { rule, .. } = error else { panic!("{error}") };
    rule
}

fn card() -> Record {
    sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1))
}

fn proposal() -> Record {
    sign(chain(&agent(1), Kind::Proposal, None, body(0)), &agent(1))
}

fn message() -> Record {
    sign(detached(&agent(1), agent(2).agent(), vec![]), &agent(1))
}

fn inception() -> Record {
    sign(identity(&agent(1), &agent(2)), &agent(1))
}

#[test]
fn a_signing_key_and_its_event_come_together_and_never_repeat_the_agent() {
    let (other, event) = (Some(agent(2).public()), Some(RecordId([1; 32])));
    assert!(broken(&card(), |header| header.key = other).contains("come together"));
    assert!(broken(&card(), |header| header.key_event = event).contains("come together"));
    let repeat = broken(&card(), |header| (header.key, header.key_event) = (Some(header.agent.0), event));
    assert!(repeat.contains("not repeated"));
}

#[test]
fn a_slot_needs_an_expiry_within_its_kinds_lifetime() {
    assert!(broken(&card(), |header| header.expires = None).contains("needs an expiry"));
    assert!(broken(&card(), |header| header.expires = Some(header.made)).contains("after it was made"));
    assert!(broken(&card(), |header| header.expires = Some(Millis(0))).contains("after it was made"));
    for kind in Kind::ALL {
        let PlacementRule::Slot { lifetime_ms_max } = kind.placement() else { continue };
        let longest = sign(slot(&agent(1), *kind, "x", body(0)), &agent(1));
        assert_eq!(longest.expires(), Some(MADE.plus(lifetime_ms_max)));
        let longer = |header: &mut Header| header.expires = header.expires.map(|expires| expires.plus(1));
        assert!(broken(&longest, longer).contains("outlives"));
        assert!(broken(&longest, |header| header.expires = Some(Millis(u64::MAX))).contains("outlives"));
    }
}

#[test]
fn a_slots_name_is_printable_ascii() {
    for name in ["a b", "é", "\u{202e}", "\n", "\u{0}"] {
        let named = |header: &mut Header| {
            header.placement = Placement::Slot { name: name.try_into().unwrap(), revision: 0 };
        };
        assert!(broken(&card(), named).contains("printable"), "{name:?}");
    }
}

#[test]
fn the_largest_numbers_are_only_numbers() {
    let far = Draft {
        made: Millis(u64::MAX - 1),
        expires: Some(Millis(u64::MAX)),
        placement: Placement::Slot { name: "x".try_into().unwrap(), revision: u64::MAX - 1 },
        ..slot(&agent(1), Kind::Card, "x", body(0))
    };
    assert_eq!(sign(far, &agent(1)).expires(), Some(Millis(u64::MAX)));
    let last = Placement::Chain {
        stream: "vote".try_into().unwrap(),
        incarnation: Some(Incarnation([0; 8])),
        seq: u64::MAX - 1,
        prev: Some(RecordId([0; 32])),
    };
    let draft = Draft { placement: last.clone(), ..chain(&agent(1), Kind::Proposal, None, body(0)) };
    assert_eq!(sign(draft, &agent(1)).header().placement, last);
}

#[test]
fn after_every_slot_and_every_chain_there_is_room_for_one_more() {
    let card = sign(slot(&agent(1), Kind::Card, "x", body(0)), &agent(1));
    let full = broken(&card, |header| {
        header.placement = Placement::Slot { name: "x".try_into().unwrap(), revision: u64::MAX };
    });
    assert!(full.contains("one more revision"));
    let full = |seq| {
        broken(&proposal(), move |header| {
            header.placement = Placement::Chain {
                stream: "vote".try_into().unwrap(),
                incarnation: Some(Incarnation([1; 8])),
                seq,
                prev: Some(RecordId([1; 32])),
            };
        })
    };
    assert!(full(u64::MAX).contains("one more link"));
    let expiring = broken(&proposal(), |header| header.expires = Some(header.made.plus(1)));
    assert!(expiring.contains("does not expire"));
}

#[test]
fn a_chain_link_names_the_one_before_unless_it_is_the_first() {
    let place = |seq, prev| {
        broken(&proposal(), move |header| {
            header.placement = Placement::Chain {
                stream: "vote".try_into().unwrap(),
                incarnation: Some(Incarnation([1; 8])),
                seq,
                prev,
            };
        })
    };
    assert!(place(0, Some(RecordId([1; 32]))).contains("every link but the first"));
    assert!(place(1, None).contains("every link but the first"));
}

#[test]
fn a_chain_has_its_kinds_stream_and_an_incarnation_except_for_identity() {
    let place = |record: &Record, stream: &str, incarnation| {
        let stream = stream.try_into().unwrap();
        broken(record, move |header| {
            header.placement = Placement::Chain { stream, incarnation, seq: 0, prev: None };
        })
    };
    let some = Some(Incarnation([1; 8]));
    assert!(place(&proposal(), "group", some).contains("stream"));
    assert!(place(&proposal(), "vote", None).contains("incarnation"));
    assert!(place(&inception(), "identity", some).contains("incarnation"));
    assert!(place(&inception(), "vote", None).contains("stream"));
}

#[test]
fn an_identity_begins_with_its_inception_and_has_no_second() {
    let rotated = sign(rotation(&inception(), None, &agent(3)), &agent(1));
    let swapped = broken(&rotated, |header| header.kind = Kind::Inception.code());
    assert!(swapped.contains("begins with its one inception"));
    let swapped = broken(&inception(), |header| header.kind = Kind::Rotation.code());
    assert!(swapped.contains("begins with its one inception"));
    let by_another = broken(&inception(), |header| {
        (header.key, header.key_event) = (Some(agent(2).public()), Some(RecordId([1; 32])));
    });
    assert!(by_another.contains("signed by the inception key"));
}

#[test]
fn identities_and_foundings_stand_outside_groups_and_memberships_inside_one() {
    let rotated = sign(rotation(&inception(), None, &agent(3)), &agent(1));
    let founding = sign(chain(&agent(1), Kind::Founding, None, body(0)), &agent(1));
    for record in [inception(), rotated, founding.clone()] {
        let grouped = broken(&record, |header| header.group = Some(GroupId([1; 32])));
        assert!(grouped.contains("outside groups"));
    }
    assert!(broken(&founding, |header| header.kind = Kind::Membership.code()).contains("outside groups"));
}

#[test]
fn a_message_is_to_someone_else() {
    let to_self = broken(&message(), |header| header.placement = Placement::Pair { to: header.agent });
    assert!(to_self.contains("differ"));
}

#[test]
fn a_body_hash_belongs_to_detached_bodies() {
    assert!(broken(&message(), |header| header.body_hash = None).contains("body hash"));
    for record in [card(), proposal(), sign(leaves(&agent(1), None, vec![vec![]]), &agent(1))] {
        let hashed = broken(&record, |header| header.body_hash = Some(Digest([0; 32])));
        assert!(hashed.contains("body hash"));
    }
    let filled = Raw { payload: body(0), ..Raw::of(&message()) }.signed_by(&agent(1));
    assert!(rejected(&filled.bytes()).to_string().contains("leaves the payload empty"));
}

#[test]
fn each_kind_has_one_placement() {
    let placements = [
        card().header().placement.clone(),
        proposal().header().placement.clone(),
        message().header().placement.clone(),
        Placement::Round { subject: Digest([0; 32]), height: 0, round: 0 },
    ];
    for record in [card(), proposal(), message()] {
        for placement in &placements {
            if std::mem::discriminant(placement) == std::mem::discriminant(&record.header().placement) {
                continue;
            }
            let moved = broken(&record, |header| {
                header.placement = placement.clone();
                header.expires = Some(header.made.plus(1));
            });
            assert!(moved.contains("placement is its kind's"), "{moved}");
        }
    }
}
