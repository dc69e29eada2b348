//! What would change an agent's scores, as sentences for people.

use std::collections::BTreeMap;

use althing_engine::{GOOD_CALLS_MAX, Grounds, Reputation};
use althing_route::EVIDENCE_MIN;

use crate::api::CallProof;

/// Most sentences about checkpoints.
const STRUCK_MAX: usize = 4;

/// The sentences; none if there is nothing to say.
pub(crate) fn changes(known: &Reputation, grounds: &Grounds, calls: &[CallProof]) -> Vec<String> {
    let mut said = Vec::new();
    let agent = known.agent;
    let unpardoned: Vec<_> = known.offences.iter().filter(|of| of.pardoned_by.is_none()).collect();
    said.extend(unpardoned.iter().map(|of| {
        format!(
            "evidence {} ({}) sets its score to 0 until a vote pardons it: `althing vote propose … --pardon {agent}`",
            of.case, of.offence
        )
    }));
    if !known.keeps_ledger {
        said.push(
            "this node holds no ratings (reputation.ledger is false): checkpoints alone change its score"
                .into(),
        );
    } else if known.raters_known == 0 {
        said.push("nobody has rated it, as far as this node knows".to_owned());
    }
    let evidence = known.seen.map_or(0, |seen| seen.evidence.whole());
    if evidence < u64::from(EVIDENCE_MIN) {
        said.push(format!("{evidence} rated calls are known; from {EVIDENCE_MIN} on it is no newcomer"));
    }
    match grounds.good_calls {
        Some(0) => {}
        Some(1) => said.push("1 more good call of this node would lift its score to 0.4".to_owned()),
        Some(calls) => {
            said.push(format!("{calls} more good calls of this node would lift its score to 0.4"));
        }
        None if unpardoned.is_empty() && known.viewer.is_some() => said.push(format!(
            "not even {GOOD_CALLS_MAX} more good calls of this node would lift its score to 0.4"
        )),
        None => {}
    }
    let mut struck = BTreeMap::new();
    for row in grounds.rows.iter().filter(|row| row.is_struck) {
        *struck.entry(row.struck_by).or_insert(0) += 1;
    }
    said.extend(struck.into_iter().take(STRUCK_MAX).map(|(by, rows): (_, u32)| {
        let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        let by = by.map_or("a checkpoint".to_owned(), |id| format!("checkpoint {id}"));
        format!("{rows} struck out by {by}: unproved, they count nothing")
    }));
    let unpublished = calls.iter().filter(|call| call.published == Some(false)).count();
    if unpublished > 0 {
        said.push(format!(
            "of the calls of this node {unpublished} are not published: it goes by them, others do not know of them"
        ));
    }
    said
}
