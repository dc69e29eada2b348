//! Closers whose keys were replaced, in tests.

use althing_record::{AgentId, AgentKey, SIGNATURE_LEN};

use crate::certificate::Certificate;
use crate::fixture::{NOW, Player, Table, value};
use crate::instance::Seat;
use crate::message::Content;
use crate::statement::{Said, SignedStatement, Slot, StatementError};
use crate::{
    Agreement, CertificateError, CommitCertificate, Entry, Evidence, FIRST_KEYS, Instance, Message, Output,
    Step, Value,
};

/// The second key of a closer.
fn second(seat: usize) -> AgentKey {
    AgentKey::from_seed(&[0x80 + u8::try_from(seat).unwrap(); 32])
}

/// Whether a key is the second one of a table's closer.
fn is_second(table: &Table) -> impl Fn(AgentId, &[u8; 32]) -> bool {
    let keys: Vec<_> = (0..table.keys.len()).map(|seat| (table.agent(seat), second(seat).public())).collect();
    move |agent, key| keys.contains(&(agent, *key))
}

fn sign(table: &Table, seat: usize, said: Said, key: &AgentKey) -> SignedStatement {
    SignedStatement::sign(&table.instance, Seat(u8::try_from(seat).unwrap()), said, key)
}

fn precommit(it: &Value) -> Said {
    Said::vote(Step::Precommit, 0, Some(it.id()))
}

fn commit(instance: &Instance, it: &Value, votes: Vec<SignedStatement>) -> Vec<u8> {
    let slot = Slot { round: 0, step: Step::Precommit };
    Certificate::new(instance, slot, it.id(), votes).bytes().to_vec()
}

#[test]
fn a_statement_by_another_key_waits_until_the_key_is_known() {
    let table = Table::of(4);
    let (it, known) = (value("it"), is_second(&table));
    let signed = sign(&table, 2, precommit(&it), &second(2));
    assert_eq!(signed.statement().key, Some(second(2).public()));
    let bytes = Message::new(Content::Vote(signed.clone())).bytes().clone();
    let early = Message::verify(&bytes, &table.instance, FIRST_KEYS).unwrap_err();
    assert!(early.is_unknown_key(), "{early}");
    assert!(Message::verify(&bytes, &table.instance, &known).is_ok());
    // A key of another closer's is none of this one's.
    let foreign = Message::new(Content::Vote(sign(&table, 2, precommit(&it), &second(1))));
    assert!(Message::verify(foreign.bytes(), &table.instance, &known).unwrap_err().is_unknown_key());
    // What is not signed by the key that it names is wrong, whether or not that is known.
    let mut forged = bytes.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    for keys in [FIRST_KEYS, &known] {
        assert!(!Message::verify(&forged, &table.instance, keys).unwrap_err().is_unknown_key());
    }
}

#[test]
fn a_statement_has_one_form_under_the_first_key() {
    let table = Table::of(4);
    let it = value("it");
    let mut statement = table.sign(1, precommit(&it)).statement().clone();
    statement.key = Some(table.agent(1).0);
    let content = althing_record::cbor::to_vec(&statement);
    let error = SignedStatement::verify(&content, [0; SIGNATURE_LEN], &table.instance, FIRST_KEYS);
    assert_eq!(error.unwrap_err(), StatementError::Rule("a closer's first key is not named"));
}

#[test]
fn certificates_of_first_and_other_keys_are_verified_with_the_keys_that_are_known() {
    let table = Table::of(4);
    let (it, known) = (value("it"), is_second(&table));
    let votes = vec![
        table.sign(0, precommit(&it)),
        sign(&table, 1, precommit(&it), &second(1)),
        sign(&table, 3, precommit(&it), &second(3)),
    ];
    let bytes = commit(&table.instance, &it, votes);
    let read = CommitCertificate::verify(&bytes, &table.instance, &known, &it).unwrap();
    assert_eq!(read.votes().len(), 3);
    let error = CommitCertificate::verify(&bytes, &table.instance, FIRST_KEYS, &it).unwrap_err();
    assert_eq!(error, CertificateError::UnknownKey { seat: 1, agent: table.agent(1) });
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        assert!(CommitCertificate::verify(&changed, &table.instance, &known, &it).is_err(), "byte {at}");
    }
}

#[test]
fn as_many_other_keys_as_there_may_be_fit_a_certificate() {
    let table = Table::of(31);
    let (it, known) = (value("it"), is_second(&table));
    let votes = (0..31).map(|seat| sign(&table, seat, precommit(&it), &second(seat))).collect();
    let bytes = commit(&table.instance, &it, votes);
    assert!(CommitCertificate::verify(&bytes, &table.instance, &known, &it).is_ok());
}

#[test]
fn two_keys_of_one_closer_are_one_seat() {
    let table = Table::of(4);
    let (it, known) = (value("it"), is_second(&table));
    let both = [table.sign(0, precommit(&it)), sign(&table, 0, precommit(&it), &second(0))];
    let other = table.sign(1, precommit(&it));
    let votes: Vec<_> = both.iter().cloned().chain([other]).collect();
    assert!(CommitCertificate::gather(&table.instance, 0, &it, &votes).is_none());
    let bytes = commit(&table.instance, &it, votes.clone());
    let error = CommitCertificate::verify(&bytes, &table.instance, &known, &it).unwrap_err();
    assert_eq!(error, CertificateError::Duplicate { seat: 0 });
    let mut seated = Player::new(&table, 3);
    seated.offer(&it);
    seated.handle(&table.proposal(0, &it, None));
    seated.judge(&it, true);
    for signed in votes {
        seated.handle(&Message::new(Content::Vote(signed)));
    }
    assert_eq!(seated.decided(), None, "three precommits of two closers");
}

#[test]
fn two_keys_of_one_closer_contradict_each_other_only_by_what_they_say() {
    let table = Table::of(4);
    let known = is_second(&table);
    let (it, other) = (precommit(&value("it")), precommit(&value("other")));
    let first = table.sign(0, it);
    assert_eq!(Evidence::prove(&first, &sign(&table, 0, it, &second(0))), None);
    let evidence = Evidence::prove(&first, &sign(&table, 0, other, &second(0))).unwrap();
    let bytes = evidence.to_bytes();
    assert_eq!(Evidence::verify(&bytes, &table.instance, &known), Ok(evidence));
    assert!(Evidence::verify(&bytes, &table.instance, FIRST_KEYS).is_err());
}

#[test]
fn a_closer_with_a_new_key_goes_on_where_it_was_and_says_nothing_else() {
    let table = Table::of(4);
    let (it, known) = (value("it"), is_second(&table));
    let mut before = Player::new(&table, 1);
    before.handle(&table.proposal(0, &it, None));
    before.judge(&it, true);
    before.votes(&[0, 2], Step::Prevote, 0, Some(&it));
    let kept: Vec<_> = before.kept().map(|entry| entry.bytes().clone()).collect();
    assert_eq!(kept.len(), 2, "a prevote and a precommit");
    let own = Some(table.agent(1));
    let mut after = Agreement::restore(table.instance.clone(), own, &kept, &known, NOW).unwrap();
    let mut said = Vec::new();
    // It leads round 1, and is bound to what it precommitted with its first key.
    for seat in [0, 2, 3] {
        after.handle(NOW, &table.vote(seat, Step::Precommit, 0, None), &second(1));
    }
    for wait in 1..8 {
        after.wake(NOW.plus(wait * 500), &second(1));
        while let Some(output) = after.poll() {
            if let Output::Keep(entry) = output {
                said.push(entry);
            }
        }
    }
    assert!(said.iter().any(|entry| entry.slot() == (1, Step::Proposal)), "{said:?}");
    for entry in said {
        assert_eq!(entry.statement().key, Some(second(1).public()));
        assert!(entry.slot().0 > 0, "nothing is said twice: {entry:?}");
        assert!(entry.statement().value.is_none_or(|value| value == it.id()));
        assert!(Entry::verify(entry.bytes(), &table.instance, &known).is_ok());
    }
}

#[test]
fn whoever_holds_a_replaced_key_silences_the_seat_in_this_decision_and_gives_it_no_second_voice() {
    let table = Table::of(4);
    let it = value("it");
    let mut seated = Player::new(&table, 1);
    let stolen = sign(&table, 1, Said::vote(Step::Prevote, 0, None), &second(1));
    seated.handle(&Message::new(Content::Vote(stolen.clone())));
    seated.handle(&table.proposal(0, &it, None));
    seated.judge(&it, true);
    let doubled = |output: &Output| matches!(output, Output::Doubled(signed) if **signed == stolen);
    assert!(seated.outputs.iter().any(doubled));
    assert!(!seated.outputs.iter().any(|output| matches!(output, Output::Keep(_))));
}
