use std::path::Path;

use althing_tally::{Decision, OptionId, Outcome};

use super::reader::{Ballots, read};
use super::rules::Rules;
use super::*;

fn rules(text: &str) -> Rules {
    Rules::parse(Path::new("rules.toml"), text).unwrap()
}

fn refused(text: &str) -> String {
    let error = Rules::parse(Path::new("rules.toml"), text).unwrap_err();
    format!("{error}; {}", error.hint.as_deref().unwrap_or_default())
}

fn counted(text: &str, csv: &str) -> (Ballots, Outcome) {
    let rules = rules(text);
    let ballots = read(csv.as_bytes(), &rules).unwrap();
    let counted = outcome(&rules, &ballots).unwrap().0;
    (ballots, counted)
}

fn first_tally(text: &str, csv: &str) -> Vec<(String, String)> {
    let (ballots, outcome) = counted(text, csv);
    let votes = |units: &Option<u128>| units.map_or_else(|| "-".to_owned(), |units| outcome.votes(units));
    ballots.options.iter().cloned().zip(outcome.rounds[0].tally.iter().map(votes)).collect()
}

fn wrong(text: &str, csv: &str) -> String {
    let error = read(csv.as_bytes(), &rules(text)).unwrap_err();
    assert!(!error.hint().is_empty());
    error.to_string()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, votes)| ((*name).to_owned(), (*votes).to_owned())).collect()
}

#[test]
fn both_layouts_of_the_same_ballots_count_the_same() {
    let ranks = "id,rank1,rank2\n1,A,B\n2,A,B\n3,,B\n4,C|A,B\n";
    let ranking = "\u{feff}count,ranking\r\n2,A>B\r\n1,>B\r\n1,A=C > B\r\n";
    let rules = "method = \"irv\"\novervotes = \"pass\"";
    assert_eq!(counted(rules, ranks).1, counted(rules, ranking).1);
    assert_eq!(first_tally(rules, ranks), pairs(&[("A", "2"), ("B", "2"), ("C", "0")]));
}

#[test]
fn columns_of_ranks_are_found_by_their_usual_names() {
    for header in ["rank1,rank2", "Choice 1,Choice 2", "1st Choice,2nd Choice", "2,1", "rank_2,rank_1"] {
        let csv = format!("{header},precinct\nA,B,x\nA,B,x\n");
        let first = if header.starts_with('2') || header.starts_with("rank_2") { "B" } else { "A" };
        let tally = first_tally("method = \"plurality\"", &csv);
        assert!(tally.contains(&(first.to_owned(), "2".to_owned())), "{header}: {tally:?}");
    }
    let csv = "beta,alpha\nA,B\n";
    let named = "method = \"irv\"\n[ballots]\nranks = [\"alpha\", \"beta\"]";
    assert_eq!(first_tally(named, csv), pairs(&[("A", "0"), ("B", "1")]));
    assert!(wrong("method = \"irv\"", csv).contains("expected columns for ranks"));
}

#[test]
fn names_that_are_not_listed_are_refused_grouped_or_options() {
    let csv = "rank1\nAnn\nZoe\nEve\n";
    let with =
        |write_ins: &str| format!("method = \"irv\"\noptions = [\"Ann\"]\nwrite_ins = \"{write_ins}\"");
    assert!(
        wrong(&with("refuse"), csv).contains("line 3, column \"rank1\": \"Zoe\" is not among the options")
    );
    assert_eq!(first_tally(&with("group"), csv), pairs(&[("Ann", "1"), ("(write-in)", "2")]));
    assert_eq!(first_tally(&with("each"), csv), pairs(&[("Ann", "1"), ("Eve", "1"), ("Zoe", "1")]));
}

#[test]
fn scores_and_approvals_have_a_column_for_each_option() {
    let star = "Ann,Bob,count\n5,0,2\n0,3,1\n";
    assert_eq!(first_tally("method = \"star\"", star), pairs(&[("Ann", "10"), ("Bob", "3")]));
    let approval = "Ann,Bob\n1,x\n0,yes\n,1\n";
    assert_eq!(first_tally("method = \"approval\"", approval), pairs(&[("Ann", "1"), ("Bob", "3")]));
    assert_eq!(
        wrong("method = \"star\"", "Ann\n6\n"),
        "line 2, column \"Ann\": expected a score from 0 to 5, found \"6\""
    );
    assert!(wrong("method = \"approval\"", "Ann\nmaybe\n").contains("line 2, column \"Ann\""));
}

#[test]
fn wrong_cells_are_named_by_line_and_column() {
    let rules = "method = \"irv\"";
    assert!(
        wrong(rules, "rank1,count\nA,1\nA,-1\n").starts_with("line 3, column \"count\": expected a number")
    );
    assert_eq!(wrong(rules, "rank1,rank2\nA\n"), "line 2: expected 2 cells as in the header, found 1");
    let missing = "method = \"irv\"\n[ballots]\ncount = \"n\"";
    assert_eq!(wrong(missing, "rank1\nA\n"), "line 1: expected a column \"n\"");
    let endless = format!("rank1\nA\n\"{}", "x".repeat(3 << 20));
    assert_eq!(wrong(rules, &endless), "line 3: a row has more than 1048576 bytes");
    let twice = "line 1: the columns \"rank1\" and \"1st choice\" are both for rank 1";
    assert_eq!(wrong(rules, "rank1,1st choice\n"), twice);
    let heavy = format!("rank1,count\n{}", format!("A,{}\n", u64::MAX).repeat(3));
    assert_eq!(first_tally(rules, &heavy), pairs(&[("A", &(u128::from(u64::MAX) * 3).to_string())]));
    let many: String = (0..300).map(|number| format!("name {number}\n")).collect();
    assert!(
        wrong(rules, &format!("rank1\n{many}"))
            .contains("line 252, column \"rank1\": expected at most 250 options")
    );
}

#[test]
fn wrong_rules_are_named_by_line_with_the_nearest_right_one() {
    assert_eq!(
        refused("method = \"irv\"\nskiped = \"pass\""),
        "rules.toml:2: unknown key \"skiped\"; did you mean skipped?"
    );
    assert!(refused("method = \"stv-scotish\"").ends_with("did you mean \"stv-scottish\"?"));
    assert!(refused("options = [\"A\"]").contains("the key method is missing"));
    assert!(
        refused("method = \"irv\"\nseats = 2")
            .contains("rules.toml:2: seats: means nothing to method \"irv\"")
    );
    assert!(
        refused("method = \"irv\"\noptions = 5")
            .contains("expected an array of strings, found a whole number")
    );
    assert!(refused("method = \"supermajority\"\nfraction = \"1/2\"").contains("more than 1/2"));
    assert!(refused("method = \"irv\"\nties = [\"order\"]").contains("go together"));
    assert!(refused("method = \"majority\"\nquorum = \"1/2\"").contains("needs the key electorate"));
    assert!(refused("method = [").contains("rules.toml:1"));
    assert!(
        refused("method = \"irv\"\noptions = [\"A\", \"B\", \"A\"]")
            .contains("rules.toml:2: options: expected each name once, found \"A\" twice")
    );
}

#[test]
fn a_quorum_counts_abstentions() {
    let rules = "method = \"majority\"\nelectorate = 8\nquorum = \"1/2\"";
    let decision = |csv: &str| counted(rules, csv).1.decision;
    assert_eq!(decision("rank1\nA\nA\nB\n"), Decision::NoQuorum);
    assert_eq!(decision("rank1,rank2\nA,\nA,\nB,\n,\n"), Decision::Elected(OptionId::first(1).collect()));
}

#[test]
fn ties_go_by_the_list_in_the_rules() {
    let csv = "rank1\nA\nB\nC\n";
    let with = |order: &str| format!("method = \"irv\"\nties = [\"order\"]\ntie_order = [{order}]");
    let (ballots, outcome) = counted(&with("\"C\", \"A\", \"B\""), csv);
    assert_eq!(ballots.options, ["A", "B", "C"]);
    assert_eq!(outcome.decision, Decision::Elected(OptionId::first(3).skip(2).collect()));
    let rules = rules(&with("\"D\""));
    let ballots = read(csv.as_bytes(), &rules).unwrap();
    let (cause, hint) = super::outcome(&rules, &ballots).unwrap_err();
    assert_eq!(cause, "tie_order: \"D\" is not among the options");
    assert_eq!(hint, "add it to options, or take it out of tie_order");
}

#[test]
fn the_document_has_every_key_and_its_examples_are_rules() {
    let document = include_str!("../../../../docs/spec/counting.md");
    for key in rules::KEYS {
        assert!(document.contains(&format!("\n| `{key}` |")), "{key}");
    }
    let examples: Vec<&str> =
        document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() > 5);
    for example in examples.into_iter().chain([include_str!("../../../../examples/rcv.toml")]) {
        let _ = self::rules(example);
    }
}
