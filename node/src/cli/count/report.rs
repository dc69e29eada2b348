use althing_tally::{Decision, OptionId, Outcome, Pairwise, Round, Tie, TieBreak, TiePurpose};
use serde_json::{Map, Value, json};

use super::rules::Rules;
use crate::cli::failure::Failure;
use crate::cli::page::{Page, Text};

/// A count, to be shown.
pub(crate) struct Report<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) options: &'a [String],
    pub(crate) outcome: &'a Outcome,
    pub(crate) weight: u128,
}

impl Report<'_> {
    pub(crate) fn page(&self) -> Result<Page, Failure> {
        Page::new(&self.document(), self.text())
    }

    fn name(&self, option: OptionId) -> &str {
        self.options.get(option.place()).map_or("", String::as_str)
    }

    fn names(&self, options: &[OptionId]) -> Vec<&str> {
        options.iter().map(|option| self.name(*option)).collect()
    }

    /// State and options of the decision.
    fn decision(&self) -> (&'static str, Vec<&str>) {
        match &self.outcome.decision {
            Decision::Elected(options) => ("elected", self.names(options)),
            Decision::Tied(options) => ("tied", self.names(options)),
            Decision::Rejected => ("rejected", Vec::new()),
            Decision::NoQuorum => ("no-quorum", Vec::new()),
            Decision::NoVotes => ("no-votes", Vec::new()),
        }
    }

    fn document(&self) -> Value {
        let (state, options) = self.decision();
        let is_elected = matches!(self.outcome.decision, Decision::Elected(_));
        let mut document = json!({
            "schema": "althing.count/v1",
            "method": self.rules.method.name(),
            "seats": self.rules.seats,
            "options": self.options,
            "ballots": self.weight.to_string(),
            "decision": state,
            "elected": if is_elected { options.as_slice() } else { &[] },
            "tied": if is_elected { &[] } else { options.as_slice() },
            "rounds": (1..).zip(&self.outcome.rounds).map(|(no, round)| self.round(no, round)).collect::<Vec<_>>(),
        });
        if !self.outcome.ranking.is_empty() {
            document["ranking"] = self.names(&self.outcome.ranking).into();
        }
        if let Some(pairwise) = &self.outcome.pairwise {
            document["pairwise"] = self.matrix(pairwise, Pairwise::votes);
            document["strongest_paths"] = self.matrix(pairwise, Pairwise::strength);
        }
        document
    }

    fn round(&self, no: usize, round: &Round) -> Value {
        let votes = |units: u128| self.outcome.votes(units);
        let tally: Map<String, Value> = self
            .options
            .iter()
            .zip(&round.tally)
            .filter_map(|(name, units)| Some((name.clone(), votes((*units)?).into())))
            .collect();
        json!({
            "round": no,
            "tally": tally,
            "exhausted": votes(round.exhausted),
            "lost": votes(round.lost),
            "threshold": round.threshold.map(votes),
            "elected": self.names(&round.elected),
            "eliminated": self.names(&round.eliminated),
            "surplus_of": round.surplus.map(|option| self.name(option)),
            "ties": round.ties.iter().map(|tie| json!({
                "about": about(tie.purpose),
                "among": self.names(&tie.among),
                "chosen": self.names(&tie.chosen),
                "by": by(tie.by),
            })).collect::<Vec<_>>(),
        })
    }

    fn matrix(&self, pairwise: &Pairwise, number: impl Fn(&Pairwise, OptionId, OptionId) -> u128) -> Value {
        let options = || OptionId::first(self.options.len());
        let row = |one: OptionId| -> Map<String, Value> {
            options()
                .filter(|other| *other != one)
                .map(|other| (self.name(other).to_owned(), number(pairwise, one, other).to_string().into()))
                .collect()
        };
        options().map(|one| (self.name(one).to_owned(), row(one).into())).collect::<Map<_, _>>().into()
    }

    fn text(&self) -> Text {
        let mut text = Text::default();
        let (state, options) = self.decision();
        let mut pairs = vec![
            ("method", self.rules.method.name().to_owned()),
            ("ballots", self.weight.to_string()),
            (state, options.join(", ")),
        ];
        if !self.outcome.ranking.is_empty() {
            pairs.push(("ranking", self.names(&self.outcome.ranking).join(" > ")));
        }
        text.pairs(&pairs);
        for (no, round) in (1..).zip(&self.outcome.rounds) {
            self.show(no, round, &mut text);
        }
        text
    }

    fn show(&self, no: usize, round: &Round, text: &mut Text) {
        let votes = |units: u128| self.outcome.votes(units);
        let mut rows: Vec<(String, String, &str)> = Vec::new();
        for option in OptionId::first(self.options.len()) {
            let Some(units) = round.tally.get(option.place()).copied().flatten() else { continue };
            let what = match (round.elected.contains(&option), round.eliminated.contains(&option)) {
                (true, _) if round.surplus == Some(option) => "elected, surplus moves on",
                (true, _) => "elected",
                (_, true) => "eliminated",
                _ if round.surplus == Some(option) => "surplus moves on",
                _ => "",
            };
            rows.push((self.name(option).to_owned(), votes(units), what));
        }
        if round.exhausted > 0 {
            rows.push(("(exhausted)".to_owned(), votes(round.exhausted), ""));
        }
        if round.lost > 0 {
            rows.push(("(lost to rounding)".to_owned(), votes(round.lost), ""));
        }
        let width = rows.iter().map(|(_, votes, _)| votes.len()).max().unwrap_or_default();
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, votes, what)| vec![name, format!("{votes:>width$}"), what.to_owned()])
            .collect();
        let needed = round.threshold.map_or_else(String::new, |units| format!(" ({} elects)", votes(units)));
        text.line("").line(&format!("round {no}{needed}")).table(&["OPTION", "VOTES", ""], &rows);
        for tie in &round.ties {
            text.line(&self.tie(tie));
        }
    }

    fn tie(&self, tie: &Tie) -> String {
        let among = self.names(&tie.among).join(", ");
        let chosen = self.names(&tie.chosen).join(", ");
        match tie.by {
            TieBreak::Nothing => format!("tie ({}): {among}; the rules do not break it", about(tie.purpose)),
            TieBreak::Round(_)
            | TieBreak::OptionOrder
            | TieBreak::Order
            | TieBreak::HeadToHead
            | TieBreak::Total
            | TieBreak::TopScores => {
                format!("tie ({}): {among}; {chosen}, by {}", about(tie.purpose), by(tie.by))
            }
        }
    }
}

fn about(purpose: TiePurpose) -> &'static str {
    match purpose {
        TiePurpose::Eliminate => "eliminate",
        TiePurpose::Elect => "elect",
        TiePurpose::Transfer => "transfer",
        TiePurpose::Advance => "advance",
        TiePurpose::Rank => "rank",
    }
}

fn by(by: TieBreak) -> String {
    match by {
        TieBreak::Round(no) => format!("round {no}"),
        TieBreak::OptionOrder => "option order".to_owned(),
        TieBreak::Order => "tie order".to_owned(),
        TieBreak::HeadToHead => "head to head".to_owned(),
        TieBreak::Total => "total score".to_owned(),
        TieBreak::TopScores => "top scores".to_owned(),
        TieBreak::Nothing => "nothing".to_owned(),
    }
}
