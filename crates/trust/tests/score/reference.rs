use std::fmt::Write as _;
use std::path::PathBuf;

use althing_trust::{RatingEpoch, Scores};

use crate::drawn::{Attested, Draw, agent, anchored, ledger_of, number};

/// One ledger of the fixture: how it is drawn, and what the reference program says.
struct Case {
    terms: Vec<String>,
    expected: String,
}

impl Case {
    fn term(&self, name: &str) -> &str {
        let at = self.terms.iter().position(|term| term == name).unwrap();
        &self.terms[at + 1]
    }

    fn number(&self, name: &str) -> u64 {
        self.term(name).parse().unwrap()
    }

    fn attested(&self) -> Vec<Attested> {
        let mut draw = Draw(self.number("ledger"));
        let (agents, good) = (self.number("agents"), self.number("good"));
        let (first, last) = (self.number("first"), self.number("last"));
        let one = |id| {
            let (rater, target) = (draw.below(agents), draw.below(agents));
            let (epoch, quality) = (first + draw.below(last - first), draw.below(100));
            let is_praise = rater >= good && target >= good;
            let is_ok = is_praise || quality < if target < good { 95 } else { 30 };
            Attested::call(id, rater, target, epoch, is_ok)
        };
        (0..self.number("records")).map(one).collect()
    }

    fn scores(&self, attested: &[Attested]) -> Scores {
        let anchors = self.term("anchors").split(',').filter_map(|anchor| anchor.parse().ok());
        let params = anchored(anchors);
        let mut ledger = ledger_of(attested);
        let view = ledger.view(RatingEpoch(self.number("at")));
        match self.term("self").parse() {
            Ok(itself) => view.seen_by(agent(itself), &params),
            Err(_) => view.scores(&params).unwrap(),
        }
    }
}

fn cases() -> Vec<Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/trustflow.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with("ledger") {
            let terms = line.split(' ').map(str::to_owned).collect();
            cases.push(Case { terms, expected: String::new() });
        } else {
            writeln!(cases.last_mut().unwrap().expected, "{line}").unwrap();
        }
    }
    cases
}

fn printed(scores: &Scores) -> String {
    scores.iter().fold(String::new(), |mut text, (agent, standing)| {
        let (long, evidence) = (standing.reliability.long.0, standing.evidence.0);
        let (trust, honesty, weight) = (standing.trust.0, standing.honesty.0, standing.weight.0);
        writeln!(text, "{} {long} {evidence} {trust} {honesty} {weight}", number(agent)).unwrap();
        text
    })
}

#[test]
fn scores_are_those_of_the_reference_program_to_the_last_bit() {
    let cases = cases();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let attested = case.attested();
        assert_eq!(printed(&case.scores(&attested)), case.expected, "ledger {}", case.term("ledger"));
    }
}

#[test]
fn shuffled_and_repeated_records_give_the_scores_of_the_reference_program() {
    for case in cases() {
        let mut attested = case.attested();
        let repeated = attested[..attested.len() / 6].to_vec();
        attested.extend(repeated);
        Draw(case.number("ledger") + 100).shuffle(&mut attested);
        assert_eq!(printed(&case.scores(&attested)), case.expected, "ledger {}", case.term("ledger"));
    }
}
