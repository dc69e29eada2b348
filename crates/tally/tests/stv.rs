//! Counts with several seats against published ones, stage by stage.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use althing_tally::{Outcome, Reading, Stv, StvStyle, TieBreak, TieRule, TieStep};
use common::{letters, options, profile, tallies, winners};

/// Glasgow City Council, Springburn ward (17), 3 May 2007, 3 seats, the preferences of all 5,410 valid ballots. In order:
/// Margaret Bean, Graham Campbell, Graeme Dickson, Phil Greene, Patrick McAleer, Robert G C Sawers, Kenny Smith, Allan
/// Stewart, John H Stuart, James Todd. Source: the council's published preference data as kept in
/// <https://github.com/jklundell/droop> (test/blt/scotland), with the figures of each stage in test/ref/dump/scotland.
const SPRINGBURN: &str = include_str!("../fixtures/springburn-2007.txt");

/// Election of the Steering Committee of the Green Party of the United States, 24 July 2005, 4 seats, 93 ballots with 13
/// options. Source: <https://github.com/jklundell/droop> (test/blt/SC.blt), with the figures of each round by the
/// Minneapolis and by the Scottish rules in test/ref/dump.
const STEERING_COMMITTEE: &str = "\
    1ADMBGECIHLK 1ADMECB 2ADMG 1AMCDGEB 1AMCGBDE 1BCDAMG 1BDME 1BGHLMKAEI 1CADBMGIEH 1CADM 1CADMBG 1CDGBLMHAE 2CMAB
    1CMADBGE 1CMDAGBE 1DABHC 1DABMIE 2DAEMBC 1DAMCBGH 2DAMGCEB 1DBMAC 1DCABK 3DCMA 1DCMAG 1DCMH 1DEBCM 1DEMCBA 1DGHB
    1DGME 1DHGEMBACI 1DMBG 1DMBGAH 1DMEBAC 1EAMCBDG 1EMBGDA 2GAHIMCBDLEK 1GCDMAE 1GDBM 1GEDHKBMACIL 1GHDIL 1GHICLBMEAD
    1GHIK 19GHIKL 1GHILK 2GHKI 1GHKIL 1GHLAMIBDKE 1GIHLKBM 1HDGKMI 1IKHG 2MABGDEC 1MADBECG 1MAGD 1MBDGEA 1MCDABEG
    1MCDAGBE 1MCEB 1MDAB 1MDAC 1MDCABE 1MDGBH 1MDGCAEHBI 1MEBAGCH 1MEBDACG 1MEGBDA 1MGCBEDA 1MGEDBA";

fn count(style: StvStyle, seats: usize, ties: TieRule, candidates: usize, ballots: &str) -> Outcome {
    let rules = Stv { style, seats, reading: Reading::default(), ties, withdrawn: BTreeSet::new() };
    rules.count(candidates, &profile(ballots))
}

fn minneapolis() -> StvStyle {
    StvStyle::Minneapolis { batch: true, out_first: BTreeSet::new() }
}

fn lots(order: &str) -> TieRule {
    TieRule(vec![TieStep::PreviousRounds, TieStep::Order(options(order))])
}

#[test]
fn springburn_2007_stage_by_stage() {
    let outcome = count(StvStyle::Scottish, 3, lots(""), 10, SPRINGBURN);
    assert_eq!(
        tallies(&outcome),
        [
            "135.00000 339.00000 173.00000 1300.00000 134.00000 85.00000 135.00000 1752.00000 168.00000 1189.00000",
            "139.78233 351.75288 176.41595 1327.09987 140.14871 86.82184 137.50503 1353.00000 176.88147 1437.68116 \
             x82.89372",
            "143.25032 358.57632 178.54502 1336.33636 143.75895 88.39636 138.78505 1353.00000 183.03308 1353.00000 \
             x133.29616",
            "144.60926 362.87082 203.47722 1340.90962 150.77236 - 151.84395 1353.00000 186.33312 1353.00000 x163.16127",
            "- 410.14226 209.51745 1374.08557 162.73399 - 154.90285 1353.00000 187.20642 1353.00000 x205.38908",
        ]
    );
    assert_eq!(winners(&outcome), "HJD");
    let decided = |at: usize| {
        let round = &outcome.rounds[at];
        let surplus: Vec<_> = round.surplus.into_iter().collect();
        (letters(&round.elected), letters(&surplus), letters(&round.eliminated))
    };
    let text = |elected: &str, surplus: &str, out: &str| (elected.into(), surplus.into(), out.into());
    assert_eq!(decided(0), text("H", "H", ""));
    assert_eq!(decided(1), text("J", "J", ""));
    assert_eq!(decided(2), text("", "", "F"));
    assert_eq!(decided(3), text("", "", "A"));
    assert_eq!(decided(4), text("D", "", ""));
    assert!(outcome.rounds.iter().all(|round| round.threshold == Some(135_300_000)));
}

#[test]
fn no_vote_is_lost_but_what_rounding_takes() {
    for style in [StvStyle::Scottish, minneapolis()] {
        let outcome = count(style, 3, lots(""), 10, SPRINGBURN);
        for round in &outcome.rounds {
            let votes: u128 = round.tally.iter().flatten().sum();
            assert_eq!(votes + round.exhausted + round.lost, 5_410 * outcome.unit());
        }
    }
}

#[test]
fn a_steering_committee_by_the_rules_of_minneapolis() {
    let outcome = count(minneapolis(), 4, TieRule(vec![TieStep::OptionOrder]), 13, STEERING_COMMITTEE);
    assert_eq!(
        tallies(&outcome),
        [
            "6.0000 3.0000 8.0000 22.0000 2.0000 0.0000 33.0000 1.0000 1.0000 0.0000 0.0000 0.0000 18.0000",
            "6.8484 3.0000 8.4242 22.4242 2.4242 0.0000 19.0000 12.4534 1.4242 0.0000 0.0000 0.0000 18.0000",
            "7.9173 3.2174 9.3404 19.0000 2.7296 0.0000 19.0000 12.7588 1.4242 0.0000 0.0000 0.0000 18.6108",
            "8.9173 - 10.4931 19.0000 - - 19.0000 15.6072 - - - - 20.9809",
            "10.0933 - 11.0739 19.0000 - - 19.0000 15.7016 - - - - 19.0000 x0.1293",
            "- - 17.4326 19.0000 - - 19.0000 16.7171 - - - - 19.0000 x2.8484",
        ]
    );
    assert_eq!(winners(&outcome), "GDMC");
    assert_eq!(letters(&outcome.rounds[2].eliminated), "BEFIJKL");
    // The last one goes without a transfer (167.70(c)(1)); the source makes it and has C at 19.4348 then.
    assert_eq!(letters(&outcome.rounds[5].eliminated), "H");
}

#[test]
fn the_same_committee_by_the_scottish_rules() {
    // Among those without votes the source takes the first one as drawn.
    let outcome = count(StvStyle::Scottish, 4, lots("MLKJIHGFEDCBA"), 13, STEERING_COMMITTEE);
    assert_eq!(
        tallies(&outcome),
        [
            "6.00000 3.00000 8.00000 22.00000 2.00000 0.00000 33.00000 1.00000 1.00000 0.00000 0.00000 0.00000 18.00000",
            "6.84848 3.42424 8.42424 22.00000 2.42424 0.00000 19.00000 12.45448 1.42424 0.00000 0.00000 0.00000 18.00000",
            "7.80300 3.56060 9.24240 19.00000 2.69696 0.00000 19.00000 12.72720 1.42424 0.00000 0.00000 0.00000 18.54544",
            "7.80300 3.56060 9.24240 19.00000 2.69696 - 19.00000 12.72720 1.42424 0.00000 0.00000 0.00000 18.54544",
            "7.80300 3.56060 9.24240 19.00000 2.69696 - 19.00000 12.72720 1.42424 - 0.00000 0.00000 18.54544",
            "7.80300 3.56060 9.24240 19.00000 2.69696 - 19.00000 12.72720 1.42424 - - 0.00000 18.54544",
            "7.80300 3.56060 9.24240 19.00000 2.69696 - 19.00000 12.72720 1.42424 - - - 18.54544",
            "7.80300 3.56060 9.24240 19.00000 2.69696 - 19.00000 14.15144 - - - - 18.54544",
            "8.80300 3.69696 9.24240 19.00000 - - 19.00000 14.57568 - - - - 19.68180",
            "9.01084 3.95360 9.45496 19.00000 - - 19.00000 14.57568 - - - - 19.00000 x0.00472",
            "9.36448 - 10.59132 19.00000 - - 19.00000 15.61032 - - - - 19.00000 x1.43368",
            "- - 16.62204 19.00000 - - 19.00000 16.59988 - - - - 19.00000 x3.77788",
            "- - 18.59172 19.00000 - - 19.00000 - - - - - 19.00000 x18.40808",
        ]
    );
    assert_eq!(winners(&outcome), "GDMC");
}

/// Sources: test/blt/scotland/weak-defeat.blt and test/blt/42.blt of <https://github.com/jklundell/droop>.
#[test]
fn ties_go_back_to_the_stage_before() {
    let outcome = count(StvStyle::Scottish, 2, lots(""), 5, "1AB 2B 3C 4D 5E");
    assert_eq!(letters(&outcome.rounds[1].eliminated), "B");
    assert_eq!(outcome.rounds[1].ties[0].by, TieBreak::Round(1));
    assert_eq!(winners(&outcome), "ED");
    let outcome = count(StvStyle::Scottish, 2, lots(""), 3, "4AB 2C");
    assert_eq!(tallies(&outcome)[1..], ["3.00000 1.00000 2.00000", "3.00000 - 2.00000 x1.00000"]);
    assert_eq!(winners(&outcome), "AC");
    let outcome = count(minneapolis(), 2, lots(""), 3, "4AB 2C");
    assert_eq!(tallies(&outcome), ["4.0000 0.0000 2.0000"]);
    assert_eq!(winners(&outcome), "AC");
}

#[test]
fn weights_up_to_the_largest_do_not_overflow() {
    let most = u64::MAX;
    let ballots = format!("{most}AB {most}AC {most}BA {most}CBA {most}DA {most}ADCB").repeat(400);
    let ballots = ballots.replace("ADCB", "ADCB ");
    for style in [StvStyle::Scottish, minneapolis()] {
        let outcome = count(style, 2, lots(""), 4, &ballots);
        let all = u128::from(most) * 6 * 400 * outcome.unit();
        for round in &outcome.rounds {
            assert_eq!(round.tally.iter().flatten().sum::<u128>() + round.exhausted + round.lost, all);
        }
        assert_eq!(&winners(&outcome)[..1], "A");
    }
}

#[test]
fn more_seats_than_options_elect_all() {
    for style in [StvStyle::Scottish, minneapolis()] {
        assert_eq!(winners(&count(style, 5, lots(""), 3, "3A 1B")), "ABC");
    }
}
