//! What travels beside the envelope.

use althing_record::{LEAVES_MAX, Leaves, Record, VerifyError, cbor, merkle};
use althing_testkit::{Raw, agent, detached, leaves, network, sign};

use crate::rejected;

fn message() -> Record {
    sign(detached(&agent(1), agent(2).agent(), b"hello".to_vec()), &agent(1))
}

fn three_leaves() -> Vec<Vec<u8>> {
    vec![vec![1; 40], vec![], vec![3; 40]]
}

fn batch() -> Record {
    sign(leaves(&agent(1), None, three_leaves()), &agent(1))
}

fn beside(record: &Record, companion: &[u8]) -> Vec<u8> {
    [record.envelope(), companion].concat()
}

#[test]
fn a_header_verifies_after_its_body_is_gone() {
    let whole = message();
    assert_eq!(whole.detached_body(), Some(&b"hello"[..]));
    assert!(whole.is_whole());
    let header = Record::verify(whole.envelope(), &network()).unwrap();
    assert_eq!(header.id(), whole.id());
    assert_eq!(header.detached_body(), None);
    assert!(!header.is_whole());
    assert_eq!(whole.without_companion(), header);
}

#[test]
fn another_body_is_refused() {
    assert_eq!(rejected(&beside(&message(), b"\x45hellO")), VerifyError::Companion);
    assert_eq!(rejected(&beside(&message(), b"\x40")), VerifyError::Companion);
    for (companion, cause) in [
        (&b"\x58\x05hello"[..], "non-minimal"),
        (b"\x5f\x45hello\xff", "indefinite"),
        (b"\x65hello", "expected a byte string"),
        (b"\x46hello", "ends early"),
        (b"\x45hello\x00", "trailing"),
        (b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "ends early"),
    ] {
        let error = rejected(&beside(&message(), companion)).to_string();
        assert!(error.contains("detached body") && error.contains(cause), "{error}");
    }
}

#[test]
fn an_empty_body_is_not_an_absent_one() {
    let empty = sign(detached(&agent(1), agent(2).agent(), vec![]), &agent(1));
    assert_eq!(empty.detached_body(), Some(&b""[..]));
    assert!(empty.is_whole());
    assert!(!empty.without_companion().is_whole());
}

#[test]
fn a_commitment_verifies_without_its_leaves() {
    let whole = batch();
    assert_eq!(whole.leaves().unwrap(), three_leaves());
    let commitment = Record::verify(whole.envelope(), &network()).unwrap();
    assert_eq!((commitment.id(), commitment.leaves()), (whole.id(), None));
    assert_eq!(commitment.body::<Leaves>().unwrap().root, merkle::root(&three_leaves()));
}

#[test]
fn other_leaves_are_refused() {
    let mut swapped = three_leaves();
    swapped.swap(0, 2);
    let more = [three_leaves(), vec![vec![3; 40]]].concat();
    for other in [swapped, more, three_leaves()[..2].to_vec()] {
        let other = sign(leaves(&agent(1), None, other), &agent(1));
        assert_eq!(rejected(&beside(&batch(), &Raw::of(&other).companion)), VerifyError::Companion);
    }
    for (companion, cause) in [
        (&[0x80][..], "leaf count"),
        (&[0x40], "expected an array"),
        (&[0x81, 0x00], "expected a byte string"),
        (&[0x98, 0x01, 0x40], "non-minimal"),
        (&[0x9f, 0xff], "indefinite"),
        (&[0x81, 0x40, 0x40], "trailing"),
        (&[0x9a, 0xff, 0xff, 0xff, 0xff], "ends early"),
        (&[0x81, 0x81, 0x40], "expected a byte string"),
    ] {
        let error = rejected(&beside(&batch(), companion)).to_string();
        assert!(error.contains("leaves") && error.contains(cause), "{error}");
    }
}

#[test]
fn a_commitment_is_checked_even_when_its_leaves_are_elsewhere() {
    let root = merkle::root(&three_leaves());
    let commit = |payload: Vec<u8>| Raw::new(batch().header(), payload).signed_by(&agent(1)).bytes();
    for count in [0, LEAVES_MAX as u32 + 1, u32::MAX] {
        let error = rejected(&commit(cbor::to_vec(&Leaves { root, count }))).to_string();
        assert!(error.contains("leaf count"), "{error}");
    }
    assert!(rejected(&commit(vec![0xa1, 0x00, 0x01])).to_string().contains("missing"));
    assert!(rejected(&commit(vec![0x00])).to_string().contains("expected a map"));
}

#[test]
fn the_signed_count_is_that_of_the_leaves() {
    let root = merkle::root(&three_leaves());
    for (count, valid) in [(2, false), (3, true), (4, false)] {
        let payload = cbor::to_vec(&Leaves { root, count });
        let envelope = Raw::new(batch().header(), payload).signed_by(&agent(1));
        let whole = Raw { companion: Raw::of(&batch()).companion, ..envelope };
        assert_eq!(Record::verify(&whole.bytes(), &network()).is_ok(), valid, "{count}");
    }
}

#[test]
fn the_largest_batch_fits_and_no_larger_one() {
    let key = agent(1);
    let most = sign(leaves(&key, None, vec![vec![0; 60]; LEAVES_MAX]), &key);
    assert_eq!(most.leaves().unwrap().len(), LEAVES_MAX);
    for count in [0, LEAVES_MAX + 1] {
        let error = leaves(&key, None, vec![vec![]; count]).sign(&key, &network()).unwrap_err();
        assert!(error.to_string().contains("leaf count"), "{error}");
    }
}
