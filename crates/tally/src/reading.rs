use crate::{Mark, Ranking};

/// What an overvote does: several options at one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overvotes {
    /// The ballot counts for none from there on.
    #[default]
    Exhaust,
    /// The rank is passed over.
    Pass,
    /// The ballot counts for the only one of them that continues. If several do when it gets there, it counts for none
    /// from then on; if none does, the rank is passed over.
    ExhaustIfSeveral,
}

/// What ranks without a mark do, when a later one has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Skips {
    /// They are passed over.
    #[default]
    Pass,
    /// The first one exhausts the ballot.
    ExhaustAfterOne,
    /// Two in a row exhaust the ballot.
    ExhaustAfterTwo,
}

/// What an option does that the same ballot has named at an earlier rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The rank is passed over.
    #[default]
    Pass,
    /// The ballot counts for none from there on.
    Exhaust,
}

/// How ranked ballots are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Several options at one rank.
    pub overvotes: Overvotes,
    /// Ranks without a mark.
    pub skips: Skips,
    /// An option at several ranks.
    pub duplicates: Duplicates,
}

impl Reading {
    /// The ballot without what these rules pass over, and up to where they exhaust it.
    #[must_use]
    pub fn read(&self, ranking: &Ranking) -> Ranking {
        if ranking.is_plain() {
            return ranking.clone();
        }
        let mut kept: Vec<Mark> = Vec::new();
        let mut skipped = 0;
        for mark in ranking.marks() {
            match mark {
                Mark::Skipped => {
                    skipped += 1;
                    let ends = match self.skips {
                        Skips::Pass => false,
                        Skips::ExhaustAfterOne => true,
                        Skips::ExhaustAfterTwo => skipped == 2,
                    };
                    if ends {
                        break;
                    }
                    continue;
                }
                Mark::Option(_) if kept.contains(&mark) => match self.duplicates {
                    Duplicates::Pass => {}
                    Duplicates::Exhaust => break,
                },
                Mark::Option(_) => kept.push(mark),
                Mark::Overvote(_) => match self.overvotes {
                    Overvotes::Exhaust => break,
                    Overvotes::Pass => {}
                    Overvotes::ExhaustIfSeveral => kept.push(mark),
                },
            }
            skipped = 0;
        }
        Ranking::new(&kept).expect("no more marks than before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptionId;

    /// A digit is an option, `-` a skipped rank, `*` an overvote of options 0 and 1.
    fn ballot(text: &str) -> Ranking {
        let option = |place: usize| OptionId::new(place).unwrap();
        let marks: Vec<Mark> = text
            .chars()
            .map(|char| match char {
                '-' => Mark::Skipped,
                '*' => Mark::Overvote(vec![option(0), option(1)]),
                digit => Mark::Option(option(digit.to_digit(10).unwrap() as usize)),
            })
            .collect();
        Ranking::new(&marks).unwrap()
    }

    #[test]
    fn overvotes_end_a_ballot_or_are_passed_over() {
        let read = |overvotes| Reading { overvotes, ..Reading::default() }.read(&ballot("2*3"));
        assert_eq!(read(Overvotes::Exhaust), ballot("2"));
        assert_eq!(read(Overvotes::Pass), ballot("23"));
        assert_eq!(read(Overvotes::ExhaustIfSeveral), ballot("2*3"));
    }

    #[test]
    fn skipped_ranks_end_a_ballot_after_one_or_two_in_a_row() {
        let read = |skips, text| Reading { skips, ..Reading::default() }.read(&ballot(text));
        assert_eq!(read(Skips::Pass, "1---2"), ballot("12"));
        assert_eq!(read(Skips::ExhaustAfterOne, "1-2"), ballot("1"));
        assert_eq!(read(Skips::ExhaustAfterTwo, "1-2-3--4"), ballot("123"));
        assert_eq!(read(Skips::ExhaustAfterTwo, "-1"), ballot("1"));
        assert_eq!(read(Skips::ExhaustAfterTwo, "1-1-2"), ballot("12"));
    }

    #[test]
    fn options_named_again_end_a_ballot_or_are_passed_over() {
        let read = |duplicates| Reading { duplicates, ..Reading::default() }.read(&ballot("1213"));
        assert_eq!(read(Duplicates::Pass), ballot("123"));
        assert_eq!(read(Duplicates::Exhaust), ballot("12"));
    }
}
