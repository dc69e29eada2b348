//! Frames: what is written is read back, and nothing that arrives makes a node fail.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_card::Term;
use althing_engine::{Request, Response};
use althing_record::{AgentId, Digest, Domain, Kind, Millis, RecordId};
use althing_testkit::{MADE, agent, body, network, second_signature, sign, slot};
use althing_trust::ScoreProof;
use proptest::prelude::*;

fn requests() -> Vec<Request> {
    vec![
        Request::Reconcile { domain: Domain::Directory, cut: Millis(0), message: vec![0x61] },
        Request::Reconcile { domain: Domain::Ledger, cut: MADE, message: vec![7; 48 * 1_024] },
        Request::Fetch { ids: Vec::new() },
        Request::Fetch { ids: (0..128).map(|n| RecordId([n; 32])).collect() },
        Request::Providers { skill: "text/translate".parse().unwrap() },
        Request::Agent { agent: AgentId([3; 32]) },
        Request::Scores { checkpoint: RecordId([5; 32]), agents: vec![AgentId([3; 32]); 64] },
        cards(
            "skill:text/translate",
            Some("lang:fr AND NOT streaming:true".replace("lang", "tag:lang")),
            Some(AgentId([3; 32])),
        ),
        cards("tag:lang:fr", None, None),
        Request::Known { query: Box::new("tag:lang:fr AND skill:text/translate".parse().unwrap()) },
        Request::Known { query: Box::new("tag:lang:fr".parse().unwrap()) },
        prove((0..16).map(|row| 60 * row).collect()),
        prove(Vec::new()),
    ]
}

fn prove(rows: Vec<u16>) -> Request {
    Request::Prove { record: RecordId([1; 32]), checkpoint: RecordId([2; 32]), rows }
}

fn cards(term: &str, query: Option<String>, after: Option<AgentId>) -> Request {
    let (kind, text) = term.split_once(':').unwrap();
    let term = match kind {
        "skill" => Term::Skill(text.parse().unwrap()),
        _ => Term::Tag(text.parse().unwrap()),
    };
    Request::Cards { term, query: query.map(|query| Box::new(query.parse().unwrap())), after }
}

fn proof() -> ScoreProof {
    ScoreProof { leaf: vec![7; 256], index: 3, count: 1 << 32, path: vec![Digest([9; 32]); 32] }
}

fn responses() -> Vec<Response> {
    let record = sign(slot(&agent(1), Kind::Card, "", body(1)), &agent(1));
    let records = vec![record.clone(), second_signature(&record, &agent(1))];
    vec![
        Response::Reconcile { message: vec![0x61, 1, 2], clock: MADE },
        Response::Cards { next: Some(AgentId([4; 32])), records: records.clone(), invalid: Vec::new() },
        Response::Cards { next: None, records: Vec::new(), invalid: Vec::new() },
        Response::Records { served: 128, records, invalid: Vec::new() },
        Response::Records { served: 0, records: Vec::new(), invalid: Vec::new() },
        Response::Proofs { proofs: vec![Some(vec![7; 16 * 1_024]), None] },
        Response::Proofs { proofs: Vec::new() },
        Response::Scores { checkpoint: RecordId([5; 32]), proofs: vec![proof(); 64] },
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
fn version_1_says_of_a_request_what_it_can() {
    for request in requests() {
        let old = request.to_bytes_v1();
        match &request {
            Request::Cards { term: Term::Skill(skill), .. } => {
                let superset = Request::Providers { skill: skill.clone() };
                assert_eq!(Request::parse(&old.unwrap()), Ok(superset));
            }
            Request::Cards { term: Term::Tag(_), .. } => assert_eq!(old, None),
            Request::Known { query } if query.to_string().contains("skill:") => {
                let superset = Request::Providers { skill: "text/translate".parse().unwrap() };
                assert_eq!(Request::parse(&old.unwrap()), Ok(superset));
            }
            Request::Known { .. } | Request::Prove { .. } | Request::Scores { .. } => assert_eq!(old, None),
            Request::Reconcile { .. }
            | Request::Fetch { .. }
            | Request::Providers { .. }
            | Request::Agent { .. } => assert_eq!(old, Some(request.to_bytes())),
        }
    }
}

#[test]
fn a_query_that_cannot_be_read_only_filters_less() {
    let query = "skill:text/translate".to_owned();
    let request = cards("skill:text/translate", Some(query.clone()), None);
    let mut bytes = request.to_bytes();
    let at = bytes.windows(query.len()).position(|part| part == query.as_bytes()).unwrap();
    bytes[at..at + 5].copy_from_slice(b"shoes");
    assert_eq!(Request::parse(&bytes), Ok(cards("skill:text/translate", None, None)));
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
    let long = Request::Scores { checkpoint: RecordId([5; 32]), agents: vec![AgentId([3; 32]); 65] };
    assert!(Request::parse(&long.to_bytes()).is_err());
    let many = Response::Scores { checkpoint: RecordId([5; 32]), proofs: vec![proof(); 65] };
    assert!(Response::parse(&many.to_bytes(), &network()).is_err());
    let long = ScoreProof { path: vec![Digest([9; 32]); 33], ..proof() };
    let long = Response::Scores { checkpoint: RecordId([5; 32]), proofs: vec![long] };
    assert!(Response::parse(&long.to_bytes(), &network()).is_err());
    let long = Request::Fetch { ids: vec![RecordId([1; 32]); 129] };
    assert!(Request::parse(&long.to_bytes()).is_err());
    for rows in [(0..17).collect(), vec![2, 1], vec![1, 1]] {
        assert!(Request::parse(&prove(rows).to_bytes()).is_err());
    }
    let long = Response::Proofs { proofs: vec![None; 17] };
    assert!(Response::parse(&long.to_bytes(), &network()).is_err());
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
