//! Counts ballots in a file by rules in a file; needs no node.

mod error;
mod reader;
mod report;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use althing_tally::{
    Approval, Approvals, Choice, ChoiceBallot, Irv, Mark, OptionId, Outcome, Ranking, Schulze, Star, Stv,
    StvStyle, TieRule, TieStep,
};

use self::reader::{Ballots, Papers};
use self::report::Report;
use self::rules::{Method, Rules, TieWord};
use super::failure::{Exit, Failure};
use super::page::Page;
use crate::settings::nearest;

/// Most bytes of a rules file.
const RULES_BYTES_MAX: u64 = 256 * 1_024;

/// The next step if there is no better one.
const SEE: &str = "docs/spec/counting.md says what each key takes";

/// Counts the ballots of a file, or of standard input if it is called `-`.
pub(crate) fn count(rules_file: &Path, ballots: &Path) -> Result<Page, Failure> {
    let text = rules_text(rules_file)?;
    let rules = Rules::parse(rules_file, &text)
        .map_err(|error| Failure::new(Exit::Usage, &error).hint(SEE.to_owned()).hint(error.hint))?;
    let is_piped = ballots == Path::new("-");
    let read = if is_piped {
        reader::read(io::stdin().lock(), &rules)
    } else {
        let file = File::open(ballots).map_err(|error| Failure::file("read the ballots", ballots, &error))?;
        reader::read(file, &rules)
    };
    let read = read.map_err(|error| {
        let file = if is_piped { "standard input".to_owned() } else { ballots.display().to_string() };
        let cause = format!("{file}: {error}");
        Failure::new(Exit::Failed, cause).hint(Some(error.hint()))
    })?;
    let (outcome, weight) = outcome(&rules, &read).map_err(|(cause, hint)| {
        Failure::new(Exit::Usage, format!("{}: {cause}", rules_file.display())).hint(hint)
    })?;
    Report { rules: &rules, options: &read.options, outcome: &outcome, weight }.page()
}

fn rules_text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(RULES_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| Failure::file("read the rules", path, &error))?;
    if text.len() as u64 > RULES_BYTES_MAX {
        let cause = format!("{} has more than {RULES_BYTES_MAX} bytes", path.display());
        return Err(Failure::new(Exit::Usage, cause).hint("is this the file of ballots?".to_owned()));
    }
    Ok(text)
}

/// Why rules do not fit to ballots, and a hint.
type Misfit = (String, String);

/// The outcome and the weight that took part.
fn outcome(rules: &Rules, ballots: &Ballots) -> Result<(Outcome, u128), Misfit> {
    let lookup = |key: &str, names: &[String], must_be_known: bool| -> Result<Vec<OptionId>, Misfit> {
        let mut found = Vec::new();
        for name in names {
            match ballots.options.iter().position(|known| known == name).and_then(OptionId::new) {
                Some(option) => found.push(option),
                None if must_be_known => {
                    let like = nearest(name, ballots.options.iter().map(|known| (known, known.clone())));
                    let hint = like.map_or_else(
                        || format!("add it to options, or take it out of {key}"),
                        |like| format!("did you mean \"{like}\"?"),
                    );
                    return Err((format!("{key}: \"{name}\" is not among the options"), hint));
                }
                None => {}
            }
        }
        Ok(found)
    };
    let options = ballots.options.len();
    let order = lookup("tie_order", &rules.tie_order, true)?;
    // They need not be named by anybody.
    let withdrawn: BTreeSet<OptionId> = lookup("withdrawn", &rules.withdrawn, false)?.into_iter().collect();
    let out_first: BTreeSet<OptionId> = lookup("out_first", &rules.out_first, false)?.into_iter().collect();
    let is_ranked = matches!(rules.method, Method::Irv | Method::StvScottish | Method::StvMinneapolis);
    let ties = ties(rules, order, is_ranked);
    let reading = rules.reading;
    let seats = rules.seats;
    let (outcome, weight) = match &ballots.papers {
        Papers::Scores(profile) => (Star { ties, withdrawn }.count(options, profile), profile.weight()),
        Papers::Rankings(profile) => {
            let outcome = match rules.method {
                Method::Plurality | Method::Majority | Method::SuperMajority | Method::Unanimous => {
                    Choice { rule: rules.choice, base: rules.base, ties, withdrawn }
                        .count(options, &profile.map(first_choice))
                }
                Method::Approval => Approval { seats, ties, withdrawn }
                    .count(options, &profile.map(|ranking| Approvals::new(ranking.mentions()))),
                Method::Irv => Irv {
                    reading,
                    ties,
                    threshold: rules.threshold,
                    stop: rules.stop,
                    batch: rules.batch,
                    minimum_votes: u128::from(rules.minimum_votes),
                    minimum_mentions: u128::from(rules.minimum_mentions),
                    out_first,
                    withdrawn,
                }
                .count(options, profile),
                Method::StvScottish => {
                    Stv { style: StvStyle::Scottish, seats, reading, ties, withdrawn }.count(options, profile)
                }
                Method::StvMinneapolis => {
                    let style = StvStyle::Minneapolis { batch: rules.batch, out_first };
                    Stv { style, seats, reading, ties, withdrawn }.count(options, profile)
                }
                Method::Schulze => Schulze { withdrawn }.count(options, profile),
                Method::Star => {
                    let hint = "the ballots need a column for each option".to_owned();
                    return Err(("STAR counts scores, not rankings".to_owned(), hint));
                }
            };
            (outcome, profile.weight())
        }
    };
    Ok((rules.quorum.hold(weight, outcome), weight))
}

fn ties(rules: &Rules, order: Vec<OptionId>, is_ranked: bool) -> TieRule {
    let Some(words) = &rules.ties else {
        return match (is_ranked, order.is_empty()) {
            (true, true) => TieRule::rounds_then_order(),
            (true, false) => TieRule(vec![TieStep::PreviousRounds, TieStep::Order(order)]),
            (false, true) => TieRule::default(),
            (false, false) => TieRule(vec![TieStep::Order(order)]),
        };
    };
    let step = |word: &TieWord| match word {
        TieWord::PreviousRounds => TieStep::PreviousRounds,
        TieWord::OptionOrder => TieStep::OptionOrder,
        TieWord::Order => TieStep::Order(order.clone()),
    };
    TieRule(words.iter().map(step).collect())
}

/// What a ballot says at the first rank; several options there are no choice.
fn first_choice(ranking: &Ranking) -> ChoiceBallot {
    match ranking.marks().next() {
        Some(Mark::Option(option)) => ChoiceBallot::Option(option),
        Some(Mark::Skipped | Mark::Overvote(_)) | None => ChoiceBallot::Abstain,
    }
}
