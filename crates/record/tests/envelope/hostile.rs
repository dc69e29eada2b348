use althing_record::cbor::{DecodeError, Writer};
use althing_record::{
    AgentId, Header, Kind, Network, Record, RecordId, SignatureError, Verdict, VerifyError, cbor,
};
use althing_testkit::{
    Raw, WEAK_KEYS, agent, body, chain, detached, foreign_network, foreigner, forger, identity, impostor,
    leaves, network, second_signature, sign, slot, unreduced, weak_author, weak_nonce,
};

use crate::rejected;

fn card() -> Record {
    sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1))
}

fn one_of_each_form() -> Vec<Record> {
    let key = agent(1);
    let draft =
        chain(&key, Kind::Proposal, Some(&sign(chain(&key, Kind::Proposal, None, body(0)), &key)), body(1));
    vec![
        card(),
        sign(draft, &key),
        sign(identity(&key, &agent(2)), &key),
        sign(detached(&key, agent(2).agent(), b"hello".to_vec()), &key),
        sign(leaves(&key, None, vec![vec![1; 3], vec![2; 3], vec![3; 3]]), &key),
    ]
}

fn bytes_of(len: usize) -> Vec<u8> {
    let mut to = Writer::default();
    to.bytes(&vec![0; len]);
    to.into_bytes()
}

#[test]
fn each_error_has_the_verdict_of_its_cause() {
    let malformed = |error| VerifyError::Malformed { part: "payload", error };
    let newer = DecodeError::Newer { of: "Header", what: "entry", value: 70_128 };
    let id = network().id();
    let rows = [
        (VerifyError::TooLarge { found: 2, max: 1 }, Verdict::Reject, "too_large"),
        (VerifyError::TooLargeForKind { kind: "Card", found: 2, max: 1 }, Verdict::Reject, "too_large"),
        (malformed(DecodeError::NotDeterministic), Verdict::Reject, "malformed"),
        (malformed(newer), Verdict::Ignore, "newer"),
        (VerifyError::ForeignNetwork { found: id, expected: id }, Verdict::Reject, "foreign_network"),
        (VerifyError::UnknownKind(99), Verdict::Ignore, "unknown_kind"),
        (VerifyError::Rule { kind: "Card", rule: "" }, Verdict::Reject, "rule"),
        (VerifyError::Companion, Verdict::Reject, "companion"),
        (VerifyError::Signature(SignatureError::NotAKey), Verdict::Reject, "weak_key"),
        (VerifyError::Signature(SignatureError::WeakKey), Verdict::Reject, "weak_key"),
        (VerifyError::Signature(SignatureError::Mismatch), Verdict::Reject, "signature"),
    ];
    for (error, verdict, name) in rows {
        assert_eq!((error.verdict(), error.name()), (verdict, name), "{error}");
    }
}

#[test]
fn a_record_fits_64_kib_and_not_a_byte_more() {
    let key = agent(1);
    let len = |body: usize| sign(chain(&key, Kind::Proposal, None, bytes_of(body)), &key).bytes().len();
    let fits = 60_000 + 65_536 - len(60_000);
    assert_eq!(len(fits), 65_536);
    let error = chain(&key, Kind::Proposal, None, bytes_of(fits + 1)).sign(&key, &network()).unwrap_err();
    assert_eq!(error, VerifyError::TooLarge { found: 65_537, max: 65_536 });
    assert_eq!(rejected(&vec![0; 65_537]).name(), "too_large");
}

#[test]
fn a_card_fits_16_kib_and_not_a_byte_more() {
    let key = agent(1);
    let draft = |body: usize| slot(&key, Kind::Card, "card", bytes_of(body));
    let fits = 16_000 + 16_384 - sign(draft(16_000), &key).bytes().len();
    assert_eq!(sign(draft(fits), &key).bytes().len(), 16_384);
    assert_eq!(
        draft(fits + 1).sign(&key, &network()).unwrap_err(),
        VerifyError::TooLargeForKind { kind: "Card", found: 16_385, max: 16_384 }
    );
}

#[test]
fn a_network_may_set_tighter_bounds_than_the_format() {
    let mut genesis = network().genesis().clone();
    genesis.limits.card_bytes = 1_024;
    genesis.limits.record_bytes = 2_048;
    let tight = Network::new(genesis).unwrap();
    let key = agent(1);
    let error = slot(&key, Kind::Card, "card", bytes_of(1_024)).sign(&key, &tight).unwrap_err();
    assert!(matches!(error, VerifyError::TooLargeForKind { max: 1_024, .. }));
    let error = detached(&key, agent(2).agent(), vec![0; 2_048]).sign(&key, &tight).unwrap_err();
    assert!(matches!(error, VerifyError::TooLarge { max: 2_048, .. }));
}

#[test]
fn wrong_signatures_are_rejected() {
    assert_eq!(rejected(&forger(&card(), &agent(2))), SignatureError::Mismatch.into());
    let mut raw = Raw::of(&card());
    raw.signature = vec![0; 64];
    assert_eq!(rejected(&raw.bytes()), SignatureError::Mismatch.into());
    for len in [0, 63, 65] {
        raw.signature = vec![0; len];
        assert_eq!(rejected(&raw.bytes()).name(), "malformed");
    }
}

#[test]
fn a_signature_over_another_domain_does_not_count() {
    let raw = Raw::of(&card());
    let other = raw.message();
    let at = other.windows(16).position(|part| part == b"althing/record/1").unwrap();
    let mut other = other;
    other[at + 15] = b'2';
    let bytes = Raw { signature: agent(1).sign(&other).to_vec(), ..raw }.bytes();
    assert_eq!(rejected(&bytes), SignatureError::Mismatch.into());
}

#[test]
fn foreign_records_are_rejected() {
    let theirs = foreigner(&agent(1));
    let expected = network().id();
    assert_eq!(
        rejected(theirs.bytes()),
        VerifyError::ForeignNetwork { found: foreign_network().id(), expected }
    );
    assert!(Record::verify(theirs.bytes(), &foreign_network()).is_ok());
}

#[test]
fn what_was_signed_for_one_place_is_valid_in_no_other() {
    let original = Raw::of(&card());
    let header = card().header().clone();
    let replays = [
        Header { network: foreign_network().id(), ..header.clone() },
        Header { group: Some(althing_record::GroupId([5; 32])), ..header.clone() },
        Header { kind: Kind::Lease.code(), expires: Some(header.made.plus(1)), ..header.clone() },
        Header { agent: agent(2).agent(), ..header.clone() },
        Header { made: header.made.plus(1), ..header.clone() },
        Header { expires: Some(header.made.plus(1)), ..header.clone() },
    ];
    for header in replays {
        let network = if header.network == network().id() { network() } else { foreign_network() };
        let replay = Raw { protected: cbor::to_vec(&header), ..original.clone() };
        let error = Record::verify(&replay.bytes(), &network).unwrap_err();
        assert_eq!(error, SignatureError::Mismatch.into(), "{header:?}");
        let signer = agent(if header.agent == agent(2).agent() { 2 } else { 1 });
        assert!(Record::verify(&replay.signed_by(&signer).bytes(), &network).is_ok(), "teeth: {header:?}");
    }
}

#[test]
fn weak_keys_cannot_be_agents() {
    for key in WEAK_KEYS {
        let error = rejected(&weak_author(key));
        assert_eq!(error.name(), "weak_key", "{key}: {error}");
    }
}

#[test]
fn weak_keys_can_neither_sign_for_an_agent_nor_be_signed_for() {
    for weak in WEAK_KEYS {
        let weak: [u8; 32] = hex::decode(weak).unwrap().try_into().unwrap();
        let event = Some(RecordId([3; 32]));
        let header = Header { key: Some(weak), key_event: event, ..card().header().clone() };
        let mut raw = Raw::new(&header, body(0));
        raw.signature[0] = 1;
        assert_eq!(rejected(&raw.bytes()).name(), "weak_key");
        let header = Header {
            agent: AgentId(weak),
            key: Some(agent(1).public()),
            key_event: event,
            ..card().header().clone()
        };
        assert_eq!(rejected(&Raw::new(&header, body(0)).signed_by(&agent(1)).bytes()).name(), "weak_key");
    }
}

#[test]
fn a_key_off_the_curve_is_no_key() {
    let mut off = [0; 32];
    off[0] = 2;
    let header = Header { agent: AgentId(off), ..card().header().clone() };
    assert_eq!(rejected(&Raw::new(&header, body(0)).bytes()), SignatureError::NotAKey.into());
}

#[test]
fn an_unreduced_scalar_is_refused() {
    assert_eq!(rejected(&unreduced(&card())), SignatureError::Mismatch.into());
}

#[test]
fn a_signature_with_a_weak_nonce_is_refused() {
    let bytes = weak_nonce(&card(), &agent(1));
    assert_eq!(rejected(&bytes), SignatureError::Mismatch.into());
    // Teeth: the equation holds, and verification that is not strict accepts it.
    let signature = bytes[bytes.len() - 64..].try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&agent(1).public()).unwrap();
    let message = Raw::of(&card()).message();
    ed25519_dalek::Verifier::verify(&key, &message, &ed25519_dalek::Signature::from_bytes(signature))
        .unwrap();
}

#[test]
fn two_signatures_of_one_record_have_one_id() {
    let one = card();
    let other = second_signature(&one, &agent(1));
    assert_ne!(one.bytes(), other.bytes());
    assert_eq!(one.id(), other.id());
}

#[test]
fn an_unauthorised_key_passes_the_envelope_but_not_the_history() {
    let victim = agent(1);
    let inception = sign(identity(&victim, &agent(2)), &victim);
    let keys = althing_record::KeyHistory::fold(victim.agent(), [&inception]);
    for record in impostor(victim.agent()) {
        assert_eq!(record.agent(), victim.agent());
        assert_eq!(keys.rank(&record), None);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    for record in one_of_each_form() {
        for at in 0..record.bytes().len() {
            let mask = 1 << (at % 8);
            let mut bytes = record.bytes().to_vec();
            bytes[at] ^= mask;
            assert!(Record::verify(&bytes, &network()).is_err(), "{record:?}: byte {at} ^ {mask:#04x}");
        }
    }
}

#[test]
fn a_cut_record_is_refused_unless_exactly_its_companion_is_missing() {
    for record in one_of_each_form() {
        for len in 0..record.bytes().len() {
            let cut = Record::verify(&record.bytes()[..len], &network());
            if len == record.envelope().len() {
                assert_eq!(cut.unwrap().id(), record.id());
            } else {
                assert!(cut.is_err(), "{record:?}: first {len} bytes");
            }
        }
    }
}

#[test]
fn nothing_may_follow_a_record() {
    for record in one_of_each_form() {
        for tail in [&[0x00][..], &[0x40], &[0x80], &[0xa0], record.bytes()] {
            assert!(rejected(&[record.bytes(), tail].concat()).name() != "newer");
        }
    }
}

/// Items that are not in the subset, and how the error names them.
const UNFIT: [(&str, &str); 18] = [
    ("1800", "non-minimal"),
    ("1b00000000ffffffff", "non-minimal"),
    ("5800", "non-minimal"),
    ("9800", "non-minimal"),
    ("b800", "non-minimal"),
    ("5f4100ff", "indefinite"),
    ("7f6161ff", "indefinite"),
    ("9fff", "indefinite"),
    ("bfff", "indefinite"),
    ("ff", "indefinite"),
    ("5bffffffffffffffff", "ends early"),
    ("9bffffffffffffffff", "ends early"),
    ("bb7fffffffffffffff", "ends early"),
    ("62c328", "UTF-8"),
    ("a201000100", "ascending"),
    ("f93c00", "float"),
    ("c000", "tag"),
    ("1c", "reserved"),
];

fn unfit() -> impl Iterator<Item = (Vec<u8>, &'static str)> {
    let deep = [vec![0x81; 17], vec![0x00]].concat();
    let wide = [vec![0x99, 0x04, 0x00], vec![0x00; 1_024]].concat();
    let listed = UNFIT.into_iter().map(|(item, cause)| (hex::decode(item).unwrap(), cause));
    listed.chain([(deep, "deeper than 16"), (wide, "more than 1024 items")])
}

#[test]
fn malformed_payloads_are_rejected_whoever_signed_them() {
    for (item, cause) in unfit() {
        let error = rejected(&Raw::new(card().header(), item).signed_by(&agent(1)).bytes()).to_string();
        assert!(error.contains("payload") && error.contains(cause), "\"{error}\" does not name \"{cause}\"");
    }
    for (payload, cause) in [(vec![], "ends early"), ([body(0), vec![0]].concat(), "trailing")] {
        let error = rejected(&Raw::new(card().header(), payload).signed_by(&agent(1)).bytes()).to_string();
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn malformed_protected_headers_are_rejected_whoever_signed_them() {
    let valid = Raw::of(&card());
    let mut cases: Vec<_> = unfit().collect();
    cases.push((vec![], "ends early"));
    cases.push(([&valid.protected[..], &[0]].concat(), "trailing"));
    cases.push((vec![0xa0], "missing"));
    cases.push((vec![0x80], "expected a map"));
    // Algorithms: Ed25519 of RFC 9864, ES256, and EdDSA that is not spelled minimally.
    let algorithm = |bytes: &[u8]| [&valid.protected[..2], bytes, &valid.protected[3..]].concat();
    cases.push((algorithm(&[0x32]), "expected algorithm EdDSA"));
    cases.push((algorithm(&[0x26]), "expected algorithm EdDSA"));
    cases.push((algorithm(&[0x38, 0x07]), "non-minimal"));
    assert_eq!(algorithm(&[0x27]), valid.protected);
    for (protected, cause) in cases {
        let raw = Raw { protected, ..valid.clone() }.signed_by(&agent(1));
        let error = rejected(&raw.bytes()).to_string();
        assert!(error.contains("protected header"), "{error}");
        assert!(error.contains(cause), "\"{error}\" does not name \"{cause}\"");
    }
}

#[test]
fn malformed_envelopes_are_rejected() {
    let valid = card().bytes().to_vec();
    let raw = Raw::of(&card());
    let protected =
        valid[1..].windows(raw.protected.len()).position(|part| part == raw.protected).unwrap() + 1;
    let unprotected = protected + raw.protected.len();
    assert_eq!(valid[unprotected], 0xa0);
    let splice = |at: usize, old: usize, new: &[u8]| [&valid[..at], new, &valid[at + old..]].concat();
    let cases = [
        (splice(0, 1, &[0xd2, 0x84]), "tag"),
        (splice(0, 1, &[0x98, 0x04]), "non-minimal"),
        (splice(0, 1, &[0x9f]), "indefinite"),
        (splice(0, 1, &[0x83]), "array length"),
        (splice(0, 1, &[0x85]), "array length"),
        (splice(0, 1, &[0xa2]), "expected an array"),
        (splice(0, 1, &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "ends early"),
        (splice(unprotected, 1, &[0xa1, 0x01, 0x27]), "unprotected"),
        (splice(unprotected, 1, &[0xb8, 0x00]), "non-minimal"),
        (splice(unprotected, 1, &[0x80]), "expected a map"),
        (splice(unprotected + 1, 1, &[0xf6]), "simple"),
        (splice(1, 3, &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "ends early"),
        (vec![], "ends early"),
    ];
    for (bytes, cause) in cases {
        let error = rejected(&bytes).to_string();
        assert!(error.contains("envelope"), "{error}");
        assert!(error.contains(cause), "\"{error}\" does not name \"{cause}\"");
    }
}

/// A type whose decoder forgets which of two encodings it read.
struct Sloppy;

impl cbor::Encode for Sloppy {
    fn encode(&self, to: &mut Writer) {
        to.uint(0);
    }
}

impl cbor::Decode for Sloppy {
    fn decode(from: &mut cbor::Reader<'_>) -> Result<Self, DecodeError> {
        from.uint().map(|_| Self)
    }
}

#[test]
fn a_sloppy_decoder_lets_no_second_encoding_pass() {
    assert!(cbor::from_slice::<Sloppy>(&[0x00], cbor::Limits::RECORD).is_ok());
    let second = cbor::from_slice::<Sloppy>(&[0x01], cbor::Limits::RECORD);
    assert_eq!(second.err(), Some(DecodeError::NotDeterministic));
}
