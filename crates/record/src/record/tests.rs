use super::*;
use crate::{AgentKey, Content, Draft};
use crate::{TimeError, deadline};

const MINUTE: u64 = Millis::MINUTE;
const NOW: Millis = Millis(1_795_132_800_000);

fn header(made: Millis, expires: Option<Millis>) -> Header {
    Header {
        algorithm: crate::Algorithm,
        agent: AgentId([1; 32]),
        key: None,
        key_event: None,
        network: Network::builtin().id(),
        group: None,
        kind: Kind::Lease.code(),
        placement: Placement::Slot { name: "x".try_into().unwrap(), revision: 0 },
        made,
        expires,
        body_hash: None,
    }
}

/// A lease of 15 minutes, made this long after `NOW`, or before it.
fn lease(made: i64) -> Header {
    let made = Millis(NOW.0.saturating_add_signed(made * MINUTE as i64));
    header(made, Some(made.plus(15 * MINUTE)))
}

fn minutes(deadline: Option<Millis>) -> u64 {
    deadline.unwrap().since(NOW) / MINUTE
}

#[test]
fn a_record_may_be_eleven_minutes_early_and_no_more() {
    assert!(deadline(&lease(11), NOW).is_ok());
    let early = header(NOW.plus(11 * MINUTE + 1), None);
    assert_eq!(deadline(&early, NOW), Err(TimeError::Early { by_ms: 11 * MINUTE + 1 }));
}

#[test]
fn ten_minutes_of_clock_error_neither_unlist_nor_revive() {
    // Clocks agree: fifteen minutes from when it was made.
    assert_eq!(minutes(deadline(&lease(0), NOW).unwrap()), 15);
    // Our clock is ten minutes slow: still its own fifteen minutes from now, not twenty-five.
    assert_eq!(minutes(deadline(&lease(10), NOW).unwrap()), 15);
    // Our clock is ten minutes fast: still its own fifteen minutes.
    assert_eq!(minutes(deadline(&lease(-10), NOW).unwrap()), 15);
    // It arrives late, or our clock is faster still: less, and at last nothing.
    assert_eq!(minutes(deadline(&lease(-20), NOW).unwrap()), 5);
    assert_eq!(minutes(deadline(&lease(-24), NOW).unwrap()), 1);
    assert_eq!(deadline(&lease(-25), NOW), Err(TimeError::Expired { by_ms: 10 * MINUTE }));
    assert_eq!(deadline(&lease(-60), NOW), Err(TimeError::Expired { by_ms: 45 * MINUTE }));
}

#[test]
fn a_deadline_is_never_later_than_either_bound() {
    for made in -40..=11 {
        let header = lease(made);
        if let Ok(Some(deadline)) = deadline(&header, NOW) {
            assert!(deadline > NOW);
            assert!(deadline <= NOW.plus(15 * MINUTE));
            assert!(deadline <= header.expires.unwrap().plus(10 * MINUTE));
        }
    }
}

#[test]
fn a_record_without_expiry_is_kept_however_old() {
    assert_eq!(deadline(&header(Millis(0), None), NOW), Ok(None));
    assert_eq!(deadline(&header(Millis(0), None), Millis(u64::MAX)), Ok(None));
}

#[test]
fn the_end_of_time_does_not_overflow() {
    let end = Millis(u64::MAX);
    assert_eq!(deadline(&header(Millis(0), Some(end)), Millis(0)), Ok(Some(end)));
    assert_eq!(deadline(&header(Millis(0), Some(end)), NOW), Ok(Some(end)));
    assert_eq!(deadline(&header(end, None), end), Ok(None));
    assert_eq!(deadline(&header(Millis(0), Some(end)), end), Err(TimeError::Expired { by_ms: 0 }));
    assert!(matches!(deadline(&header(end, None), NOW), Err(TimeError::Early { .. })));
    // A header that no record has: it expires before it is made.
    assert_eq!(deadline(&header(NOW, Some(NOW.minus(1))), NOW), Ok(Some(NOW)));
}

#[test]
fn the_times_of_a_refusal_are_named() {
    let early = deadline(&lease(12), NOW).unwrap_err();
    assert_eq!(
        early.to_string(),
        "made 720000 ms in the future; at most 11 minutes of clock error are allowed"
    );
    assert_eq!(deadline(&lease(-60), NOW).unwrap_err().to_string(), "expired 2700000 ms ago");
}

fn draft(kind: Kind, placement: Placement, content: Content) -> Draft {
    Draft {
        agent: key().agent(),
        key_event: None,
        group: None,
        kind,
        placement,
        made: NOW,
        expires: Some(NOW.plus(MINUTE)),
        content,
    }
}

fn key() -> AgentKey {
    AgentKey::from_seed(&[1; 32])
}

fn slot() -> Placement {
    Placement::Slot { name: "card".try_into().unwrap(), revision: NOW.0 }
}

#[test]
fn a_draft_that_breaks_a_rule_gives_no_record() {
    let network = Network::builtin();
    let vote = || Placement::Chain {
        stream: "vote".try_into().unwrap(),
        incarnation: Some(crate::Incarnation([1; 8])),
        seq: 0,
        prev: None,
    };
    let empty_map = || Content::Body(vec![0xa0]);
    let refused = |draft: Draft| draft.sign(&key(), &network).unwrap_err().to_string();
    assert!(refused(draft(Kind::Card, vote(), empty_map())).contains("placement is its kind's"));
    assert!(refused(draft(Kind::Card, slot(), Content::Body(vec![0xff]))).contains("indefinite"));
    assert!(refused(draft(Kind::Card, slot(), Content::Detached(vec![]))).contains("body hash"));
    assert!(refused(draft(Kind::Card, slot(), Content::Leaves(vec![vec![]]))).contains("trailing"));
    let lasting = |kind| Draft { expires: None, ..draft(kind, vote(), empty_map()) };
    assert!(refused(lasting(Kind::BallotBatch)).contains("missing"));
    for kind in [Kind::BallotBatch, Kind::Proposal] {
        assert!(refused(draft(kind, vote(), empty_map())).contains("does not expire"));
    }
    assert!(refused(draft(Kind::Message, slot(), empty_map())).contains("body hash"));
    let in_anothers_name = Draft { agent: AgentId([2; 32]), ..draft(Kind::Card, slot(), empty_map()) };
    assert!(refused(in_anothers_name).contains("come together"));
}

#[test]
fn a_signed_draft_is_what_verification_finds() {
    let network = Network::builtin();
    let record = draft(Kind::Card, slot(), Content::Body(vec![0xa0])).sign(&key(), &network).unwrap();
    assert_eq!(Record::verify(record.bytes(), &network), Ok(record.clone()));
    assert_eq!(record.signing_key(), &key().public());
    assert_eq!((record.payload(), record.envelope()), (&[0xa0][..], record.bytes()));
    assert_eq!((record.detached_body(), record.leaves(), record.is_whole()), (None, None, true));
    let message = sig_structure(&cbor::to_vec(record.header()), record.payload());
    assert_eq!(record.id(), RecordId(Sha256::digest(message).into()));
}
