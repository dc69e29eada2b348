use althing_testkit::foreign_network;

use super::*;
use crate::FIRST_KEYS;
use crate::fixture::{Table, value};

fn body(certificate: &CommitCertificate) -> Body {
    cbor::from_slice(certificate.bytes(), LIMITS).unwrap()
}

#[test]
fn a_certificate_is_verified_with_what_everyone_knows() {
    for closers in [1, 3, 4, 5, 7, 10, 31] {
        let table = Table::of(closers);
        let it = value("the value");
        let quorum: Vec<_> = (0..table.instance.quorum()).rev().collect();
        let certificate = table.commit(&quorum, 6, &it);
        let read = CommitCertificate::verify(certificate.bytes(), &table.instance, FIRST_KEYS, &it).unwrap();
        assert_eq!((read.round(), read.value(), read.votes().len()), (6, it.id(), quorum.len()));
    }
}

#[test]
fn every_single_bit_of_a_certificate_counts() {
    let table = Table::of(4);
    let it = value("the value");
    let certificate = table.commit(&[0, 1, 3], 6, &it);
    let bytes = certificate.bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << bit;
            assert!(
                CommitCertificate::verify(&changed, &table.instance, FIRST_KEYS, &it).is_err(),
                "byte {at}, bit {bit}"
            );
        }
        assert!(
            CommitCertificate::verify(&bytes[..at], &table.instance, FIRST_KEYS, &it).is_err(),
            "cut to {at}"
        );
    }
}

#[test]
fn certificates_are_refused_by_name() {
    let table = Table::of(4);
    let it = value("the value");
    let certificate = table.commit(&[0, 1, 2, 3], 6, &it);
    let refused = |change: &dyn Fn(&mut Body)| {
        let mut body = body(&certificate);
        change(&mut body);
        CommitCertificate::verify(&cbor::to_vec(&body), &table.instance, FIRST_KEYS, &it).unwrap_err()
    };
    let signers = |order: &'static [usize]| {
        move |body: &mut Body| {
            let signatures: Vec<_> = order.iter().map(|at| body.signatures[*at]).collect();
            body.signatures = signatures.try_into().unwrap();
        }
    };
    assert_eq!(refused(&signers(&[0, 1])), CertificateError::TooFew { found: 2, needed: 3 });
    assert_eq!(refused(&signers(&[])), CertificateError::TooFew { found: 0, needed: 3 });
    assert_eq!(refused(&signers(&[0, 1, 1])), CertificateError::Duplicate { seat: 1 });
    assert_eq!(refused(&signers(&[0, 2, 1])), CertificateError::Unordered { seat: 1 });
    let foreign = |body: &mut Body| {
        let mut signatures = body.signatures.to_vec();
        signatures[3].seat = 4;
        body.signatures = signatures.try_into().unwrap();
    };
    assert_eq!(refused(&foreign), CertificateError::ForeignSigner { seat: 4, closers: 4 });
    let swapped = |body: &mut Body| {
        let mut signatures = body.signatures.to_vec();
        signatures[0].signature = signatures[1].signature;
        body.signatures = signatures.try_into().unwrap();
    };
    let error = SignatureError::Mismatch;
    assert_eq!(refused(&swapped), CertificateError::Signature { seat: 0, error });
    assert_eq!(refused(&|body| body.round = 7), CertificateError::Signature { seat: 0, error });
    assert_eq!(refused(&|body| body.round = 10_001), CertificateError::RoundOutOfBounds { found: 10_001 });
    let other = value("other").id();
    assert_eq!(refused(&|body| body.value = other), CertificateError::Signature { seat: 0, error });
    let (found, expected) = (Step::Prevote, Step::Precommit);
    assert_eq!(refused(&|body| body.step = Step::Prevote), CertificateError::WrongStep { found, expected });
    let (found, expected) = (foreign_network().id(), table.instance.network());
    assert_eq!(refused(&|body| body.network = found), CertificateError::ForeignNetwork { found, expected });
    let (found, expected) = (InstanceId([9; 32]), table.instance.id());
    assert_eq!(refused(&|body| body.instance = found), CertificateError::ForeignInstance { found, expected });
    let beside = value("beside");
    assert_eq!(
        CommitCertificate::verify(certificate.bytes(), &table.instance, FIRST_KEYS, &beside),
        Err(CertificateError::OtherValue { found: it.id(), expected: beside.id() })
    );
    let long = vec![0; CERTIFICATE_BYTES_MAX + 1];
    let error = CommitCertificate::verify(&long, &table.instance, FIRST_KEYS, &it).unwrap_err();
    assert_eq!(error, CertificateError::TooLarge { found: long.len() });
}

#[test]
fn another_list_of_closers_does_not_accept_a_certificate() {
    let (four, five) = (Table::of(4), Table::of(5));
    let it = value("the value");
    let certificate = four.commit(&[0, 1, 2, 3], 6, &it);
    assert!(CommitCertificate::verify(certificate.bytes(), &five.instance, FIRST_KEYS, &it).is_err());
}
