//! What an older node makes of a newer one's records: it ignores them, and blames nobody.

use althing_record::cbor::{Limits, Writer};
use althing_record::{Header, Inception, Kind, Leaves, Record, RecordId, cbor};
use althing_testkit::{Raw, agent, body, chain, identity, leaves, network, sign, slot};

use crate::{ignored, rejected};

/// The protected header of a card with one more entry.
fn with_label(label: i64) -> Vec<u8> {
    let card = sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1));
    let mut raw = Raw::of(&card);
    let mut to = Writer::default();
    to.int(label);
    to.uint(0);
    raw.protected[0] += 1;
    raw.protected.extend(to.into_bytes());
    raw.signed_by(&agent(1)).bytes()
}

#[test]
fn optional_labels_are_ignored_and_others_rejected() {
    for label in [-70_128, -70_129, -1_000_000, i64::MIN] {
        assert_eq!(ignored(&with_label(label)).name(), "newer", "{label}");
    }
    for label in [-70_011, -70_127] {
        assert_eq!(rejected(&with_label(label)).name(), "malformed", "{label}");
    }
    // In the right place of the order these would stand before our labels: 2 is COSE's crit, 4 its kid.
    for label in [2, 4, 200, -5] {
        assert_eq!(rejected(&with_label(label)).name(), "malformed", "{label}");
    }
}

#[test]
fn a_label_beyond_64_bits_is_as_unknown_as_any_other() {
    let mut raw = Raw::of(&sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1)));
    raw.protected[0] += 1;
    raw.protected.extend([0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]);
    assert_eq!(ignored(&raw.signed_by(&agent(1)).bytes()).name(), "newer");
}

#[test]
fn unknown_kinds_are_ignored_whatever_their_shape() {
    let header = sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1)).header().clone();
    for kind in [0, 3, 18, 29, 41, 0xff00, 0xffff] {
        let header = Header { kind, expires: None, ..header.clone() };
        let mut raw = Raw::new(&header, vec![]).signed_by(&agent(1));
        assert_eq!(ignored(&raw.bytes()).name(), "unknown_kind");
        // A later kind may carry more beside its envelope than today's do.
        raw.companion = [vec![0x99, 0x10, 0x00], vec![0x00; 4_096], vec![0x80, 0xa0]].concat();
        assert_eq!(ignored(&raw.bytes()).name(), "unknown_kind");
    }
}

#[test]
fn every_known_kind_has_one_number_and_no_reserved_one() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_code(kind.code()), Some(*kind));
        assert!(kind.code() < 0xff00);
        assert!(![18, 19, 29, 34].contains(&kind.code()));
    }
}

#[test]
fn an_unknown_placement_is_ignored() {
    let card = sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1));
    let mut raw = Raw::of(&card);
    let slot = cbor::to_vec(&card.header().placement);
    let at = raw.protected.windows(slot.len()).position(|part| part == slot).unwrap();
    raw.protected[at + 2] = 4;
    assert_eq!(ignored(&raw.signed_by(&agent(1)).bytes()).name(), "newer");
}

#[test]
fn unknown_placement_fields_follow_the_same_rule() {
    let card = sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1));
    let slot = cbor::to_vec(&card.header().placement);
    let grown = |field: &[u8]| {
        let mut raw = Raw::of(&card);
        let at = raw.protected.windows(slot.len()).position(|part| part == slot).unwrap();
        raw.protected[at] += 1;
        raw.protected.splice(at + slot.len()..at + slot.len(), field.iter().copied());
        raw.signed_by(&agent(1)).bytes()
    };
    assert_eq!(ignored(&grown(&[0x18, 0x80, 0x00])).name(), "newer");
    assert_eq!(rejected(&grown(&[0x18, 0x7f, 0x00])).name(), "malformed");
}

/// An inception whose body has other entries than ours.
fn inception(version: u64, key: Option<u64>) -> Record {
    let mut to = Writer::default();
    to.map(2 + usize::from(key.is_some()));
    to.entry(0, &version);
    to.entry(1, &[5_u8; 32]);
    if let Some(key) = key {
        to.uint(key);
        to.uint(0);
    }
    sign(chain(&agent(1), Kind::Inception, None, to.into_bytes()), &agent(1))
}

#[test]
fn bodies_grow_by_version_and_by_optional_keys() {
    assert!(inception(1, None).body::<Inception>().is_ok());
    for newer in [inception(2, None), inception(1, Some(128)), inception(1, Some(u64::MAX))] {
        assert!(newer.body::<Inception>().unwrap_err().is_newer());
    }
    for wrong in [inception(1, Some(2)), inception(1, Some(127))] {
        assert!(!wrong.body::<Inception>().unwrap_err().is_newer());
    }
}

#[test]
fn a_newer_commitment_to_leaves_is_ignored_with_and_without_them() {
    let record = sign(leaves(&agent(1), None, vec![vec![1]]), &agent(1));
    let mut raw = Raw::of(&record);
    assert!(cbor::from_slice::<Leaves>(&raw.payload, Limits::RECORD).is_ok());
    raw.payload[2] = 2;
    let mut raw = raw.signed_by(&agent(1));
    assert_eq!(ignored(&raw.bytes()).name(), "newer");
    raw.companion.clear();
    assert_eq!(ignored(&raw.bytes()).name(), "newer");
}

#[test]
fn a_newer_record_of_a_foreign_network_is_still_foreign() {
    let header = sign(identity(&agent(1), &agent(2)), &agent(1)).header().clone();
    let header = Header {
        network: althing_record::NetworkId([9; 32]),
        kind: 0xff00,
        key: Some(agent(2).public()),
        key_event: Some(RecordId([1; 32])),
        ..header
    };
    assert_eq!(rejected(&Raw::new(&header, body(0)).bytes()).name(), "foreign_network");
    assert!(Record::verify(&Raw::new(&header, body(0)).bytes(), &network()).is_err());
}
