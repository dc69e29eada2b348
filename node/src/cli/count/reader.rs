use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;

use althing_tally::{Mark, OPTIONS_MAX, OptionId, Pile, Profile, Ranking, Scores};
use csv::{ByteRecord, ReaderBuilder};

use super::error::ReadError;
use super::rules::{Layout, Method, Rules, WriteIns};
use crate::settings::nearest;

/// Most bytes of one row.
const ROW_BYTES_MAX: usize = 1 << 20;
/// The option that names which are none are put together as.
pub(crate) const WRITE_IN: &str = "(write-in)";

/// What a file of ballots says.
#[derive(Debug)]
pub(crate) struct Ballots {
    /// The options, in their order.
    pub(crate) options: Vec<String>,
    pub(crate) papers: Papers,
}

#[derive(Debug)]
pub(crate) enum Papers {
    Rankings(Profile<Ranking>),
    Scores(Profile<Scores>),
}

/// Reads ballots row by row; of equal ones only the number is kept.
pub(crate) fn read(file: impl Read, rules: &Rules) -> Result<Ballots, ReadError> {
    let budget = Rc::new(Cell::new(ROW_BYTES_MAX));
    let bounded = Bounded { file, budget: budget.clone() };
    let unread = |line, error: csv::Error| {
        let is_long = budget.get() == 0;
        let cause =
            if is_long { format!("a row has more than {ROW_BYTES_MAX} bytes") } else { error.to_string() };
        let hint = if is_long { "is a quote at the end of a cell missing?" } else { "is the file whole?" };
        ReadError::Row { line, cause, hint }
    };
    let mut csv = ReaderBuilder::new().flexible(true).from_reader(bounded);
    let header: Vec<String> = csv
        .byte_headers()
        .map_err(|error| unread(1, error))?
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    let columns = Columns::find(&header, rules)?;
    let mut names = Names::new(rules, &columns, &header)?;
    let (mut rankings, mut scores) = (Pile::default(), Pile::default());
    let mut row = ByteRecord::new();
    loop {
        budget.set(ROW_BYTES_MAX);
        let line = csv.position().line();
        if !csv.read_byte_record(&mut row).map_err(|error| unread(line, error))? {
            break;
        }
        let line = row.position().map_or(line, csv::Position::line);
        if row.len() != header.len() {
            let cause = format!("expected {} cells as in the header, found {}", header.len(), row.len());
            return Err(ReadError::Row {
                line,
                cause,
                hint: "a cell with a comma in it needs quotes around it",
            });
        }
        let at = Row { line, row: &row, header: &header, layout: &rules.layout };
        let count = at.count(columns.count)?;
        let added = match at.paper(&columns.votes, rules.method, &mut names)? {
            Paper::Ranking(ranking) => rankings.add(ranking, count),
            Paper::Scores(given) => scores.add(given, count),
        };
        added.map_err(|cause| ReadError::Pile { line, cause })?;
    }
    let last = csv.position().line();
    let full = |cause| ReadError::Pile { line: last, cause };
    let order = names.order();
    let options = names.sorted(&order);
    let papers = if rules.method == Method::Star {
        let count = options.len();
        Papers::Scores(
            scores.profile().map_err(full)?.map(|ballot| ballot.map(count, |option| order[option.place()])),
        )
    } else {
        Papers::Rankings(
            rankings.profile().map_err(full)?.map(|ballot| ballot.map(|option| order[option.place()])),
        )
    };
    Ok(Ballots { options, papers })
}

/// Reads no further than the budget, so that one row cannot fill the memory.
struct Bounded<R> {
    file: R,
    budget: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.get() == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let len = buffer.len().min(self.budget.get());
        let read = self.file.read(&mut buffer[..len])?;
        self.budget.set(self.budget.get() - read);
        Ok(read)
    }
}

/// Which columns say what, by place.
struct Columns {
    votes: Votes,
    count: Option<usize>,
}

enum Votes {
    Ranks(Vec<usize>),
    Ranking(usize),
    Options(Vec<usize>),
}

impl Columns {
    fn find(header: &[String], rules: &Rules) -> Result<Self, ReadError> {
        let layout = &rules.layout;
        let named = |name: &String| {
            header.iter().position(|column| column == name).ok_or_else(|| {
                let like = nearest(name, header.iter().map(|column| (column, column.clone())));
                let cause = format!("expected a column \"{name}\"");
                let hint = like.map_or_else(
                    || format!("its columns are {}", header.join(", ")),
                    |like| format!("did you mean \"{like}\"?"),
                );
                ReadError::Header { cause, hint }
            })
        };
        let is = |word: &'static str| move |column: &String| column.eq_ignore_ascii_case(word);
        let count = match &layout.count {
            Some(name) => Some(named(name)?),
            None => header.iter().position(is("count")),
        };
        let votes = if !layout.ranks.is_empty() {
            Votes::Ranks(layout.ranks.iter().map(named).collect::<Result<_, _>>()?)
        } else if let Some(name) = &layout.ranking {
            Votes::Ranking(named(name)?)
        } else if let Some(column) = header.iter().position(is("ranking")) {
            Votes::Ranking(column)
        } else {
            let mut ranks: Vec<(u32, usize)> =
                (0..).zip(header).filter_map(|(at, column)| Some((rank(column)?, at))).collect();
            ranks.sort_unstable();
            if let Some(pair) = ranks.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                let [one, other] = [pair[0].1, pair[1].1].map(|at| &header[at]);
                let cause = format!("the columns \"{one}\" and \"{other}\" are both for rank {}", pair[0].0);
                let hint = "name those that count, in order, with ballots.ranks in the rules".to_owned();
                return Err(ReadError::Header { cause, hint });
            }
            let scored = matches!(rules.method, Method::Star | Method::Approval);
            if scored && !rules.options.is_empty() {
                Votes::Options(rules.options.iter().map(named).collect::<Result<_, _>>()?)
            } else if scored && ranks.is_empty() {
                Votes::Options((0..header.len()).filter(|column| Some(*column) != count).collect())
            } else if ranks.is_empty() {
                let cause = "expected columns for ranks, such as rank1, or a column ranking".to_owned();
                let hint = "name them with ballots.ranks or ballots.ranking in the rules".to_owned();
                return Err(ReadError::Header { cause, hint });
            } else {
                Votes::Ranks(ranks.into_iter().map(|(_, at)| at).collect())
            }
        };
        if rules.method == Method::Star && !matches!(votes, Votes::Options(_)) {
            let cause = "STAR needs a column of scores for each option".to_owned();
            return Err(ReadError::Header { cause, hint: "list the options in the rules".to_owned() });
        }
        Ok(Self { votes, count })
    }
}

/// The rank that a column's name stands for: `rank1`, `Choice 2`, `3rd choice`, `4`.
fn rank(column: &str) -> Option<u32> {
    let name = column.to_ascii_lowercase();
    let stripped = ["rank", "choice", "preference"].iter().find_map(|word| name.strip_prefix(word));
    let number = match stripped {
        Some(rest) => rest.trim_start_matches([' ', '_', '-', '#']).to_owned(),
        None => {
            let digits = name.find(|char: char| !char.is_ascii_digit()).unwrap_or(name.len());
            let (number, rest) = name.split_at(digits);
            let words = ["", "st", "nd", "rd", "th"].iter().any(|suffix| {
                rest.strip_prefix(suffix)
                    .is_some_and(|rest| ["", "choice", "rank", "preference"].contains(&rest.trim()))
            });
            if words { number.to_owned() } else { String::new() }
        }
    };
    number.parse().ok()
}

/// One row with what is needed to say where something is wrong.
struct Row<'a> {
    line: u64,
    row: &'a ByteRecord,
    header: &'a [String],
    layout: &'a Layout,
}

/// What one row says.
enum Paper {
    Ranking(Ranking),
    Scores(Scores),
}

impl<'a> Row<'a> {
    fn paper(&self, votes: &Votes, method: Method, names: &mut Names) -> Result<Paper, ReadError> {
        Ok(match votes {
            Votes::Ranks(ranks) => {
                let marks = ranks.iter().map(|column| self.mark(*column, self.text(*column)?, names));
                let marks: Vec<Mark> = marks.collect::<Result<_, _>>()?;
                Paper::Ranking(self.ranking(ranks[0], &marks)?)
            }
            Votes::Ranking(column) => {
                let text = self.text(*column)?;
                let parts =
                    if text.is_empty() { Vec::new() } else { text.split(&*self.layout.separator).collect() };
                let marks = parts.into_iter().map(|part| self.mark(*column, part.trim(), names));
                let marks: Vec<Mark> = marks.collect::<Result<_, _>>()?;
                Paper::Ranking(self.ranking(*column, &marks)?)
            }
            Votes::Options(options) if method == Method::Star => {
                let given =
                    options.iter().map(|column| self.score(*column)).collect::<Result<Vec<u8>, _>>()?;
                Paper::Scores(Scores::new(&given).expect("each score is at most the highest"))
            }
            Votes::Options(options) => {
                let mut approved = Vec::new();
                for (option, column) in OptionId::first(options.len()).zip(options) {
                    if self.approves(*column)? {
                        approved.push(option);
                    }
                }
                Paper::Ranking(Ranking::of(&approved))
            }
        })
    }

    fn wrong(&self, column: usize, cause: String, hint: &str) -> ReadError {
        ReadError::Cell { line: self.line, column: self.header[column].clone(), cause, hint: hint.to_owned() }
    }

    fn text(&self, column: usize) -> Result<&'a str, ReadError> {
        let text = std::str::from_utf8(&self.row[column]).map(str::trim);
        text.map_err(|_| {
            let found = String::from_utf8_lossy(&self.row[column]).into_owned();
            self.wrong(column, format!("expected text in UTF-8, found \"{found}\""), "save the file as UTF-8")
        })
    }

    fn count(&self, column: Option<usize>) -> Result<u64, ReadError> {
        let Some(column) = column else { return Ok(1) };
        let text = self.text(column)?;
        text.parse().map_err(|_| {
            let cause = format!("expected a number of ballots up to 2^64 - 1, found \"{text}\"");
            self.wrong(column, cause, "if another column has it, name it with ballots.count in the rules")
        })
    }

    fn ranking(&self, column: usize, marks: &[Mark]) -> Result<Ranking, ReadError> {
        Ranking::new(marks).map_err(|error| {
            self.wrong(
                column,
                error.to_string(),
                "leave the ranks behind these out, with ballots.ranks in the rules",
            )
        })
    }

    /// What stands at one rank.
    fn mark(&self, column: usize, text: &str, names: &mut Names) -> Result<Mark, ReadError> {
        let is = |words: &[String]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        if let Some(option) = names.known(text) {
            return Ok(Mark::Option(option));
        }
        if text.is_empty() || is(&self.layout.blank) {
            return Ok(Mark::Skipped);
        }
        if is(&self.layout.overvote) {
            return Ok(Mark::Overvote(Vec::new()));
        }
        let mut parts = vec![text];
        for several in &self.layout.several {
            parts = parts.into_iter().flat_map(|part| part.split(several.as_str())).collect();
        }
        parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
        let mut options: Vec<OptionId> = Vec::new();
        for part in parts {
            let option = names.find(part).map_err(|(cause, hint)| {
                let column = self.header[column].clone();
                ReadError::Cell { line: self.line, column, cause, hint }
            })?;
            if !options.contains(&option) {
                options.push(option);
            }
        }
        Ok(match options[..] {
            [] => Mark::Skipped,
            [only] => Mark::Option(only),
            _ => Mark::Overvote(options),
        })
    }

    fn score(&self, column: usize) -> Result<u8, ReadError> {
        let text = self.text(column)?;
        if text.is_empty() || self.layout.blank.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return Ok(0);
        }
        let score = text.parse().ok().filter(|score| *score <= althing_tally::SCORE_MAX);
        score.ok_or_else(|| {
            let cause = format!("expected a score from 0 to 5, found \"{text}\"");
            self.wrong(column, cause, "list the options in the rules if this column is not one")
        })
    }

    fn approves(&self, column: usize) -> Result<bool, ReadError> {
        let text = self.text(column)?.to_ascii_lowercase();
        match text.as_str() {
            "" | "0" | "no" | "false" => Ok(false),
            "1" | "x" | "yes" | "true" => Ok(true),
            _ => {
                let cause = format!("expected 1 or 0, yes or no, found \"{text}\"");
                Err(self.wrong(column, cause, "list the options in the rules if this column is not one"))
            }
        }
    }
}

/// The options' names, numbered as they come.
struct Names {
    places: BTreeMap<String, OptionId>,
    listed: usize,
    write_ins: WriteIns,
}

impl Names {
    fn new(rules: &Rules, columns: &Columns, header: &[String]) -> Result<Self, ReadError> {
        let mut names = Self { places: BTreeMap::new(), listed: 0, write_ins: rules.write_ins };
        let listed: Vec<&String> = match &columns.votes {
            Votes::Options(options) => options.iter().map(|column| &header[*column]).collect(),
            Votes::Ranks(_) | Votes::Ranking(_) if rules.options.is_empty() => Vec::new(),
            Votes::Ranks(_) | Votes::Ranking(_) => {
                let known = |name: &&String| !rules.options.contains(name);
                rules.options.iter().chain(rules.withdrawn.iter().filter(known)).collect()
            }
        };
        for name in listed {
            if names.add(name).is_none() || names.places.len() == names.listed {
                let cause = format!("expected at most {OPTIONS_MAX} options, each once, found \"{name}\"");
                let hint = "list the options in the rules, each once".to_owned();
                return Err(ReadError::Header { cause, hint });
            }
            names.listed += 1;
        }
        Ok(names)
    }

    fn known(&self, name: &str) -> Option<OptionId> {
        self.places.get(name).copied()
    }

    fn add(&mut self, name: &str) -> Option<OptionId> {
        let next = OptionId::new(self.places.len())?;
        Some(*self.places.entry(name.to_owned()).or_insert(next))
    }

    /// The option of this name; one that is not listed is a write-in. The error has a cause and a hint.
    fn find(&mut self, name: &str) -> Result<OptionId, (String, String)> {
        if let Some(option) = self.known(name) {
            return Ok(option);
        }
        let name = match self.write_ins {
            WriteIns::Refuse => {
                let like = nearest(name, self.places.keys().map(|known| (known, known.clone())));
                let hint = like.map_or_else(
                    || "write_ins = \"group\" in the rules takes names that are not listed".to_owned(),
                    |like| format!("did you mean \"{like}\"?"),
                );
                return Err((format!("\"{name}\" is not among the options"), hint));
            }
            WriteIns::Group => WRITE_IN,
            WriteIns::Each => name,
        };
        self.add(name).ok_or_else(|| {
            let hint =
                "list the options in the rules, and put other names together with write_ins = \"group\"";
            (format!("expected at most {OPTIONS_MAX} options, found one more, \"{name}\""), hint.to_owned())
        })
    }

    /// The final number of each option: those listed as listed, then the others by name, whenever they came up.
    fn order(&self) -> Vec<OptionId> {
        let mut order: Vec<OptionId> = OptionId::first(self.places.len()).collect();
        let unlisted = self.places.values().filter(|option| option.place() >= self.listed);
        for (option, at) in unlisted.zip(OptionId::first(OPTIONS_MAX).skip(self.listed)) {
            order[option.place()] = at;
        }
        order
    }

    fn sorted(&self, order: &[OptionId]) -> Vec<String> {
        let mut names = vec![String::new(); order.len()];
        for (name, option) in &self.places {
            names[order[option.place()].place()].clone_from(name);
        }
        names
    }
}
