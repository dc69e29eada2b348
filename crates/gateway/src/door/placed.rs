//! What calls to the address of a skill make of one agent, by the rule that they are sent by.

use althing_record::AgentId;
use althing_route::{Candidate, EVIDENCE_MIN, Reason, SCORE_MIN, Score, Ticks};

use super::skill::candidates;
use crate::api::SkillChoice;
use crate::edge::Edge;

/// Why calls to a skill may go to an agent now, or do not.
pub(crate) async fn placed(edge: &Edge, skill: &str, agent: AgentId) -> SkillChoice {
    let candidates = candidates(edge, skill).await.unwrap_or_default();
    let (weighed, now) = edge.routing().weigh(&candidates);
    let at = candidates.iter().position(|candidate| candidate.agent == agent);
    let reason = at.and_then(|at| weighed.reasons.get(at).copied());
    let all = Looked { candidates: &candidates, reasons: &weighed.reasons, now };
    let text = match at.zip(reason) {
        Some((at, reason)) => all.sentence(at, reason, weighed.trial_per_million),
        None => format!(
            "passed over: it is not served now as one of the {} agents that are looked at for it",
            candidates.len()
        ),
    };
    SkillChoice {
        skill: skill.to_owned(),
        reason: reason.map_or("absent", name).to_owned(),
        may_be_chosen: reason.is_some_and(Reason::may_be_chosen),
        text,
        agents: candidates.len() as u64,
        trial_per_million: weighed.trial_per_million,
    }
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Unrated => "unrated",
        Reason::Good => "good",
        Reason::Newcomer => "newcomer",
        Reason::LeastBad => "least-bad",
        Reason::Low => "low",
        Reason::Behind => "behind",
        Reason::Back => "back",
        Reason::Shut(_) => "shut",
    }
}

/// Those that were looked at for a skill.
struct Looked<'a> {
    candidates: &'a [Candidate<AgentId>],
    reasons: &'a [Reason],
    now: Ticks,
}

impl Looked<'_> {
    fn sentence(&self, at: usize, reason: Reason, trial_per_million: u32) -> String {
        let own = places(self.candidates.get(at).map_or(Score::default(), score));
        let least = places(SCORE_MIN);
        match reason {
            Reason::Unrated => {
                "nobody with it is rated: who has the least latency and load is called".to_owned()
            }
            Reason::Good => {
                let good = self.count(Reason::Good);
                format!(
                    "called: one of {good} that calls are drawn from, by the squares of their scores; its is {own}"
                )
            }
            Reason::Newcomer => {
                let new = self.count(Reason::Newcomer);
                let tried = match trial_per_million {
                    1_000_000 => "every call tries one of them, since nobody else is good".to_owned(),
                    0 => "none is tried".to_owned(),
                    chance => format!("one call in {} tries one of them", 1_000_000 / chance),
                };
                format!("one of {new} newcomers, with fewer than {EVIDENCE_MIN} rated calls: {tried}")
            }
            Reason::LeastBad => format!("called: all with it are below {least}, and its {own} is the highest"),
            Reason::Low => format!("passed over: its score of {own} is below {least}"),
            Reason::Behind => {
                let rated = self.candidates.iter().zip(self.reasons);
                let good = rated.filter(|(_, reason)| **reason == Reason::Good);
                let highest = places(good.map(|(one, _)| score(one)).max().unwrap_or_default());
                format!("passed over: its score of {own} is more than 0.15 below the highest, {highest}")
            }
            Reason::Back => {
                "calls to it failed lately: one in eight, or all if the others failed too, look whether it is back"
                    .to_owned()
            }
            Reason::Shut(until) => format!(
                "passed over: calls to it failed lately, and its circuit breaker is open for {} ms more",
                until.since(self.now)
            ),
        }
    }

    fn count(&self, reason: Reason) -> usize {
        self.reasons.iter().filter(|of| **of == reason).count()
    }
}

fn score(candidate: &Candidate<AgentId>) -> Score {
    candidate.reputation.map_or(Score::default(), |reputation| reputation.score)
}

/// With three places, rounded.
fn places(score: Score) -> String {
    let per_mille = (score.units() * 1_000 + (1 << 31)) >> 32;
    format!("{}.{:03}", per_mille / 1_000, per_mille % 1_000)
}

#[cfg(test)]
mod tests {
    use althing_route::{Choice, Outcome, Reputation, Router};

    use super::*;

    #[test]
    fn every_reason_is_a_sentence_with_its_numbers() {
        let agent = |number: u8| AgentId([number; 32]);
        let rated = |number: u8, per_mille: u32, evidence: u32| {
            let reputation = Reputation { score: Score::from_per_mille(per_mille), evidence };
            Candidate { agent: agent(number), reputation: Some(reputation) }
        };
        let mut router = Router::default();
        for _ in 0..5 {
            let ticket = router.began(Choice::only(agent(9)), Ticks(0));
            router.ended(ticket, Outcome::Failure, Ticks(1), 7);
        }
        let said = |candidates: &[Candidate<AgentId>]| -> Vec<(&str, String)> {
            let weighed = router.weigh(candidates, Ticks(1));
            let looked = Looked { candidates, reasons: &weighed.reasons, now: Ticks(1) };
            let reasons = weighed.reasons.iter().enumerate();
            let chance = weighed.trial_per_million;
            reasons.map(|(at, of)| (name(*of), looked.sentence(at, *of, chance))).collect()
        };
        let all = said(&[
            rated(1, 800, 9),
            rated(2, 600, 9),
            rated(3, 200, 9),
            Candidate::unknown(agent(4)),
            rated(9, 900, 9),
        ]);
        let parts = [
            ("good", "one of 1 that calls are drawn from"),
            ("behind", "0.600 is more than 0.15 below the highest, 0.800"),
            ("low", "its score of 0.200 is below 0.400"),
            ("newcomer", "one of 1 newcomers, with fewer than 3 rated calls: one call in 10 tries"),
            ("shut", "circuit breaker is open for"),
        ];
        assert_eq!(all.len(), parts.len());
        for ((name, text), (expected, part)) in all.iter().zip(parts) {
            assert!(*name == expected && text.contains(part), "{name}: {text}");
        }
        let bad = said(&[rated(1, 100, 9), rated(2, 300, 9)]);
        assert_eq!([bad[0].0, bad[1].0], ["low", "least-bad"]);
        let tried = said(&[rated(1, 100, 9), Candidate::unknown(agent(2))]);
        assert!(tried[1].1.contains("every call tries one"), "{tried:?}");
        assert_eq!(said(&[Candidate::unknown(agent(2))])[0].0, "unrated");
    }
}
