use std::collections::BTreeSet;

use althing_card::{Plan, Term};

/// How many providers a term has, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// The root page was not read yet; this is a guess.
    Unknown(u64),
    /// The root page names them all.
    Whole(u64),
    /// There is more below the root page; about so many.
    Split(u64),
}

impl Size {
    fn about(self) -> u64 {
        match self {
            Self::Unknown(about) | Self::Whole(about) | Self::Split(about) => about,
        }
    }
}

/// What a plan comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The root page of this term has to be read first.
    Read(Term),
    /// All pages of these terms lead to every match.
    Terms(BTreeSet<Term>),
}

/// Chooses among alternatives the rarest: their root pages are read in the order of what is guessed, and the first that
/// turns out not to be split is taken. If all are split, the smallest.
pub(crate) fn choose(plan: &Plan, size: &impl Fn(&Term) -> Size) -> Choice {
    match plan {
        Plan::Term(term) => Choice::Terms([term.clone()].into()),
        Plan::Unkeyed(_) => Choice::Terms(BTreeSet::new()),
        Plan::AllOf(plans) => {
            let mut all = BTreeSet::new();
            for plan in plans {
                match choose(plan, size) {
                    Choice::Terms(terms) => all.extend(terms),
                    read @ Choice::Read(_) => return read,
                }
            }
            Choice::Terms(all)
        }
        Plan::AnyOf(plans) => {
            let mut order: Vec<(u64, &Plan)> = plans.iter().map(|plan| (about(plan, size), plan)).collect();
            order.sort_by_key(|(about, _)| *about);
            let mut split = Vec::new();
            for (about, plan) in order {
                let terms = match choose(plan, size) {
                    Choice::Terms(terms) => terms,
                    read @ Choice::Read(_) => return read,
                };
                if let Some(term) = terms.iter().find(|term| matches!(size(term), Size::Unknown(_))) {
                    return Choice::Read(term.clone());
                }
                if terms.iter().all(|term| matches!(size(term), Size::Whole(_))) {
                    return Choice::Terms(terms);
                }
                split.push((about, terms));
            }
            Choice::Terms(split.into_iter().min_by_key(|(about, _)| *about).unwrap_or_default().1)
        }
    }
}

fn about(plan: &Plan, size: &impl Fn(&Term) -> Size) -> u64 {
    let each = |plans: &[Plan]| plans.iter().map(|plan| about(plan, size)).collect::<Vec<_>>();
    match plan {
        Plan::Term(term) => size(term).about(),
        Plan::Unkeyed(_) => 0,
        Plan::AllOf(plans) => each(plans).into_iter().fold(0, u64::saturating_add),
        Plan::AnyOf(plans) => each(plans).into_iter().min().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use althing_card::Query;

    use super::*;

    fn choice(query: &str, sizes: &[(&str, Size)]) -> Choice {
        let sizes: BTreeMap<String, Size> =
            sizes.iter().map(|(term, size)| ((*term).to_owned(), *size)).collect();
        let plan = query.parse::<Query>().unwrap().plan();
        choose(&plan, &|term| sizes.get(&term.to_string()).copied().unwrap_or(Size::Unknown(1)))
    }

    fn term(text: &str) -> Term {
        match text.split_once(':').unwrap() {
            ("skill", path) => Term::Skill(path.parse().unwrap()),
            (_, tag) => Term::Tag(tag.parse().unwrap()),
        }
    }

    fn terms<const N: usize>(texts: [&str; N]) -> Choice {
        Choice::Terms(texts.into_iter().map(term).collect())
    }

    #[test]
    fn one_term_and_all_alternatives_of_or_are_taken_as_they_are() {
        assert_eq!(choice("skill:a", &[]), terms(["skill:a"]));
        assert_eq!(choice("skill:a OR tag:b OR skill:a", &[]), terms(["skill:a", "tag:b"]));
        assert_eq!(choice("name:x", &[]), terms([]));
    }

    #[test]
    fn and_reads_the_rarest_first_and_is_content_with_one_page() {
        let query = "skill:a AND tag:b";
        let guess = [("skill:a", Size::Unknown(900)), ("tag:b", Size::Unknown(3))];
        assert_eq!(choice(query, &guess), Choice::Read(term("tag:b")));
        let known = [("skill:a", Size::Unknown(900)), ("tag:b", Size::Whole(20))];
        assert_eq!(choice(query, &known), terms(["tag:b"]));
        // The guess was wrong: the other one may still be rarer.
        let wrong = [("skill:a", Size::Unknown(900)), ("tag:b", Size::Split(5_000))];
        assert_eq!(choice(query, &wrong), Choice::Read(term("skill:a")));
        let both = [("skill:a", Size::Split(900)), ("tag:b", Size::Split(5_000))];
        assert_eq!(choice(query, &both), terms(["skill:a"]));
    }

    #[test]
    fn an_alternative_of_several_terms_costs_their_sum() {
        let query = "skill:a AND (tag:b OR tag:c)";
        let sizes = |a| [("skill:a", Size::Split(a)), ("tag:b", Size::Split(50)), ("tag:c", Size::Split(60))];
        assert_eq!(choice(query, &sizes(100)), terms(["skill:a"]));
        assert_eq!(choice(query, &sizes(120)), terms(["tag:b", "tag:c"]));
        let empty = [("skill:a", Size::Split(9)), ("tag:b", Size::Whole(0)), ("tag:c", Size::Whole(0))];
        assert_eq!(choice(query, &empty), terms(["tag:b", "tag:c"]));
    }
}
