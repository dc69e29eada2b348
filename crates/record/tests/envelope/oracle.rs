//! coset, an independent COSE implementation, reads what we write and writes what we read.

use althing_record::{EXTERNAL_AAD, Kind, Record, RecordId, Verdict};
use althing_testkit::{MADE, agent, body, detached, leaves, network, sign, slot};
use ciborium::Value;
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::{Digest, Sha256};

fn records() -> [Record; 3] {
    let key = agent(1);
    [
        sign(slot(&key, Kind::Card, "card", body(0)), &key),
        sign(detached(&key, agent(2).agent(), b"hello".to_vec()), &key),
        sign(leaves(&key, None, vec![vec![1], vec![2]]), &key),
    ]
}

#[test]
fn coset_and_dalek_verify_our_envelopes() {
    for record in records() {
        let cose = CoseSign1::from_slice(record.envelope()).unwrap();
        assert_eq!(
            cose.protected.header.alg,
            Some(coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA))
        );
        assert!(cose.unprotected.is_empty());
        let key = VerifyingKey::from_bytes(record.signing_key()).unwrap();
        let check = |aad: &[u8]| {
            cose.verify_signature(aad, |signature, message| {
                key.verify(message, &Signature::from_slice(signature).unwrap())
            })
        };
        check(EXTERNAL_AAD).unwrap();
        assert!(check(b"althing/call/1").is_err());
        assert_eq!(record.id(), RecordId(Sha256::digest(cose.tbs_data(EXTERNAL_AAD)).into()));
        assert_eq!(cose.to_vec().unwrap(), record.envelope());
    }
}

fn by_coset(algorithm: iana::Algorithm) -> Vec<u8> {
    let key = agent(1);
    let int = |value: u64| Value::Integer(value.into());
    let placement = vec![(int(0), int(0)), (int(1), Value::Text("card".into())), (int(2), int(MADE.0))];
    let header = HeaderBuilder::new()
        .algorithm(algorithm)
        .value(-70_001, Value::Bytes(key.public().to_vec()))
        .value(-70_004, Value::Bytes(network().id().0.to_vec()))
        .value(-70_006, int(16))
        .value(-70_007, Value::Map(placement))
        .value(-70_008, int(MADE.0))
        .value(-70_009, int(MADE.plus(1_000).0))
        .build();
    CoseSign1Builder::new()
        .protected(header)
        .payload(body(0))
        .create_signature(EXTERNAL_AAD, |message| key.sign(message).to_vec())
        .build()
        .to_vec()
        .unwrap()
}

#[test]
fn we_verify_what_coset_signs() {
    let record = Record::verify(&by_coset(iana::Algorithm::EdDSA), &network()).unwrap();
    assert_eq!((record.kind(), record.agent()), (Kind::Card, agent(1).agent()));
    assert_eq!(record.expires(), Some(MADE.plus(1_000)));
}

#[test]
fn the_newer_name_of_the_same_algorithm_is_not_ours() {
    let error = Record::verify(&by_coset(iana::Algorithm::Ed25519), &network()).unwrap_err();
    assert!(error.to_string().contains("expected algorithm EdDSA (-8), found -19"), "{error}");
    assert_eq!(error.verdict(), Verdict::Reject);
}
