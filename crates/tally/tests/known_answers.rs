//! Published examples, each with its source; every round is compared.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use althing_tally::{
    Approval, Approvals, Choice, ChoiceBallot, ChoiceRule, Decision, Irv, Overvotes, Profile, Reading,
    Schulze, Scores, Star, Stop, Threshold, TieBreak,
};
use common::{letters, option, options, profile, tallies, winners};

/// The capital of Tennessee: 42 % live near Memphis (A), 26 % near Nashville (B), 15 % near Chattanooga (C) and 17 %
/// near Knoxville (D). Source: "Tennessee example", <https://en.wikipedia.org/wiki/Instant-runoff_voting>,
/// <https://en.wikipedia.org/wiki/Schulze_method>, <https://electowiki.org/wiki/Tennessee>.
const TENNESSEE: &str = "42ABCD 26BCDA 15CDBA 17DCBA";

/// M. Schulze, "A new monotonic, clone-independent, reversal symmetric, and condorcet-consistent single-winner election
/// method", Social Choice and Welfare 36 (2011), the example of 45 voters;
/// <https://en.wikipedia.org/wiki/Schulze_method>.
const SCHULZE: &str = "5ACBED 5ADECB 8BEDAC 3CABED 7CAEBD 2CBADE 7DCEBA 8EBADC";

/// Burlington, Vermont, mayor 2009, reduced to Montroll (A), Kiss (B) and Wright (C). Source: the ballots as counted at
/// <https://rangevoting.org/Burlington.html> and
/// <https://greenmountaindaily.com/2009/03/17>, which give these nine rankings; the pairwise numbers at
/// <https://electowiki.org/wiki/2009_Burlington_mayoral_election>. The official count of the last round differs by one
/// (4,313 and 4,061 after other rounds: ballots with overvotes).
const BURLINGTON: &str = "1332ABC 767ACB 455A 2043BAC 371BCA 568B 1513CAB 495CBA 1289C";

/// Alaska, special election to the House, 16 August 2022: Peltola (A), Palin (B) and Begich (C), as counted on 31 August.
/// Source: <https://www.washingtonpost.com/elections/2022/08/31/ranked-choice-totals-alaska-peltola/>, which has both
/// rounds, and of Begich's ballots 11,222 that name nobody else and 47 that give both others the same rank. What the
/// other ballots name after their first choice did not count.
const ALASKA: &str = "75761A 58945B 15445CA 27042CB 11222C 47C(AB)";

#[test]
fn tennessee_by_instant_runoff_is_knoxville() {
    let outcome = Irv::default().count(4, &profile(TENNESSEE));
    assert_eq!(tallies(&outcome), ["42 26 15 17", "42 26 - 32", "42 - - 58"]);
    assert_eq!(winners(&outcome), "D");
    assert_eq!(letters(&outcome.rounds[0].eliminated), "C");
    assert_eq!(letters(&outcome.rounds[1].eliminated), "B");
    assert_eq!(outcome.rounds[2].threshold, Some(51));
}

#[test]
fn tennessee_by_schulze_is_nashville() {
    let outcome = Schulze::default().count(4, &profile(TENNESSEE));
    assert_eq!(winners(&outcome), "B");
    assert_eq!(letters(&outcome.ranking), "BCDA");
    let pairwise = outcome.pairwise.unwrap();
    let votes = |pair: &str| pairwise.votes(options(pair)[0], options(pair)[1]);
    assert_eq!(["BA", "BC", "BD", "CD", "CA", "DA", "AB"].map(votes), [58, 68, 68, 83, 58, 58, 42]);
}

#[test]
fn tennessee_by_plurality_is_memphis_and_nobody_has_a_majority() {
    let ballots = || {
        let firsts = [('A', 42), ('B', 26), ('C', 15), ('D', 17)];
        Profile::new(firsts.map(|(city, votes)| (ChoiceBallot::Option(option(city)), votes))).unwrap()
    };
    let outcome = Choice::new(ChoiceRule::Plurality).count(4, &ballots());
    assert_eq!((tallies(&outcome), winners(&outcome)), (vec!["42 26 15 17".to_owned()], "A".to_owned()));
    let outcome = Choice::new(ChoiceRule::Majority).count(4, &ballots());
    assert_eq!(outcome.decision, Decision::Rejected);
}

#[test]
fn tennessee_by_approval_of_the_first_two_is_nashville() {
    let first_two = [("AB", 42), ("BC", 26), ("CD", 15), ("DC", 17)];
    let ballots = first_two.map(|(cities, votes)| (Approvals::new(options(cities)), votes));
    let outcome = Approval::default().count(4, &Profile::new(ballots).unwrap());
    assert_eq!((tallies(&outcome), winners(&outcome)), (vec!["42 68 58 32".to_owned()], "B".to_owned()));
}

/// The same voters with scores that follow the distances; totals and runoff worked out by hand. That Nashville wins by
/// STAR is said at <https://en.wikipedia.org/wiki/STAR_voting>.
#[test]
fn tennessee_by_star_is_nashville() {
    let ballots = [([5, 2, 1, 0], 42), ([0, 5, 2, 2], 26), ([0, 3, 5, 4], 15), ([0, 2, 4, 5], 17)];
    let ballots = ballots.map(|(scores, votes)| (Scores::new(&scores).unwrap(), votes));
    let outcome = Star::default().count(4, &Profile::new(ballots).unwrap());
    assert_eq!(tallies(&outcome), ["210 293 237 197", "- 68 32 -"]);
    assert_eq!(winners(&outcome), "B");
}

#[test]
fn schulzes_example_is_e_a_c_b_d() {
    let outcome = Schulze::default().count(5, &profile(SCHULZE));
    assert_eq!(letters(&outcome.ranking), "EACBD");
    assert_eq!(tallies(&outcome), ["3 1 2 0 4"]);
    let pairwise = outcome.pairwise.unwrap();
    let of = |number: &dyn Fn(char, char) -> u128| {
        "ABCDE"
            .chars()
            .map(|row| "ABCDE".chars().map(|column| number(row, column)).collect())
            .collect::<Vec<Vec<_>>>()
    };
    assert_eq!(
        of(&|row, column| pairwise.votes(option(row), option(column))),
        [
            [0, 20, 26, 30, 22],
            [25, 0, 16, 33, 18],
            [19, 29, 0, 17, 24],
            [15, 12, 28, 0, 14],
            [23, 27, 21, 31, 0]
        ]
    );
    assert_eq!(
        of(&|row, column| pairwise.strength(option(row), option(column))),
        [
            [0, 28, 28, 30, 24],
            [25, 0, 28, 33, 24],
            [25, 29, 0, 29, 24],
            [25, 28, 28, 0, 24],
            [25, 28, 28, 31, 0]
        ]
    );
}

#[test]
fn schulzes_example_by_instant_runoff_is_c() {
    let outcome = Irv::default().count(5, &profile(SCHULZE));
    assert_eq!(tallies(&outcome), ["10 8 12 7 8", "10 8 19 - 8", "10 16 19 - -", "- 16 29 - -"]);
    assert_eq!(winners(&outcome), "C");
    // B and E have 8 in both rounds, so the later option goes.
    let tie = &outcome.rounds[1].ties[0];
    assert_eq!(
        (letters(&tie.among), letters(&tie.chosen), tie.by),
        ("BE".into(), "E".into(), TieBreak::OptionOrder)
    );
}

#[test]
fn burlington_elects_kiss_though_more_prefer_montroll() {
    let ballots = profile(BURLINGTON);
    let outcome = Irv::default().count(3, &ballots);
    assert_eq!(tallies(&outcome), ["2554 2982 3297", "- 4314 4064 x455"]);
    assert_eq!(winners(&outcome), "B");
    let pairwise = Schulze::default().count(3, &ballots);
    assert_eq!(letters(&pairwise.ranking), "ABC");
    let pairwise = pairwise.pairwise.unwrap();
    let votes = |pair: &str| pairwise.votes(options(pair)[0], options(pair)[1]);
    assert_eq!(["AB", "BA", "AC", "CA", "BC", "CB"].map(votes), [4067, 3477, 4597, 3668, 4314, 4064]);
}

#[test]
fn burlington_has_no_majority_of_all_valid_ballots() {
    let rules = Irv { threshold: Threshold::Valid, ..Irv::default() };
    let outcome = rules.count(3, &profile(BURLINGTON));
    assert_eq!(outcome.rounds[1].threshold, Some(4_417));
    assert_eq!(winners(&outcome), "B");
    let rules = Irv { stop: Stop::UntilTwo, ..Irv::default() };
    assert_eq!(
        rules.count(3, &profile(BURLINGTON)).rounds,
        Irv::default().count(3, &profile(BURLINGTON)).rounds
    );
}

#[test]
fn alaska_elects_peltola_and_overvotes_are_exhausted() {
    for overvotes in [Overvotes::Exhaust, Overvotes::ExhaustIfSeveral] {
        let rules = Irv { reading: Reading { overvotes, ..Reading::default() }, ..Irv::default() };
        let outcome = rules.count(3, &profile(ALASKA));
        assert_eq!(tallies(&outcome), ["75761 58945 53756", "91206 85987 - x11269"]);
        assert_eq!(winners(&outcome), "A");
    }
}

/// Source: the tests of starvote 2.1 (<https://pypi.org/project/starvote/>), elections "breakable tie in automatic
/// runoff round using max score count round" and "unbreakable tie for second in score round", of which these ballots give
/// all numbers.
#[test]
fn star_ties_are_broken_as_equal_vote_recommends() {
    // Amy, Brian, Chuck: 12 and 12 points, one ballot each way and one undecided; Chuck has two fives.
    let ballots = [[1, 5, 5], [1, 3, 5], [1, 4, 2]].map(|scores| (Scores::new(&scores).unwrap(), 1));
    let outcome = Star::default().count(3, &Profile::new(ballots).unwrap());
    assert_eq!(tallies(&outcome), ["3 12 12", "- 1 1 x1"]);
    assert_eq!((winners(&outcome), outcome.rounds[1].ties[0].by), ("C".to_owned(), TieBreak::TopScores));

    let even = [[1, 5, 2], [1, 2, 5], [1, 5, 5]].map(|scores| (Scores::new(&scores).unwrap(), 1));
    let outcome = Star::default().count(3, &Profile::new(even).unwrap());
    assert_eq!(tallies(&outcome), ["3 12 12", "- 1 1 x1"]);
    assert_eq!(outcome.decision, Decision::Tied(options("BC")));
    assert_eq!(outcome.rounds[1].ties[0].by, TieBreak::Nothing);

    let second = [[1, 3, 5], [3, 1, 5], [2, 2, 5]].map(|scores| (Scores::new(&scores).unwrap(), 1));
    let outcome = Star::default().count(3, &Profile::new(second).unwrap());
    assert_eq!(tallies(&outcome), ["6 6 15"]);
    assert_eq!(outcome.decision, Decision::Tied(options("AB")));
}

#[test]
fn the_only_option_that_stands_wins_by_star_if_anybody_scores_it() {
    let ballots = [([0, 3], 2), ([4, 0], 3)].map(|(scores, votes)| (Scores::new(&scores).unwrap(), votes));
    let profile = Profile::new(ballots).unwrap();
    let rules = Star { withdrawn: options("A").into_iter().collect(), ..Star::default() };
    let outcome = rules.count(2, &profile);
    assert_eq!(
        (tallies(&outcome), winners(&outcome)),
        (vec!["- 6".to_owned(), "- 2 x3".to_owned()], "B".to_owned())
    );
}
