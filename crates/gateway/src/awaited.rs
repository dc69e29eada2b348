//! Votes that are answered when something has come: the node is asked again whenever it has told of an event.

use std::time::Duration;

use althing_engine::{Answer, Ask};
use althing_record::RecordId;
use tokio::time::Instant;

use crate::api::{ProblemKind, Until, Vote, VoteState};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;

/// Most often that one waiting request asks the node.
const PAUSE: Duration = Duration::from_millis(1);

/// The vote when what is waited for has come, or else as it stands when `limit` is over or the node stops.
///
/// # Errors
/// As without waiting; when as many wait as there may be event streams.
pub(crate) async fn vote(
    edge: &Edge,
    proposal: RecordId,
    until: Until,
    limit: Duration,
) -> Result<Vote, Refused> {
    let _slot = edge.stream_slot()?;
    let (mut journaled, mut stop) = (edge.backend().journaled.clone(), edge.stop());
    let deadline = Instant::now() + limit;
    loop {
        // Before the node is asked: what comes while it answers is looked at again.
        journaled.mark_unchanged();
        let asked = Instant::now();
        let found = known_vote(edge, proposal).await;
        let has_come = match &found {
            Ok(vote) => until == Until::Known || is_settled(vote.summary.state),
            Err(refused) => refused.kind() != Some(ProblemKind::NotFound),
        };
        if has_come {
            return found;
        }
        tokio::select! {
            biased;
            _ = stop.changed() => return found,
            changed = journaled.changed() => if changed.is_err() { return found },
            () = tokio::time::sleep_until(deadline) => return found,
        }
        tokio::time::sleep_until(asked + PAUSE).await;
    }
}

/// The vote as it stands.
///
/// # Errors
/// The node's refusal, or that it is too busy, too slow or stopping.
pub(crate) async fn known_vote(edge: &Edge, proposal: RecordId) -> Result<Vote, Refused> {
    let Answer::Vote(vote) = edge.ask(Ask::Vote { proposal, question: None }).await? else {
        return Err(mismatch());
    };
    Ok((*vote).into())
}

fn is_settled(state: VoteState) -> bool {
    match state {
        VoteState::Open
        | VoteState::Expired
        | VoteState::Closing
        | VoteState::Opening
        | VoteState::Unopened => false,
        VoteState::Decided | VoteState::Rejected | VoteState::Conflicting => true,
    }
}
