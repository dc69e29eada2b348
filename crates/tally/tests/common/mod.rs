//! Ballots and outcomes as short texts.

#![allow(dead_code, reason = "not every test file needs all of it")]

use althing_tally::{Decision, Mark, OptionId, Outcome, Profile, Ranking, Round};

/// The option of a letter, from A on.
pub(crate) fn option(letter: char) -> OptionId {
    OptionId::new(letter as usize - 'A' as usize).unwrap()
}

/// The options of letters.
pub(crate) fn options(letters: &str) -> Vec<OptionId> {
    letters.chars().map(option).collect()
}

/// A ranking: letters in order, `-` for a skipped rank, `(AB)` for an overvote.
pub(crate) fn ranking(text: &str) -> Ranking {
    let mut marks = Vec::new();
    let mut group: Option<Vec<OptionId>> = None;
    for char in text.chars() {
        match (char, &mut group) {
            ('(', _) => group = Some(Vec::new()),
            (')', _) => marks.extend(group.take().map(Mark::Overvote)),
            ('-', _) => marks.push(Mark::Skipped),
            (letter, Some(group)) => group.push(option(letter)),
            (letter, None) => marks.push(Mark::Option(option(letter))),
        }
    }
    Ranking::new(&marks).unwrap()
}

/// Words of a number and a ranking: `4AB 3BC`.
pub(crate) fn profile(text: &str) -> Profile<Ranking> {
    Profile::new(text.split_whitespace().map(|word| {
        let digits = word.find(|char: char| !char.is_ascii_digit()).unwrap_or(word.len());
        (ranking(&word[digits..]), word[..digits].parse().unwrap())
    }))
    .unwrap()
}

/// Letters of options.
pub(crate) fn letters(options: &[OptionId]) -> String {
    options.iter().map(|option| char::from(b'A' + u8::try_from(option.place()).unwrap())).collect()
}

/// The votes of each round: `4 3 2 | 4 5 -`, with `x1` for exhausted ones if there are some.
pub(crate) fn tallies(outcome: &Outcome) -> Vec<String> {
    outcome.rounds.iter().map(|round| tally(outcome, round)).collect()
}

/// The votes of a round.
pub(crate) fn tally(outcome: &Outcome, round: &Round) -> String {
    let mut words: Vec<String> = round
        .tally
        .iter()
        .map(|votes| votes.map_or_else(|| "-".to_owned(), |votes| outcome.votes(votes)))
        .collect();
    if round.exhausted > 0 {
        words.push(format!("x{}", outcome.votes(round.exhausted)));
    }
    words.join(" ")
}

/// Who won, as letters.
pub(crate) fn winners(outcome: &Outcome) -> String {
    if let Decision::Elected(winners) = &outcome.decision {
        letters(winners)
    } else {
        format!("{:?}", outcome.decision)
    }
}
