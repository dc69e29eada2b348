//! Frames: what is written is read back, and nothing that arrives makes a node fail.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_engine::{Request, Response};
use althing_record::{AgentId, Domain, Kind, Millis, RecordId};
use althing_testkit::{MADE, agent, body, network, second_signature, sign, slot};
use proptest::prelude::*;

fn requests() -> Vec<Request> {
    vec![
        Request::Reconcile { domain: Domain::Directory, cut: Millis(0), message: vec![0x61] },
        Request::Reconcile { domain: Domain::Ledger, cut: MADE, message: vec![7; 48 * 1_024] },
        Request::Fetch { ids: Vec::new() },
        Request::Fetch { ids: (0..128).map(|n| RecordId([n; 32])).collect() },
        Request::Providers { skill: "text/translate".parse().unwrap() },
        Request::Agent { agent: AgentId([3; 32]) },
    ]
}

fn responses() -> Vec<Response> {
    let record = sign(slot(&agent(1), Kind::Card, "", body(1)), &agent(1));
    let records = vec![record.clone(), second_signature(&record, &agent(1))];
    vec![
        Response::Reconcile { message: vec![0x61, 1, 2], clock: MADE },
        Response::Records { served: 128, records, invalid: Vec::new() },
        Response::Records { served: 0, records: Vec::new(), invalid: Vec::new() },
        Response::Busy,
    ]
}

#[test]
fn frames_round_trip() {
    for request in requests() {
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
    }
    for response in responses() {
        assert_eq!(Response::parse(&response.to_bytes(), &network()), Ok(response));
    }
}

#[test]
fn invalid_record_is_told_apart_from_an_invalid_frame() {
    let record = sign(slot(&agent(1), Kind::Card, "", body(1)), &agent(1));
    let frame = Response::Records { served: 1, records: vec![record], invalid: Vec::new() };
    let mut bytes = frame.to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let Ok(Response::Records { records, invalid, .. }) = Response::parse(&bytes, &network()) else {
        panic!("expected a frame")
    };
    assert_eq!((records.len(), invalid.len()), (0, 1));
}

#[test]
fn more_than_a_frame_may_hold_is_refused() {
    let long = Request::Fetch { ids: vec![RecordId([1; 32]); 129] };
    assert!(Request::parse(&long.to_bytes()).is_err());
    let long = Request::Reconcile { domain: Domain::Ledger, cut: MADE, message: vec![7; 48 * 1_024 + 65] };
    assert!(Request::parse(&long.to_bytes()).is_err());
    // 513 records.
    let bytes = [&[0x83, 0x01, 0x00, 0x99, 0x02, 0x01][..], &[0x40; 513]].concat();
    assert!(Response::parse(&bytes, &network()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_frames_never_panic(at in any::<prop::sample::Index>(), mask in 1_u8.., cut in any::<prop::sample::Index>()) {
        let frames = requests().iter().map(Request::to_bytes).chain(responses().iter().map(Response::to_bytes)).collect::<Vec<_>>();
        for mut bytes in frames {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            let _ = Request::parse(&bytes);
            let _ = Response::parse(&bytes, &network());
            let cut = cut.index(bytes.len());
            let _ = Request::parse(&bytes[..cut]);
            let _ = Response::parse(&bytes[..cut], &network());
        }
    }
}
