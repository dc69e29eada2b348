use althing_gateway::api::{self, SealRequest, VoteState};

use crate::cli::args;
use crate::cli::page::Text;

/// What is asked of the node about sealed ballots.
pub(super) fn request(sealed: &args::Sealed) -> Option<SealRequest> {
    let trustees = sealed.trustees.iter().map(ToString::to_string).collect();
    sealed.sealed.then_some(SealRequest { trustees, threshold: sealed.trustee_threshold })
}

/// The trustees that have not opened the ballots.
pub(super) fn silent(vote: &api::VoteSummary) -> Vec<String> {
    let trustees = vote.sealed.iter().flat_map(|sealed| &sealed.trustees);
    trustees.filter(|trustee| !trustee.opened).map(|trustee| trustee.agent.clone()).collect()
}

/// How many openings there are, of those that are needed.
pub(super) fn openings(vote: &api::VoteSummary) -> String {
    vote.sealed.as_ref().map_or_else(String::new, |sealed| {
        format!("sealed, {} of {} openings", sealed.opened, sealed.threshold)
    })
}

/// Whether there is no tally, because ballots are still sealed.
pub(super) fn is_shut(vote: &api::VoteSummary) -> bool {
    let is_counted = match vote.state {
        VoteState::Decided | VoteState::Rejected | VoteState::Conflicting => true,
        VoteState::Open
        | VoteState::Expired
        | VoteState::Closing
        | VoteState::Opening
        | VoteState::Unopened => false,
    };
    vote.sealed.is_some() && !is_counted
}

/// Shows the trustees of a vote, and what they have published.
pub(super) fn show(vote: &api::VoteSummary, text: &mut Text) {
    let Some(sealed) = &vote.sealed else { return };
    let is_early = matches!(vote.state, VoteState::Open | VoteState::Expired);
    let rows: Vec<Vec<String>> = sealed
        .trustees
        .iter()
        .map(|trustee| {
            let said = match (trustee.opened, trustee.key) {
                (true, _) if is_early => "opened before the vote is closed",
                (true, _) => "opened",
                (false, true) => "has its key",
                (false, false) => "no key is known",
            };
            vec![trustee.agent.clone(), said.to_owned()]
        })
        .collect();
    text.line("").table(&["TRUSTEE", "STATE"], &rows);
}
