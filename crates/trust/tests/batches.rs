//! One signature for many statements: golden bytes, refusals, any batch. `ALTHING_BLESS=1 cargo test -p althing-trust golden`
//! rewrites the fixtures; a change of them is a commit of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use althing_record::cbor::{DecodeError, Reader, Writer};
use althing_record::{AgentKey, Digest, SignatureError, merkle, verify_signature};
use althing_testkit::{MADE, agent, network, node};
use althing_trust::{
    Accept, AcceptBody, BATCH_MAX, Call, CallBody, CallFrame, Claim, DoubleAccept, SIGNED_BYTES_MAX,
    Signature, Signed, Statement, StatementError, TaskId, Unsigned, request_head_hash,
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn body(number: u8) -> CallBody {
    CallBody {
        network: network().id(),
        caller: agent(1).agent(),
        callee: agent(2).agent(),
        task: TaskId([number; 16]),
        caller_node: node(1).node(),
        request_head_hash: request_head_hash(b"POST / HTTP/1.1\r\nhost: althing\r\n\r\n"),
        made: MADE,
        key: None,
    }
}

fn accept_body(number: u8, index: u64) -> AcceptBody {
    AcceptBody::to(&body(number), index, MADE.plus(5))
}

/// Statements of one key under one signature.
fn shared<S: Statement>(bodies: impl IntoIterator<Item = S>, key: &AgentKey) -> Vec<Signed<S>> {
    let unsigned: Vec<_> =
        bodies.into_iter().map(|body| Unsigned::new(body, key.public()).unwrap()).collect();
    let messages: Vec<_> = unsigned.iter().map(Unsigned::message).collect();
    let signatures = Signature::of_all(&messages, |message| key.sign(message));
    unsigned
        .into_iter()
        .zip(&signatures)
        .map(|(unsigned, signature)| unsigned.signed(signature).unwrap())
        .collect()
}

fn calls(count: u8) -> Vec<Call> {
    shared((0..count).map(body), &agent(1))
}

/// Content and signature of a carried statement.
fn split(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(bytes);
    reader.array_of(2).unwrap();
    (reader.bytes().unwrap().to_vec(), reader.bytes().unwrap().to_vec())
}

fn carried(content: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(2);
    to.bytes(content);
    to.bytes(signature);
    to.into_bytes()
}

/// What is said of a call whose signature was changed so.
fn refused(call: &Call, change: impl FnOnce(&mut Vec<u8>)) -> StatementError {
    let (content, mut signature) = split(call.bytes());
    change(&mut signature);
    Call::verify(&carried(&content, &signature), network().id()).unwrap_err()
}

const MISMATCH: StatementError = StatementError::Signature { name: "call", error: SignatureError::Mismatch };

fn length(value: u64) -> StatementError {
    let expected = "64, or 66 and 1 to 8 times 32".to_owned();
    let error = DecodeError::OutOfBounds { what: "signature length", value, expected };
    StatementError::Malformed { name: "call", error }
}

fn rule(rule: &'static str) -> StatementError {
    StatementError::Rule { name: "call", rule }
}

/// What is signed for a batch with this root.
fn root_message(count: usize, root: Digest) -> Vec<u8> {
    [&[0, 15], &b"althing/batch/1"[..], &[u8::try_from(count - 1).unwrap()], &root.0].concat()
}

fn wrapped(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    lines.join("\n") + "\n"
}

/// Compares with the fixture, or writes it when ALTHING_BLESS=1; gives its bytes.
fn golden(name: &str, built: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.hex"));
    if std::env::var("ALTHING_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(&path, wrapped(built)).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, wrapped(built), "the bytes of {name} changed");
    hex::decode(kept.replace('\n', "")).unwrap()
}

#[test]
fn golden_statements_of_a_batch_are_rebuilt_to_the_byte_and_verify() {
    let id = network().id();
    let calls = calls(3);
    let first = golden("call-shared", calls[0].bytes());
    assert_eq!(Call::verify(&first, id), Ok(calls[0].clone()));
    let last = golden("call-shared-last", calls[2].bytes());
    assert_eq!(Call::verify(&last, id), Ok(calls[2].clone()));
    let accepts = shared((0..3).map(|number| accept_body(number, u64::from(number) + 1)), &agent(2));
    assert_eq!(Accept::verify(&golden("accept-shared", accepts[1].bytes()), id), Ok(accepts[1].clone()));
}

#[test]
fn the_worked_example_of_the_specification_is_the_fixtures() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/spec/calls.md")).unwrap();
    let calls = calls(3);
    let ids: Vec<_> = calls.iter().map(|call| call.id().0).collect();
    for call in &calls {
        assert!(page.contains(&call.id().to_string()), "{}", call.id());
    }
    let message = root_message(3, merkle::root(&ids));
    for bytes in [&message, &split(calls[0].bytes()).1, &split(calls[2].bytes()).1] {
        assert!(page.contains(&format!("```\n{}```", wrapped(bytes))), "{}", wrapped(bytes));
    }
}

#[test]
fn what_is_signed_for_a_batch_is_its_root_and_how_many_there_are() {
    let bodies: Vec<_> = (0..5).map(body).collect();
    let unsigned: Vec<_> =
        bodies.iter().map(|body| Unsigned::new(body.clone(), agent(1).public()).unwrap()).collect();
    let messages: Vec<_> = unsigned.iter().map(Unsigned::message).collect();
    let mut signed = Vec::new();
    let _ = Signature::of_all(&messages, |message| {
        signed.push(message.to_vec());
        [0; 64]
    });
    let ids: Vec<[u8; 32]> = messages.iter().map(|message| Sha256::digest(message).into()).collect();
    assert_eq!(signed, [root_message(5, merkle::root(&ids))]);
    // The ids are those of statements signed alone.
    for (body, id) in bodies.into_iter().zip(ids) {
        assert_eq!(Call::sign(body, &agent(1)).unwrap().id(), Digest(id));
    }
}

#[test]
fn one_statement_is_signed_itself_and_more_than_a_batch_are_several() {
    assert_eq!(calls(1), [Call::sign(body(0), &agent(1)).unwrap()]);
    assert!(Signature::of_all::<&[u8]>(&[], |_| [0; 64]).is_empty());
    let messages: Vec<_> = (0..BATCH_MAX + 1).map(|number| number.to_be_bytes()).collect();
    let mut times = 0;
    let signatures = Signature::of_all(&messages, |_| {
        times += 1;
        [0; 64]
    });
    assert_eq!((times, signatures.len()), (2, BATCH_MAX + 1));
    assert_eq!(signatures[BATCH_MAX - 1].bytes().len(), 66 + 8 * 32);
    assert_eq!(signatures[BATCH_MAX].bytes().len(), 64);
}

#[test]
fn the_longest_statement_fits_with_the_longest_path() {
    let skill = ["x"; 7].join("/") + "/" + &"y".repeat(114);
    let longest = |index: u64| {
        let skill = skill.clone().try_into().unwrap();
        AcceptBody { skill, sla_ms: u32::MAX, ..accept_body(0, index + (1 << 31)) }
    };
    let accepts = shared((0..BATCH_MAX as u64).map(longest), &agent(9));
    let lengths = accepts.iter().map(|accept| accept.bytes().len());
    assert!(lengths.max().unwrap() < SIGNED_BYTES_MAX * 3 / 4);
    assert_eq!(Accept::verify(accepts[255].bytes(), network().id()), Ok(accepts[255].clone()));
}

#[test]
fn every_change_of_one_byte_is_refused() {
    let id = network().id();
    // The last of three has a shorter path than the first.
    for call in [&calls(3)[0], &calls(3)[2], &calls(64)[37]] {
        let bytes = call.bytes();
        for at in 0..bytes.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                if change > 1 && at % 8 != 0 {
                    continue;
                }
                let mut altered = bytes.to_vec();
                altered[at] ^= change;
                assert!(Call::verify(&altered, id).is_err(), "{at} {change}");
            }
        }
        for len in 0..bytes.len() {
            assert!(Call::verify(&bytes[..len], id).is_err());
        }
        assert!(Call::verify(&[bytes, &[0]].concat(), id).is_err());
    }
}

#[test]
fn wrong_places_and_paths_are_refused_by_name() {
    let (calls, four) = (calls(5), calls(4));
    let first = &calls[0];
    // Five leaves: the first four have three hashes above them, the last has one.
    assert_eq!(split(first.bytes()).1.len(), 66 + 3 * 32);
    assert_eq!(split(calls[4].bytes()).1.len(), 66 + 32);
    assert_eq!(refused(first, |signature| signature[64] = 5), rule("its place is not in its batch"));
    assert_eq!(refused(first, |signature| signature[64] = 1), MISMATCH);
    assert_eq!(refused(first, |signature| signature[64] = 4), rule("its path does not fit its place"));
    assert_eq!(refused(first, |signature| signature[65] = 0), rule("its path does not fit its place"));
    assert_eq!(refused(first, |signature| signature[65] = 3), rule("its path does not fit its place"));
    // As many hashes as a batch of six has, but it was not six.
    assert_eq!(refused(first, |signature| signature[65] = 5), MISMATCH);
    let drop_one = |signature: &mut Vec<u8>| signature.truncate(signature.len() - 32);
    assert_eq!(refused(first, drop_one), rule("its path does not fit its place"));
    let add_one = |signature: &mut Vec<u8>| signature.extend_from_slice(&[7; 32]);
    assert_eq!(refused(first, add_one), rule("its path does not fit its place"));
    let add_many = |signature: &mut Vec<u8>| signature.extend_from_slice(&[7; 6 * 32]);
    assert_eq!(refused(first, add_many), length(66 + 9 * 32));
    for (len, cut) in [(65, 65), (66, 66), (67, 67), (97, 97), (63, 63), (0, 0)] {
        assert_eq!(refused(first, |signature| signature.truncate(cut)), length(len));
    }
    // The signature, place or path of another one.
    for other in [&calls[1], &four[1]] {
        let (_, theirs) = split(other.bytes());
        let change = |signature: &mut Vec<u8>| signature.clone_from(&theirs);
        assert_eq!(refused(first, change), MISMATCH);
    }
    // Signature of one batch, path of another.
    let (_, theirs) = split(four[0].bytes());
    assert_eq!(refused(first, |signature| signature[..64].copy_from_slice(&theirs[..64])), MISMATCH);
}

#[test]
fn a_signature_means_what_was_signed_and_nothing_else() {
    let id = network().id();
    let key = agent(1);
    let alone = Call::sign(body(0), &key).unwrap();
    let (content, own) = split(alone.bytes());
    let both = calls(2);
    // The root's signature as that of a statement, and a statement's as that of a root.
    assert_eq!(refused(&both[0], |signature| signature.truncate(64)), MISMATCH);
    assert_eq!(refused(&both[0], |signature| signature[..64].copy_from_slice(&own)), MISMATCH);
    // A tree whose root was signed without its domain, or as content of a statement.
    let ids: Vec<_> = both.iter().map(|call| call.id().0).collect();
    let path = split(both[0].bytes()).1[64..].to_vec();
    for message in [
        merkle::root(&ids).0.to_vec(),
        [&[1], &merkle::root(&ids).0[..]].concat(),
        [&[0, 14], &b"althing/call/1"[..], &[1], &merkle::root(&ids).0].concat(),
        root_message(3, merkle::root(&ids)),
    ] {
        let forged = [&key.sign(&message)[..], &path].concat();
        let verified = Call::verify(&carried(&content, &forged), id);
        assert_eq!(verified, Err(MISMATCH), "{message:?}");
    }
    // An inner node is no leaf: what its hash is over cannot be a statement's id, which is hashed with another tag.
    let four: Vec<_> = calls(4).iter().map(|call| call.id().0).collect();
    assert_ne!(merkle::root(&four), merkle::root(&[merkle::root(&four[..2]).0, merkle::root(&four[2..]).0]));
    // Another key's batch.
    let foreign = shared([body(0), body(1)], &agent(3));
    let (_, theirs) = split(foreign[0].bytes());
    assert_eq!(Call::verify(&carried(&content, &theirs), id), Err(MISMATCH));
}

#[test]
fn a_signature_over_a_batch_is_checked_as_strictly_as_any() {
    let call = calls(2).remove(0);
    // s + L is refused, as RFC 8032 wants.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let add_order = |signature: &mut Vec<u8>| {
        let mut carry = 0_u16;
        for (byte, more) in signature[32..64].iter_mut().zip(&order) {
            carry += u16::from(*byte) + u16::from(*more);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    };
    assert_eq!(refused(&call, add_order), MISMATCH);
    let weak = hex::decode(althing_testkit::WEAK_KEYS[0]).unwrap();
    assert_eq!(refused(&call, |signature| signature[..32].copy_from_slice(&weak)), MISMATCH);
    for weak in althing_testkit::WEAK_KEYS {
        let weak: [u8; 32] = hex::decode(weak).unwrap().try_into().unwrap();
        let unsigned: Vec<_> = [body(0), body(1)].map(|body| Unsigned::new(body, weak).unwrap()).into();
        let messages: Vec<_> = unsigned.iter().map(Unsigned::message).collect();
        let signature = Signature::of_all(&messages, |message| agent(1).sign(message)).remove(0);
        let bytes = unsigned[0].clone().signed(&signature).unwrap();
        let error = Call::verify(bytes.bytes(), network().id()).unwrap_err();
        assert!(matches!(error, StatementError::Signature { name: "call", .. }), "{error}");
    }
}

#[test]
fn whoever_checks_is_told_what_was_signed_by_whom() {
    let both = calls(2);
    let ids: Vec<_> = both.iter().map(|call| call.id().0).collect();
    let mut seen = Vec::new();
    for call in &both {
        let verified = Call::verify_with(call.bytes(), network().id(), |claim: &Claim<'_>| {
            seen.push((*claim.key, claim.message.to_vec(), *claim.signature, claim.is_shared));
            verify_signature(claim.key, claim.message, claim.signature)
        });
        assert_eq!(verified.as_ref(), Ok(call));
    }
    assert_eq!(seen[0], seen[1], "one claim for all of a batch");
    assert_eq!(
        (seen[0].0, &seen[0].1, seen[0].3),
        (agent(1).public(), &root_message(2, merkle::root(&ids)), true)
    );
    let alone = Call::sign(body(0), &agent(1)).unwrap();
    let mut is_shared = true;
    let _ = Call::verify_with(alone.bytes(), network().id(), |claim: &Claim<'_>| {
        is_shared = claim.is_shared;
        Ok(())
    });
    assert!(!is_shared);
}

#[test]
fn a_callee_contradicts_itself_whatever_signatures_it_shares() {
    let accepts = shared([accept_body(0, 7), accept_body(1, 7), accept_body(2, 8)], &agent(2));
    let genesis = network().genesis().clone();
    assert!(accepts[0].conflicts_with(&accepts[1], &genesis));
    assert!(!accepts[0].conflicts_with(&accepts[2], &genesis));
    // The same, signed alone, is no contradiction.
    let alone = Accept::sign(accept_body(0, 7), &agent(2)).unwrap();
    assert!(alone != accepts[0] && alone.id() == accepts[0].id());
    assert!(!alone.conflicts_with(&accepts[0], &genesis) && alone.conflicts_with(&accepts[1], &genesis));
    for (one, other) in [(&accepts[0], &accepts[1]), (&alone, &accepts[1])] {
        let case = DoubleAccept::new(one, other, &network()).unwrap();
        assert_eq!(case.callee(), agent(2).agent());
        assert!(!case.body().proof.is_empty());
    }
}

#[test]
fn a_frame_carries_the_longest_call() {
    let call = shared((0..=255).map(body), &agent(9)).remove(0);
    let frame = CallFrame(call.bytes().to_vec()).encode();
    assert_eq!(frame.len(), 2 + call.bytes().len());
    assert!(matches!(CallFrame::decode(&frame), Ok(althing_trust::Progress::Done { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_of_a_batch_verifies_by_itself(count in 1..=64_u8, seed in 0..200_u8, order in any::<u64>()) {
        let key = agent(seed);
        let mut numbers: Vec<u8> = (0..count).collect();
        let mut state = order;
        for at in (1..numbers.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            numbers.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        let bodies = numbers.iter().map(|number| CallBody { caller: key.agent(), ..body(*number) });
        let calls = shared(bodies, &key);
        for (call, number) in calls.iter().zip(&numbers) {
            prop_assert_eq!(call.task, TaskId([*number; 16]));
            prop_assert_eq!(Call::verify(call.bytes(), network().id()), Ok(call.clone()));
        }
    }

    #[test]
    fn nothing_random_behind_a_statement_is_a_signature(signature in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (content, _) = split(calls(2)[0].bytes());
        prop_assert!(Call::verify(&carried(&content, &signature), network().id()).is_err());
    }
}
