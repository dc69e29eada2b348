use althing_record::Record;
use althing_testkit::{agent, chain, leaves, sign};

use super::*;
use crate::{ClosedTerms, Electorate, Question, Rule};

fn terms(delegation: bool) -> ProposalBody {
    let electorate = Electorate::equal((1..=5).map(|n| agent(n).agent()).collect()).unwrap();
    let (rule, electorate) = (Rule::Majority, &electorate);
    let question =
        Question { text: "June", options: &[], rule, electorate, window_ms: 60_000, nonce: [7; 8] };
    ProposalBody::closed(&question, &ClosedTerms { delegation, ..ClosedTerms::default() }).unwrap()
}

fn questions(count: usize) -> Vec<DocketQuestion> {
    (1..=count).map(|n| DocketQuestion::new(&format!("merge PR {n}?"), &[]).unwrap()).collect()
}

fn docket_of(leaves: Vec<Vec<u8>>) -> Record {
    let content = althing_record::Content::Leaves(leaves);
    sign(
        althing_record::Draft { content, ..chain(&agent(1), Kind::ProposalBatch, None, Vec::new()) },
        &agent(1),
    )
}

fn docket(count: usize) -> (Record, Docket) {
    let record = docket_of(Docket::leaves(&terms(false), &questions(count)).unwrap());
    let docket = Docket::from_record(&record).unwrap();
    (record, docket)
}

fn answers(docket: &Docket, n: u8, choices: &[Choice]) -> Record {
    sign(leaves(&agent(n), None, Answers::leaves(docket.terms.id, choices)), &agent(n))
}

#[test]
fn a_docket_holds_its_questions_under_common_terms() {
    let mut asked = questions(3);
    asked[1] = DocketQuestion::new("where?", &["Oslo".to_owned(), "Turku".to_owned()]).unwrap();
    let record = docket_of(Docket::leaves(&terms(false), &asked).unwrap());
    let docket = Docket::from_record(&record).unwrap();
    assert_eq!((docket.len(), docket.terms.question.as_str(), docket.terms.id), (3, "June", record.id()));
    let mut seen = Vec::new();
    docket.for_each(|item, proposal| {
        assert_eq!(docket.proposal(item).as_ref(), Some(proposal));
        seen.push((item, proposal.question.clone(), proposal.options.clone(), proposal.against));
    });
    let motion = || vec!["yes".to_owned(), "no".to_owned()];
    let places = vec!["Oslo".to_owned(), "Turku".to_owned()];
    assert_eq!(
        seen,
        [
            (1, "merge PR 1?".to_owned(), motion(), Some(1)),
            (2, "where?".to_owned(), places, None),
            (3, "merge PR 3?".to_owned(), motion(), Some(1)),
        ]
    );
    assert_eq!((docket.proposal(0), docket.proposal(4)), (None, None));
}

#[test]
fn answers_are_one_for_each_question_in_order() {
    let (_, docket) = docket(3);
    let said = [Choice::Option(0), Choice::Abstain, Choice::Option(1)];
    let record = answers(&docket, 2, &said);
    let read = Answers::from_record(&record).unwrap().unwrap();
    assert_eq!((read.docket, read.voter, &read.choices[..]), (docket.terms.id, agent(2).agent(), &said[..]));
    assert!(docket.takes(&read));

    let taken = |n: u8, choices: &[Choice]| {
        docket.takes(&Answers::from_record(&answers(&docket, n, choices)).unwrap().unwrap())
    };
    assert!(!taken(2, &said[..2]), "one is missing");
    assert!(!taken(2, &[&said[..], &said[..1]].concat()), "one too many");
    assert!(!taken(9, &said), "not a voter");
    assert!(!taken(2, &[Choice::Option(2), Choice::Abstain, Choice::Abstain]), "there is no such option");
    assert!(!taken(2, &[Choice::Ranking([0].into()), Choice::Abstain, Choice::Abstain]), "not of this rule");

    let mut swapped = Answers::leaves(docket.terms.id, &said);
    swapped.swap(0, 1);
    let record = sign(leaves(&agent(2), None, swapped), &agent(2));
    assert!(Answers::from_record(&record).unwrap_err().to_string().contains("another question"));
    let mut mixed = Answers::leaves(docket.terms.id, &said);
    mixed[2] = crate::leaf(docket.terms.id, &Choice::Abstain);
    let record = sign(leaves(&agent(2), None, mixed), &agent(2));
    assert!(Answers::from_record(&record).is_err());
    let record =
        sign(leaves(&agent(2), None, vec![crate::leaf(docket.terms.id, &Choice::Abstain)]), &agent(2));
    assert_eq!(Answers::from_record(&record), Ok(None), "a ballot for a proposal that stands alone");
}

#[test]
fn a_question_is_proved_by_its_leaf_and_the_terms() {
    let (record, docket) = docket(5);
    let proof = DocketProof::of(&record, 4).unwrap();
    assert_eq!(proof.proposal(&record).ok(), docket.proposal(4));
    assert_eq!(DocketProof::of(&record, 6), None);
    let (other, _) = self::docket(4);
    assert!(proof.proposal(&other).is_err());
    for wrong in [
        DocketProof { item: 3, ..proof.clone() },
        DocketProof {
            item: 0,
            question: proof.terms.clone(),
            question_path: proof.terms_path.clone(),
            ..proof.clone()
        },
        DocketProof {
            terms: proof.question.clone(),
            terms_path: proof.question_path.clone(),
            ..proof.clone()
        },
        DocketProof { question: DocketProof::of(&record, 3).unwrap().question, ..proof.clone() },
    ] {
        assert!(wrong.proposal(&record).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_docket_that_could_not_be_answered_is_refused() {
    let refused =
        |body: &ProposalBody, asked: &[DocketQuestion]| Docket::leaves(body, asked).unwrap_err().to_string();
    assert!(refused(&terms(false), &[]).contains("0 questions, expected 1 to 1023"));
    assert!(refused(&terms(false), &questions(1_024)).contains("1024 questions"));
    assert!(Docket::leaves(&terms(false), &questions(1_000)).is_ok());
    assert!(refused(&terms(true), &questions(1_000)).contains("its answers take"), "delegations are longer");
    let trustees: Vec<_> = (1..=4).map(|n| agent(n).agent()).collect();
    let sealing = Some(crate::Sealing::new(trustees, None).unwrap());
    let electorate = Electorate::equal(vec![agent(1).agent()]).unwrap();
    let (rule, electorate) = (Rule::Majority, &electorate);
    let question = Question { text: "June", options: &[], rule, electorate, window_ms: 1, nonce: [7; 8] };
    let body = ProposalBody::closed(&question, &ClosedTerms { sealing, ..ClosedTerms::default() }).unwrap();
    assert!(refused(&body, &questions(1)).contains("cannot be sealed"));
    let long = vec![DocketQuestion::new(&"why? ".repeat(200), &[]).unwrap(); 100];
    assert!(refused(&terms(false), &long).contains("its questions take"));
    assert!(DocketQuestion::new(" ", &[]).is_err());
    assert!(DocketQuestion::new("?", &["a".to_owned()]).is_err());
    assert!(DocketQuestion::new("?", &["a".to_owned(), "a".to_owned()]).is_err());
    let only_terms = docket_of(vec![cbor::to_vec(&terms(false))]);
    assert!(Docket::from_record(&only_terms).unwrap_err().to_string().contains("no questions"));
}
