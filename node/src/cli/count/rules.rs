use std::num::NonZeroU32;
use std::path::Path;

use althing_tally::{Base, ChoiceRule, Duplicates, Overvotes, Quorum, Reading, Skips, Stop, Threshold};

use super::table::{RulesError, Table};

/// How votes are counted; each has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Plurality,
    Majority,
    SuperMajority,
    Unanimous,
    Approval,
    Irv,
    StvScottish,
    StvMinneapolis,
    Schulze,
    Star,
}

impl Method {
    const NAMES: [(&str, Self); 10] = [
        ("plurality", Self::Plurality),
        ("majority", Self::Majority),
        ("supermajority", Self::SuperMajority),
        ("unanimous", Self::Unanimous),
        ("approval", Self::Approval),
        ("irv", Self::Irv),
        ("stv-scottish", Self::StvScottish),
        ("stv-minneapolis", Self::StvMinneapolis),
        ("schulze", Self::Schulze),
        ("star", Self::Star),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, method)| *method == self).map_or("", |(name, _)| name)
    }

    /// Whether a key means something to it; keys that are not named here do to all.
    fn knows(self, key: &str) -> bool {
        let is_stv = matches!(self, Self::StvScottish | Self::StvMinneapolis);
        match key {
            "overvotes" | "skipped" | "duplicates" => self == Self::Irv || is_stv,
            "threshold" | "stop" | "minimum_votes" | "minimum_mentions" => self == Self::Irv,
            "batch" | "out_first" => matches!(self, Self::Irv | Self::StvMinneapolis),
            "seats" => is_stv || self == Self::Approval,
            "fraction" => self == Self::SuperMajority,
            "base" => matches!(self, Self::Majority | Self::SuperMajority | Self::Unanimous),
            "ties" | "tie_order" => self != Self::Schulze,
            _ => true,
        }
    }
}

/// What happens to a name that is not among the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteIns {
    Refuse,
    Group,
    Each,
}

/// How a tie is broken; names are not looked up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TieWord {
    PreviousRounds,
    OptionOrder,
    Order,
}

/// Where in the file of ballots what stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ranks: Vec<String>,
    pub(crate) ranking: Option<String>,
    pub(crate) count: Option<String>,
    pub(crate) separator: String,
    pub(crate) several: Vec<String>,
    pub(crate) blank: Vec<String>,
    pub(crate) overvote: Vec<String>,
}

/// A rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) method: Method,
    pub(crate) options: Vec<String>,
    pub(crate) withdrawn: Vec<String>,
    pub(crate) write_ins: WriteIns,
    pub(crate) seats: usize,
    pub(crate) choice: ChoiceRule,
    pub(crate) base: Base,
    pub(crate) quorum: Quorum,
    pub(crate) ties: Option<Vec<TieWord>>,
    pub(crate) tie_order: Vec<String>,
    pub(crate) reading: Reading,
    pub(crate) threshold: Threshold,
    pub(crate) stop: Stop,
    pub(crate) batch: bool,
    pub(crate) minimum_votes: u64,
    pub(crate) minimum_mentions: u64,
    pub(crate) out_first: Vec<String>,
    pub(crate) layout: Layout,
}

/// All keys; docs/spec/counting.md says what they mean.
pub(super) const KEYS: [&str; 28] = [
    "version",
    "method",
    "options",
    "withdrawn",
    "write_ins",
    "seats",
    "fraction",
    "base",
    "electorate",
    "quorum",
    "ties",
    "tie_order",
    "overvotes",
    "skipped",
    "duplicates",
    "threshold",
    "stop",
    "batch",
    "minimum_votes",
    "minimum_mentions",
    "out_first",
    "ballots.ranks",
    "ballots.ranking",
    "ballots.count",
    "ballots.separator",
    "ballots.several",
    "ballots.blank",
    "ballots.overvote",
];

impl Rules {
    /// Reads the text of a rules file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, RulesError> {
        let table = Table::parse(path, text, &KEYS)?;
        match table.number("version")? {
            None | Some(1) => {}
            Some(_) => return Err(table.wrong("version", "expected 1")),
        }
        let method = table
            .word("method", &Method::NAMES)?
            .ok_or_else(|| table.missing("method", "method = \"irv\", for instance"))?;
        if let Some(key) = table.keys().find(|key| !method.knows(key)) {
            return Err(table.wrong(key, &format!("means nothing to method \"{}\"", method.name())));
        }
        let electorate = table.number("electorate")?.map(u128::from);
        let options = names(&table, "options")?;
        let write_ins = [("refuse", WriteIns::Refuse), ("group", WriteIns::Group), ("each", WriteIns::Each)];
        let is_open = options.is_empty();
        let rules = Self {
            method,
            withdrawn: names(&table, "withdrawn")?,
            write_ins: table.word("write_ins", &write_ins)?.unwrap_or(if is_open {
                WriteIns::Each
            } else {
                WriteIns::Refuse
            }),
            options,
            seats: table.positive("seats")?.unwrap_or(1),
            choice: choice(method, &table)?,
            base: base(&table, electorate)?,
            quorum: quorum(&table, electorate)?,
            ties: table.words(
                "ties",
                &[
                    ("previous-rounds", TieWord::PreviousRounds),
                    ("option-order", TieWord::OptionOrder),
                    ("order", TieWord::Order),
                ],
            )?,
            tie_order: names(&table, "tie_order")?,
            reading: reading(&table)?,
            threshold: table
                .word("threshold", &[("active", Threshold::Active), ("valid", Threshold::Valid)])?
                .unwrap_or_default(),
            stop: table
                .word("stop", &[("majority", Stop::Majority), ("until-two", Stop::UntilTwo)])?
                .unwrap_or_default(),
            batch: table.switch("batch")?.unwrap_or(method == Method::StvMinneapolis),
            minimum_votes: table.number("minimum_votes")?.unwrap_or(0),
            minimum_mentions: table.number("minimum_mentions")?.unwrap_or(0),
            out_first: names(&table, "out_first")?,
            layout: layout(&table)?,
        };
        let names_order = rules.ties.iter().flatten().any(|word| *word == TieWord::Order);
        let has_order = !rules.tie_order.is_empty();
        if names_order != has_order && (names_order || rules.ties.is_some()) {
            let key = if names_order { "ties" } else { "tie_order" };
            return Err(table.wrong(key, "\"order\" in ties and a list in tie_order go together"));
        }
        if is_open && rules.write_ins != WriteIns::Each {
            return Err(
                table.wrong("write_ins", "needs the list options: without it every name is an option")
            );
        }
        Ok(rules)
    }
}

/// A list of names, each once.
fn names(table: &Table, key: &str) -> Result<Vec<String>, RulesError> {
    let names = table.list(key)?.unwrap_or_default();
    if names.iter().any(|name| name.trim() != name || name.is_empty()) {
        return Err(table.wrong(key, "expected names without blanks around them"));
    }
    let twice = (1..).zip(names.iter()).find(|(rest, name)| names[*rest..].contains(name));
    if let Some((_, name)) = twice {
        return Err(table.wrong(key, &format!("expected each name once, found \"{name}\" twice")));
    }
    Ok(names)
}

fn choice(method: Method, table: &Table) -> Result<ChoiceRule, RulesError> {
    let fraction = table.fraction("fraction")?;
    Ok(match method {
        Method::Majority => ChoiceRule::Majority,
        Method::Unanimous => ChoiceRule::Unanimous,
        Method::SuperMajority => {
            let (num, den) = fraction.unwrap_or((2, NonZeroU32::MIN.saturating_add(2)));
            if u64::from(num) * 2 <= u64::from(den.get()) || num > den.get() {
                return Err(table.wrong("fraction", "expected more than 1/2 and at most 1/1"));
            }
            ChoiceRule::SuperMajority { num, den }
        }
        Method::Plurality
        | Method::Approval
        | Method::Irv
        | Method::StvScottish
        | Method::StvMinneapolis
        | Method::Schulze
        | Method::Star => ChoiceRule::Plurality,
    })
}

fn base(table: &Table, electorate: Option<u128>) -> Result<Base, RulesError> {
    let words = [("cast", 0), ("participating", 1), ("electorate", 2)];
    match (table.word("base", &words)?, electorate) {
        (None | Some(0), _) => Ok(Base::Cast),
        (Some(1), _) => Ok(Base::Participating),
        (Some(_), Some(weight)) => Ok(Base::Electorate(weight)),
        (Some(_), None) => {
            Err(table.wrong("base", "needs the key electorate: the weight of all who may vote"))
        }
    }
}

fn quorum(table: &Table, electorate: Option<u128>) -> Result<Quorum, RulesError> {
    if table.is_text("quorum") {
        let Some((num, den)) = table.fraction("quorum")? else { return Ok(Quorum::None) };
        let electorate = electorate.ok_or_else(|| {
            table.wrong("quorum", "a fraction needs the key electorate: the weight of all who may vote")
        })?;
        return Ok(Quorum::Share { num, den, electorate });
    }
    Ok(table.number("quorum")?.map_or(Quorum::None, |weight| Quorum::Weight(u128::from(weight))))
}

fn reading(table: &Table) -> Result<Reading, RulesError> {
    let overvotes = table.word(
        "overvotes",
        &[
            ("exhaust", Overvotes::Exhaust),
            ("pass", Overvotes::Pass),
            ("exhaust-if-several", Overvotes::ExhaustIfSeveral),
        ],
    )?;
    let skips = table.word(
        "skipped",
        &[
            ("pass", Skips::Pass),
            ("exhaust-after-one", Skips::ExhaustAfterOne),
            ("exhaust-after-two", Skips::ExhaustAfterTwo),
        ],
    )?;
    let duplicates =
        table.word("duplicates", &[("pass", Duplicates::Pass), ("exhaust", Duplicates::Exhaust)])?;
    Ok(Reading {
        overvotes: overvotes.unwrap_or_default(),
        skips: skips.unwrap_or_default(),
        duplicates: duplicates.unwrap_or_default(),
    })
}

fn layout(table: &Table) -> Result<Layout, RulesError> {
    let words = |key, default: &[&str]| -> Result<Vec<String>, RulesError> {
        Ok(table.list(key)?.unwrap_or_else(|| default.iter().map(|word| (*word).to_owned()).collect()))
    };
    let layout = Layout {
        ranks: names(table, "ballots.ranks")?,
        ranking: table.text("ballots.ranking")?,
        count: table.text("ballots.count")?,
        separator: table.text("ballots.separator")?.unwrap_or_else(|| ">".to_owned()),
        several: words("ballots.several", &["=", "|", ";"])?,
        blank: words("ballots.blank", &["skipped", "undervote", "blank"])?,
        overvote: words("ballots.overvote", &["overvote"])?,
    };
    if layout.separator.is_empty() {
        return Err(table.wrong("ballots.separator", "expected one or more characters"));
    }
    if layout.several.iter().any(String::is_empty) {
        return Err(table.wrong("ballots.several", "expected one or more characters in each"));
    }
    if !layout.ranks.is_empty() && layout.ranking.is_some() {
        return Err(
            table.wrong("ballots.ranking", "ballots.ranks is set too; a file has the one or the other")
        );
    }
    Ok(layout)
}
