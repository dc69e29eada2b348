use althing_gateway::api::{self, ElectorateCheck};

use crate::cli::page::Text;

/// Shows of which skill the voters are holders, who was capped, and whether the node computes the same. `weights`: those of
/// all voters.
pub(in crate::cli) fn show(
    holders: Option<&api::Holders>,
    weights: impl ExactSizeIterator<Item = u64>,
    text: &mut Text,
) {
    let Some(holders) = holders else { return };
    let voters = weights.len();
    let total: u64 = weights.sum();
    let least = match holders.score_min {
        0 => String::new(),
        score => format!(" with a score of {}.{:03} or more", score / 1_000, score % 1_000),
    };
    text.pairs(&[
        ("voters", format!("holders of {}{least}", holders.skill)),
        (
            "weights",
            format!(
                "reputation at rating epoch {}, at most {} of {total}",
                holders.rating_epoch, holders.cap
            ),
        ),
        ("checked", checked(holders, voters)),
    ]);
    let capped: Vec<_> =
        holders.capped.iter().map(|one| vec![one.agent.clone(), one.mass.to_string()]).collect();
    if !capped.is_empty() {
        text.line("").table(&["CAPPED", "MASS"], &capped);
    }
    if let Some(check) = &holders.check {
        let row =
            |one: &api::DifferingVoter| vec![one.agent.clone(), one.listed.to_string(), one.here.to_string()];
        let rows: Vec<_> = check.differing.iter().map(row).collect();
        if !rows.is_empty() {
            text.line("").table(&["DIFFERS", "LISTED", "HERE"], &rows);
        }
        list("score is too low here", &check.too_low, text);
        list("has the skill, as this node knows, and is no voter", &check.left_out, text);
    }
}

fn list(what: &str, agents: &[String], text: &mut Text) {
    for agent in agents {
        text.line(&format!("{agent}: {what}"));
    }
}

fn checked(holders: &api::Holders, voters: usize) -> String {
    let Some(check) = &holders.check else {
        return format!("no: {}", holders.unchecked.as_deref().unwrap_or("?"));
    };
    let ElectorateCheck { differing_known, too_low_known, .. } = check;
    if check.agrees {
        return "this node computes the same".to_owned();
    }
    format!(
        "WARNING: by the attestations here {differing_known} of {voters} voters have another mass, and \
         {too_low_known} too low a score"
    )
}
