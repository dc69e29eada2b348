//! What is signed about a call: golden bytes, refusals, contradictions.
//! `ALTHING_BLESS=1 cargo test -p althing-trust golden` rewrites the fixtures; a change of them is a commit of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use althing_record::cbor::{self, DecodeError, Writer};
use althing_record::{AgentKey, Millis, NetworkId, SignatureError};
use althing_testkit::{MADE, agent, network, node};
use althing_trust::{
    Accept, AcceptBody, Answer, CLOCK_ERROR_MS_MAX, Call, CallBody, CallFrame, INDEX_MAX, Mismatch, Reason,
    Refusal, SIGNED_BYTES_MAX, Statement, StatementError, TaskId, request_head_hash,
};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nhost: althing\r\ncontent-length: 2\r\n\r\n";

fn call_body() -> CallBody {
    CallBody {
        network: network().id(),
        caller: agent(1).agent(),
        callee: agent(2).agent(),
        task: TaskId([7; 16]),
        caller_node: node(1).node(),
        request_head_hash: request_head_hash(HEAD),
        made: MADE,
        key: None,
    }
}

fn call() -> Call {
    Call::sign(call_body(), &agent(1)).unwrap()
}

fn accept_body() -> AcceptBody {
    let skill = "text/translate/fr".try_into().unwrap();
    AcceptBody { skill, sla_ms: 2_000, ..AcceptBody::to(&call(), 3, MADE.plus(5)) }
}

fn accept() -> Accept {
    Accept::sign(accept_body(), &agent(2)).unwrap()
}

fn wrapped(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    lines.join("\n") + "\n"
}

fn page() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join("docs/spec/calls.md")).unwrap()
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

/// A statement in its carried form with content that nothing checked.
fn carried<S: Statement>(content: &[u8], key: &AgentKey) -> Vec<u8> {
    let mut message = u16::try_from(S::DOMAIN.len()).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(S::DOMAIN.as_bytes());
    message.extend_from_slice(content);
    let mut to = Writer::default();
    to.array(2);
    to.bytes(content);
    to.bytes(&key.sign(&message));
    to.into_bytes()
}

#[test]
fn golden_statements_are_rebuilt_to_the_byte_and_verify() {
    let id = network().id();
    assert_eq!(Call::verify(&golden("call", call().bytes()), id), Ok(call()));
    assert_eq!(Accept::verify(&golden("accept", accept().bytes()), id), Ok(accept()));
    let rotated = Call::sign(call_body(), &agent(9)).unwrap();
    assert_eq!(Call::verify(&golden("call-rotated", rotated.bytes()), id), Ok(rotated));
}

#[test]
fn golden_frames_are_rebuilt_to_the_byte() {
    golden("frame-call", &CallFrame(call().bytes().to_vec()).encode());
    golden("frame-accepted", &Answer::Accepted(accept().bytes().to_vec()).encode());
    golden("frame-ahead", &Answer::Ahead(Reason::new("caller and callee are one agent")).encode());
    golden("frame-refused", &Answer::refused(Refusal::NotExposed).encode());
    assert_eq!(Answer::Busy.encode(), [0xff]);
}

#[test]
fn the_worked_example_of_the_specification_is_the_fixtures() {
    let page = page();
    for bytes in [call().bytes(), accept().bytes()] {
        assert!(page.contains(&format!("```\n{}```", wrapped(bytes))), "{}", wrapped(bytes));
    }
    for id in [call().id(), accept().id()] {
        assert!(page.contains(&id.to_string()), "{id}");
    }
    for refusal in Refusal::ALL {
        let row = format!("| {} | {} |", refusal.code(), refusal);
        assert!(page.contains(&row), "{row}");
    }
    assert!(page.contains(&hex::encode(Answer::refused(Refusal::NotExposed).encode())), "a refusal");
}

#[test]
fn every_change_of_one_byte_is_refused() {
    let id = network().id();
    for (name, bytes) in [("call", call().bytes()), ("accept", accept().bytes())] {
        for at in 0..bytes.len() {
            for change in 1..=u8::MAX {
                // All 255 changes where they are cheap, one of each byte where each costs a signature.
                if change != 1 && at % 16 != 0 {
                    continue;
                }
                let mut altered = bytes.to_vec();
                altered[at] ^= change;
                assert!(Call::verify(&altered, id).is_err(), "{name} {at} {change}");
                assert!(Accept::verify(&altered, id).is_err(), "{name} {at} {change}");
            }
        }
        for len in 0..bytes.len() {
            assert!(Call::verify(&bytes[..len], id).is_err() && Accept::verify(&bytes[..len], id).is_err());
        }
        let longer = [bytes, &[0]].concat();
        assert!(Call::verify(&longer, id).is_err() && Accept::verify(&longer, id).is_err());
    }
}

#[test]
fn statements_of_one_kind_or_network_are_nothing_in_another() {
    let id = network().id();
    assert!(Accept::verify(call().bytes(), id).is_err());
    assert!(Call::verify(accept().bytes(), id).is_err());
    let other = NetworkId([9; 32]);
    let foreign = StatementError::ForeignNetwork { name: "call", found: id, expected: other };
    assert_eq!(Call::verify(call().bytes(), other), Err(foreign));
    // The content of an accept under the signature of a call does not make it one.
    let content = cbor::to_vec(&accept_body());
    let crossed = carried::<CallBody>(&content, &agent(2));
    let mismatch = StatementError::Signature { name: "accept", error: SignatureError::Mismatch };
    assert_eq!(Accept::verify(&crossed, id), Err(mismatch));
}

#[test]
fn a_statement_names_the_key_that_is_not_the_first_and_no_other() {
    let rotated = Call::sign(call_body(), &agent(9)).unwrap();
    assert_eq!((rotated.caller, rotated.signing_key()), (agent(1).agent(), agent(9).public()));
    assert_eq!((call().key, call().signing_key()), (None, agent(1).public()));
    let content = cbor::to_vec(&CallBody { key: Some(agent(1).public()), ..call_body() });
    let error = Call::verify(&carried::<CallBody>(&content, &agent(1)), network().id()).unwrap_err();
    assert_eq!(error.to_string(), "call breaks a rule: key repeats the agent");
    // Another agent's key under a statement that names none.
    let content = cbor::to_vec(&call_body());
    let error = Call::verify(&carried::<CallBody>(&content, &agent(3)), network().id()).unwrap_err();
    assert_eq!(error, StatementError::Signature { name: "call", error: SignatureError::Mismatch });
}

#[test]
fn weak_keys_sign_nothing() {
    for weak in althing_testkit::WEAK_KEYS {
        let weak: [u8; 32] = hex::decode(weak).unwrap().try_into().unwrap();
        let body = CallBody { caller: althing_record::AgentId(weak), ..call_body() };
        let error = Call::sign(body, &agent(1)).unwrap_err();
        assert!(matches!(error, StatementError::Signature { name: "call", .. }), "{error}");
        let body = CallBody { key: Some(weak), ..call_body() };
        let bytes = carried::<CallBody>(&cbor::to_vec(&body), &agent(1));
        assert!(matches!(Call::verify(&bytes, network().id()), Err(StatementError::Signature { .. })));
    }
}

#[test]
fn later_entries_and_versions_are_newer_and_other_unknown_ones_wrong() {
    let id = network().id();
    let with = |key: i64, value: u64| {
        let mut content = cbor::to_vec(&call_body());
        content[0] += 1;
        let mut to = Writer::default();
        to.entry(key, &value);
        content.extend_from_slice(&to.into_bytes());
        Call::verify(&carried::<CallBody>(&content, &agent(1)), id).unwrap_err()
    };
    assert!(with(128, 1).is_newer());
    assert!(!with(127, 1).is_newer());
    let error = DecodeError::UnknownKey { of: "CallBody", key: 127 };
    assert_eq!(with(127, 1), StatementError::Malformed { name: "call", error });
    let mut content = cbor::to_vec(&call_body());
    content[2] = 2;
    assert!(Call::verify(&carried::<CallBody>(&content, &agent(1)), id).unwrap_err().is_newer());
}

#[test]
fn statements_over_a_kibibyte_are_refused_unread() {
    let found = SIGNED_BYTES_MAX + 1;
    let error = StatementError::TooLarge { name: "call", found };
    assert_eq!(Call::verify(&vec![0; found], network().id()), Err(error));
    let longest = AcceptBody { skill: "x".repeat(128).try_into().unwrap(), ..accept_body() };
    let longest = AcceptBody { index: INDEX_MAX, sla_ms: u32::MAX, made: Millis(u64::MAX), ..longest };
    assert!(Accept::sign(longest, &agent(9)).unwrap().bytes().len() < SIGNED_BYTES_MAX / 2);
}

#[test]
fn calls_of_other_nodes_and_times_are_not_admitted() {
    let (call, peer) = (call(), node(1).node());
    assert_eq!(call.admit(peer, MADE), Ok(()));
    assert_eq!(call.admit(node(2).node(), MADE), Err(Refusal::WrongAgent));
    for (now, admitted) in [
        (MADE.plus(CLOCK_ERROR_MS_MAX), Ok(())),
        (MADE.minus(CLOCK_ERROR_MS_MAX), Ok(())),
        (MADE.plus(CLOCK_ERROR_MS_MAX + 1), Err(Refusal::Clock)),
        (MADE.minus(CLOCK_ERROR_MS_MAX + 1), Err(Refusal::Clock)),
    ] {
        assert_eq!(call.admit(peer, now), admitted, "{now}");
    }
}

#[test]
fn an_accept_answers_its_call_alone_and_the_mismatch_is_named() {
    let call = call();
    assert_eq!(accept().answers(&call), Ok(()));
    let body = accept_body();
    let (other, head) = (agent(5).agent(), request_head_hash(b""));
    let network = NetworkId([9; 32]);
    for (body, mismatch) in [
        (
            AcceptBody { network, ..body.clone() },
            Mismatch::Network { expected: call.network, found: network },
        ),
        (
            AcceptBody { task: TaskId([8; 16]), ..body.clone() },
            Mismatch::Task { expected: call.task, found: TaskId([8; 16]) },
        ),
        (
            AcceptBody { caller: other, ..body.clone() },
            Mismatch::Caller { expected: call.caller, found: other },
        ),
        (
            AcceptBody { callee: other, ..body.clone() },
            Mismatch::Callee { expected: call.callee, found: other },
        ),
        (
            AcceptBody { request_head_hash: head, ..body.clone() },
            Mismatch::RequestHead { expected: call.request_head_hash, found: head },
        ),
    ] {
        assert_eq!(body.answers(&call), Err(mismatch));
    }
}

#[test]
fn accepts_that_break_their_rules_are_signed_by_nobody() {
    let fault = |body: AcceptBody| Accept::sign(body, &agent(2)).unwrap_err().to_string();
    let skill = |text: &str| AcceptBody { skill: text.try_into().unwrap(), ..accept_body() };
    assert!(fault(AcceptBody { caller: agent(2).agent(), ..accept_body() }).contains("one agent"));
    assert!(fault(AcceptBody { index: 0, ..accept_body() }).contains("index"));
    assert!(fault(AcceptBody { index: INDEX_MAX + 1, ..accept_body() }).contains("index"));
    for text in ["/", "a//b", "a/", "A", "a b", "ä", "a\n", "a/b/c/d/e/f/g/h/i"] {
        assert!(fault(skill(text)).contains("skill is not a path"), "{text}");
    }
    for text in ["", "a", "text/translate/fr", "a.b-c_9", "a/b/c/d/e/f/g/h"] {
        assert!(Accept::sign(skill(text), &agent(2)).is_ok(), "{text}");
    }
}

#[test]
fn two_accepts_with_one_index_in_one_epoch_are_a_conflict() {
    let network = network();
    let genesis = network.genesis();
    let signed = |body: AcceptBody| Accept::sign(body, &agent(2)).unwrap();
    let one = accept();
    assert!(!one.conflicts_with(&one, genesis));
    let other = signed(AcceptBody { task: TaskId([8; 16]), ..accept_body() });
    assert!(one.conflicts_with(&other, genesis) && other.conflicts_with(&one, genesis));
    let next = AcceptBody { task: TaskId([8; 16]), ..accept_body() };
    let later = genesis.created.plus(genesis.rating_epoch_ms);
    assert!(!one.conflicts_with(&signed(AcceptBody { index: 4, ..next.clone() }), genesis));
    assert!(!one.conflicts_with(&signed(AcceptBody { made: later, ..next.clone() }), genesis));
    assert!(one.conflicts_with(&signed(AcceptBody { made: later.minus(1), ..next.clone() }), genesis));
    assert!(!one.conflicts_with(&signed(AcceptBody { caller: agent(3).agent(), ..next.clone() }), genesis));
    let by_other = Accept::sign(AcceptBody { callee: agent(4).agent(), ..next }, &agent(4)).unwrap();
    assert!(!one.conflicts_with(&by_other, genesis));
}
