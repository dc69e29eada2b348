use althing_agree::Value;
use althing_record::{Content, Draft, Kind, Record};
use althing_testkit::{agent, chain, leaves, network, sign};

use super::super::*;
use super::closed::{agreed, place, report};
use crate::{
    Answers, ClosedTerms, Docket, DocketQuestion, Electorate, ProposalBody, Question, ReportSet, Rule,
};

const YES: Choice = Choice::Option(0);
const NO: Choice = Choice::Option(1);

fn put(rule: Rule, closed: bool, electorate: &Electorate) -> Record {
    let question = Question { text: "June", options: &[], rule, electorate, window_ms: 1, nonce: [7; 8] };
    let terms = if closed {
        ProposalBody::closed(&question, &ClosedTerms::default())
    } else {
        ProposalBody::direct(question.text, &[], rule, electorate, 1, question.nonce)
    };
    let asked: Vec<_> =
        (1..=3).map(|number| DocketQuestion::new(&format!("merge PR {number}?"), &[]).unwrap()).collect();
    let content = Content::Leaves(Docket::leaves(&terms.unwrap(), &asked).unwrap());
    sign(Draft { content, ..chain(&agent(1), Kind::ProposalBatch, None, Vec::new()) }, &agent(1))
}

/// Everybody says no to the second question and yes to the others.
fn said(docket: &Record, voters: std::ops::RangeInclusive<u8>) -> Vec<Record> {
    let answers = Answers::leaves(docket.id(), &[YES, NO, YES]);
    voters.map(|n| sign(leaves(&agent(n), None, answers.clone()), &agent(n))).collect()
}

fn electorate(count: u8) -> Electorate {
    Electorate::equal((1..=count).map(|n| agent(n).agent()).collect()).unwrap()
}

fn no_byte_can_be_changed(bytes: &[u8]) {
    assert!(crate::verify_file(bytes, Some(network().id())).is_ok());
    for at in 0..bytes.len() {
        let mut altered = bytes.to_vec();
        altered[at] ^= 1;
        assert!(crate::verify_file(&altered, Some(network().id())).is_err(), "byte {at}");
    }
}

#[test]
fn a_question_of_a_direct_docket_is_certified_alone() {
    let electorate = electorate(5);
    let docket = put(Rule::SuperMajority { num: 2, den: 3 }, false, &electorate);
    let batches = said(&docket, 1..=4);
    let write = |item| Certificate::write_item(&network(), &docket, item, &batches, &[]);
    assert_eq!((write(Some(2)), write(Some(4)), write(None)), (None, None, None), "no is not certified");
    let certificate = write(Some(3)).unwrap();
    let verified = Certificate::verify(&certificate.to_bytes(), None).unwrap();
    assert_eq!((verified.proposal.question.as_str(), verified.proposal.item), ("merge PR 3?", Some(3)));
    assert_eq!((verified.option.as_str(), verified.weight), ("yes", 4));
    no_byte_can_be_changed(&certificate.to_bytes());

    // Nodes count no batch that leaves questions out.
    let short = Answers::leaves(docket.id(), &[YES, YES]);
    let mut cut = said(&docket, 1..=3);
    cut.push(sign(leaves(&agent(4), None, short), &agent(4)));
    let cut = Certificate::write_item(&network(), &docket, Some(1), &cut, &[]).unwrap();
    let refused = Certificate::verify(&cut.to_bytes(), None).unwrap_err().to_string();
    assert!(refused.contains("not one for each question"), "{refused}");

    // Answers to another question prove nothing about this one.
    let other = write(Some(1)).unwrap();
    let moved = Certificate { docket: certificate.docket.clone(), ..other.clone() };
    let refused = Certificate::verify(&moved.to_bytes(), None).unwrap_err().to_string();
    assert!(refused.contains("not for this option of this proposal"), "{refused}");
    let alone = Certificate { docket: None, ..other };
    assert!(Certificate::verify(&alone.to_bytes(), None).is_err(), "a docket is no single proposal");
}

#[test]
fn a_question_of_a_closed_docket_is_certified_alone_and_counted_again() {
    let electorate = electorate(4);
    let docket = put(Rule::Majority, true, &electorate);
    let ballots = said(&docket, 1..=3);
    let mut rows: Vec<_> =
        (1..=3).zip(&ballots).map(|(n, ballot)| (place(&electorate, n), ballot.id())).collect();
    rows.sort_unstable();
    let reports: Vec<_> = (1..=3).map(|n| report(&agent(n), &docket, &rows)).collect();
    let set = ReportSet::new(4, reports.iter().map(Record::id)).unwrap();
    let parsed = Docket::from_record(&docket).unwrap();
    let commit = agreed(&parsed.terms, &Value::new(&set.to_bytes()).unwrap(), 4);
    for (item, expected) in [(1, 0), (2, 1), (3, 0)] {
        let put = (&docket, Some(item));
        let certificate =
            ClosedCertificate::write_item(&network(), put, &reports, &ballots, &[], &[], &commit).unwrap();
        let verified = ClosedCertificate::verify(&certificate.to_bytes(), None).unwrap();
        assert_eq!(
            (verified.count.decides(), verified.proposal.item),
            (Outcome::Decided(expected), Some(item))
        );
        if item == 2 {
            no_byte_can_be_changed(&certificate.to_bytes());
        }
    }
    let beyond = (&docket, Some(4));
    assert_eq!(
        ClosedCertificate::write_item(&network(), beyond, &reports, &ballots, &[], &[], &commit),
        None
    );
}
