use althing_gateway::api::{CallProof, ExplainedRating, Explanation, Rater};

use super::{ID_CHARS, head, thousandths};
use crate::cli::failure::Failure;
use crate::cli::page::{Page, Text};
use crate::cli::session::Session;

pub(super) async fn explain(agent: &str, session: &Session) -> Result<Page, Failure> {
    let found = session.client().await?.explanation(agent).await?;
    let mut text = Text::default();
    head(&found.reputation, &mut text);
    if let Some(seen) = &found.reputation.seen {
        let (score, calls) = (thousandths(seen.service), thousandths(seen.evidence));
        text.pairs(&[("score here", format!("{score}, by {calls} rated calls"))]);
    }
    rated(&found, &mut text);
    if !found.calls.is_empty() {
        let rows: Vec<Vec<String>> = found.calls.iter().map(call).collect();
        text.line("").line("Calls of this node's agent to it:");
        text.table(&["ENDED", "TASK", "OUTCOME", "QUALITY", "PUBLISHED", "COMMENT"], &rows);
    }
    if !found.changes.is_empty() {
        text.line("").line("What would change it:");
        found.changes.iter().for_each(|said| {
            text.line(&format!("- {said}"));
        });
    }
    if !found.skills.is_empty() {
        text.line("").line("Calls to the addresses of its skills:");
        for of in &found.skills {
            text.line(&format!("- {}: {}", of.skill, of.text));
        }
    }
    Page::new(&found, text)
}

fn rated(found: &Explanation, text: &mut Text) {
    let reputation = &found.reputation;
    if !reputation.raters.is_empty() {
        let rows: Vec<Vec<String>> = reputation.raters.iter().map(rater).collect();
        text.line("").table(&["RATER", "WENT WELL", "SURE", "WEIGHT", "HONESTY", "TRUST"], &rows);
        let known = reputation.raters_known;
        text.line("").line(&format!("{} of {known} raters", reputation.raters.len()));
    }
    if !found.ratings.is_empty() {
        let rows: Vec<Vec<String>> = found.ratings.iter().map(rating).collect();
        text.line("").line("What they published on it, the newest:");
        text.table(&["RECORD", "RATER", "EPOCH", "SKILL", "CALLS", "OK", "QUALITY", "IN TIME", ""], &rows);
    }
}

fn rater(one: &Rater) -> Vec<String> {
    let numbers = [one.share, one.sureness, one.weight, one.honesty, one.trust];
    [one.rater.clone()].into_iter().chain(numbers.map(thousandths)).collect()
}

fn rating(one: &ExplainedRating) -> Vec<String> {
    let row = &one.row;
    let quality = row.quality_sum.checked_div(row.count).unwrap_or_default();
    vec![
        row.record.clone(),
        cut(&row.rater),
        row.epoch.to_string(),
        if row.skill.is_empty() { "-".to_owned() } else { row.skill.clone() },
        row.count.to_string(),
        row.ok.to_string(),
        quality.to_string(),
        row.in_time.to_string(),
        if one.counts { String::new() } else { "struck out".to_owned() },
    ]
}

fn call(one: &CallProof) -> Vec<String> {
    let published = match one.published {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    vec![
        one.made.clone(),
        one.task.clone(),
        super::outcome(one),
        one.quality.map_or("-".to_owned(), |quality| quality.to_string()),
        published.to_owned(),
        one.comment.clone().unwrap_or_default(),
    ]
}

fn cut(id: &str) -> String {
    id.chars().take(ID_CHARS).chain(['…']).collect()
}
