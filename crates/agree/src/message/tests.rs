use althing_record::SignatureError;
use althing_record::cbor::{self, Writer};
use althing_testkit::{agent, foreign_network, network};

use super::*;
use crate::FIRST_KEYS;
use crate::fixture::{Table, value};
use crate::statement::{Said, Slot};
use crate::{Entry, EntryError, Evidence, EvidenceError, InstanceId, ROUND_MAX};

/// One message of every kind.
fn messages(table: &Table) -> Vec<Message> {
    let it = value("the value");
    let polka = table.polka(&[0, 1, 2], 1, &it);
    let certificate = table.commit(&[1, 2, 3], 2, &it);
    vec![
        table.proposal(0, &it, None),
        table.proposal(2, &it, Some(polka.clone())),
        table.vote(1, Step::Prevote, 0, Some(&it)),
        table.vote(1, Step::Precommit, 300, None),
        Message::new(Content::Polka { polka, value: it.clone() }),
        Message::new(Content::Decision { certificate, value: it }),
    ]
}

/// Calls `refused` with every single-bit change, every shorter length and one longer.
fn damage(bytes: &[u8], refused: impl Fn(&[u8]) -> bool) {
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << bit;
            assert!(refused(&changed), "byte {at}, bit {bit}");
        }
        assert!(refused(&bytes[..at]), "cut to {at}");
    }
    assert!(refused(&[bytes, &[0]].concat()), "with a byte more");
}

#[test]
fn every_kind_is_read_back_as_it_was() {
    let table = Table::of(4);
    for message in messages(&table) {
        let read = Message::verify(message.bytes(), &table.instance, FIRST_KEYS).unwrap();
        assert_eq!(format!("{:?}", read.content), format!("{:?}", message.content));
        assert_eq!(read.content.encode(), &**message.bytes());
    }
}

#[test]
fn every_changed_cut_or_longer_message_is_refused() {
    let table = Table::of(4);
    for message in messages(&table) {
        damage(message.bytes(), |bytes| Message::verify(bytes, &table.instance, FIRST_KEYS).is_err());
    }
}

#[test]
fn every_changed_cut_or_longer_entry_or_proof_is_refused() {
    let table = Table::of(4);
    let it = value("the value");
    let message = table.vote(1, Step::Precommit, 1, Some(&it));
    let signed = message.signed().unwrap().clone();
    let entry = Entry::new(message, signed, Some((table.polka(&[0, 1, 2], 1, &it), it.clone())));
    assert!(Entry::verify(entry.bytes(), &table.instance, FIRST_KEYS).is_ok());
    damage(entry.bytes(), |bytes| Entry::verify(bytes, &table.instance, FIRST_KEYS).is_err());

    let said = |value| table.sign(2, Said::vote(Step::Prevote, 7, value));
    let evidence = Evidence::prove(&said(Some(it.id())), &said(None)).unwrap();
    let bytes = evidence.to_bytes();
    assert_eq!(Evidence::verify(&bytes, &table.instance, FIRST_KEYS), Ok(evidence));
    damage(&bytes, |bytes| Evidence::verify(bytes, &table.instance, FIRST_KEYS).is_err());

    let bytes = said(None).to_bytes();
    assert_eq!(SignedStatement::from_bytes(&bytes, &table.instance, FIRST_KEYS), Ok(said(None)));
    damage(&bytes, |bytes| SignedStatement::from_bytes(bytes, &table.instance, FIRST_KEYS).is_err());
}

#[test]
fn messages_of_another_network_or_decision_are_named() {
    let table = Table::of(4);
    let closers = table.instance.closers().to_vec();
    let network = foreign_network().id();
    let abroad = Instance::new(network, table.instance.id(), closers.clone()).unwrap();
    let other = Instance::new(table.instance.network(), InstanceId([1; 32]), closers).unwrap();
    for message in messages(&table) {
        let error = Message::verify(message.bytes(), &abroad, FIRST_KEYS).unwrap_err();
        assert!(error.to_string().contains("is for network"), "{error}");
        let error = Message::verify(message.bytes(), &other, FIRST_KEYS).unwrap_err();
        assert!(error.to_string().contains("is for decision"), "{error}");
    }
}

#[test]
fn messages_of_others_than_closers_are_named() {
    let (table, fewer) = (Table::of(5), Table::of(4));
    let stranger = (0..5).find(|seat| fewer.instance.seat(table.agent(*seat)).is_none()).unwrap();
    let vote = table.vote(stranger, Step::Prevote, 0, None);
    let expected = StatementError::NotACloser { agent: table.agent(stranger) };
    assert_eq!(Message::verify(vote.bytes(), &fewer.instance, FIRST_KEYS).unwrap_err(), expected.into());
}

fn refused(table: &Table, seat: usize, said: Said) -> StatementError {
    let signed = table.sign(seat, said);
    let content = cbor::to_vec(signed.statement());
    SignedStatement::verify(&content, signed.signature(), &table.instance, FIRST_KEYS).unwrap_err()
}

#[test]
fn statements_that_break_a_rule_are_named() {
    let table = Table::of(4);
    let it = Some(value("the value").id());
    let slot = |round, step| Slot { round, step };
    let said = |slot, value, valid_round| Said { slot, value, valid_round };
    let late = ROUND_MAX + 1;
    assert_eq!(
        refused(&table, 1, Said::vote(Step::Prevote, late, None)),
        StatementError::RoundOutOfBounds { found: late }
    );
    assert_eq!(
        refused(&table, 1, said(slot(0, Step::Proposal), it, None)),
        StatementError::WrongLeader { round: 0, found: table.agent(1), expected: table.agent(0) }
    );
    let rules = [
        said(slot(0, Step::Proposal), None, None),
        said(slot(0, Step::Proposal), it, Some(0)),
        said(slot(4, Step::Proposal), it, Some(4)),
        said(slot(4, Step::Prevote), it, Some(3)),
    ];
    for said in rules {
        assert!(matches!(refused(&table, 0, said), StatementError::Rule(_)), "{said:?}");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_named() {
    let table = Table::of(4);
    let (it, other) = (value("the value"), value("other"));
    let verify =
        |content: Content| Message::verify(&content.encode(), &table.instance, FIRST_KEYS).unwrap_err();
    let slot = Slot { round: 4, step: Step::Proposal };
    let signed = |valid_round| table.sign(0, Said { slot, value: Some(it.id()), valid_round });
    let proposal = |valid_round, polka, value: &Value| Content::Proposal {
        signed: signed(valid_round),
        polka,
        value: value.clone(),
    };
    assert_eq!(
        verify(proposal(None, None, &other)),
        MessageError::OtherValue { found: other.id(), expected: it.id() }
    );
    let polka = |round, value| Some(table.polka(&[0, 1, 2], round, value));
    assert_eq!(verify(proposal(Some(1), None, &it)), MessageError::OtherPolka);
    assert_eq!(verify(proposal(None, polka(1, &it), &it)), MessageError::OtherPolka);
    assert_eq!(verify(proposal(Some(2), polka(1, &it), &it)), MessageError::OtherPolka);
    assert_eq!(verify(proposal(Some(1), polka(1, &other), &it)), MessageError::OtherPolka);

    let vote = table.sign(1, Said::vote(Step::Prevote, 0, None));
    let as_proposal = Content::Proposal { signed: vote, polka: None, value: it.clone() };
    assert_eq!(verify(as_proposal), MessageError::WrongStep { found: Step::Prevote });
    assert_eq!(verify(Content::Vote(signed(None))), MessageError::WrongStep { found: Step::Proposal });

    let polka = table.polka(&[0, 1, 2], 0, &it);
    let error = verify(Content::Polka { polka: polka.clone(), value: other.clone() });
    assert_eq!(error, CertificateError::OtherValue { found: it.id(), expected: other.id() }.into());
    let commit = CommitCertificate(polka.0);
    let error = verify(Content::Decision { certificate: commit, value: it.clone() });
    let (found, expected) = (Step::Prevote, Step::Precommit);
    assert_eq!(error, CertificateError::WrongStep { found, expected }.into());
}

#[test]
fn entries_with_a_lock_that_is_not_theirs_are_named() {
    let table = Table::of(4);
    let (it, other) = (value("the value"), value("other"));
    let entry = |message: Message, lock| {
        let signed = message.signed().unwrap().clone();
        Entry::verify(Entry::new(message, signed, lock).bytes(), &table.instance, FIRST_KEYS)
            .map(|_| ())
            .unwrap_err()
    };
    let lock = |round, value: &Value| Some((table.polka(&[0, 1, 2], round, value), value.clone()));
    let precommit = || table.vote(1, Step::Precommit, 1, Some(&it));
    assert_eq!(entry(precommit(), None), EntryError::OtherLock);
    assert_eq!(entry(precommit(), lock(0, &it)), EntryError::OtherLock);
    assert_eq!(entry(precommit(), lock(1, &other)), EntryError::OtherLock);
    assert_eq!(entry(table.vote(1, Step::Prevote, 1, Some(&it)), lock(1, &it)), EntryError::OtherLock);
    assert_eq!(entry(table.vote(1, Step::Precommit, 1, None), lock(1, &it)), EntryError::OtherLock);
}

#[test]
fn proofs_of_nothing_are_refused() {
    let table = Table::of(4);
    let it = value("the value").id();
    let said = |seat, step, round, value| table.sign(seat, Said::vote(step, round, value));
    let one = said(1, Step::Prevote, 0, Some(it));
    let others = [
        one.clone(),
        said(2, Step::Prevote, 0, None),
        said(1, Step::Precommit, 0, None),
        said(1, Step::Prevote, 1, None),
    ];
    for other in others {
        assert_eq!(Evidence::prove(&one, &other), None);
        let mut to = Writer::default();
        to.array(4);
        one.encode(&mut to);
        other.encode(&mut to);
        assert_eq!(
            Evidence::verify(&to.into_bytes(), &table.instance, FIRST_KEYS),
            Err(EvidenceError::NoConflict)
        );
    }
}

#[test]
fn too_long_bytes_are_refused_before_they_are_read() {
    let table = Table::of(4);
    let long = vec![0; MESSAGE_BYTES_MAX + 1];
    let error = Message::verify(&long, &table.instance, FIRST_KEYS).unwrap_err();
    assert_eq!(error, MessageError::TooLarge { found: long.len() });
    let long = vec![0; VALUE_BYTES_MAX + 1];
    assert_eq!(Value::new(&long), Err(ValueTooLong { found: long.len() }));
    let longest = Value::new(&long[1..]).unwrap();
    let polka = table.polka(&[0, 1, 2, 3], 3, &longest);
    let longest = table.proposal(4, &longest, Some(polka));
    assert!(Message::verify(longest.bytes(), &table.instance, FIRST_KEYS).is_ok());
}

#[test]
fn the_longest_certificate_fits() {
    let table = Table::of(31);
    let seats: Vec<_> = (0..31).collect();
    let it = value("the value");
    let commit = table.commit(&seats, ROUND_MAX, &it);
    assert!(commit.bytes().len() <= CERTIFICATE_BYTES_MAX);
    assert_eq!(CommitCertificate::verify(commit.bytes(), &table.instance, FIRST_KEYS, &it), Ok(commit));
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let table = Table::of(4);
    let signed = table.sign(1, Said::vote(Step::Prevote, 0, None));
    let content = cbor::to_vec(signed.statement());
    let error =
        SignedStatement::verify(&content, agent(9).sign(&content), &table.instance, FIRST_KEYS).unwrap_err();
    assert_eq!(error, StatementError::Signature(SignatureError::Mismatch));
    assert_eq!(network().id(), table.instance.network());
}

/// The example of docs/spec/agreement.md.
#[test]
fn bytes_are_those_of_the_specification() {
    let table = Table::of(4);
    let vote = table.vote(0, Step::Prevote, 5, Some(&value("yes")));
    let hex: String = vote.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, include_str!("../../fixtures/vote.hex").trim());
}
