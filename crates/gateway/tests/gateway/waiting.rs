//! Requests for a vote that wait.

use std::time::Duration;

use althing_engine::{Answer, Ask, Event, RefusalKind, VoteState};
use althing_gateway::ClientError;
use althing_gateway::api::{self, ProblemKind, Until, WAIT_MAX};

use crate::raw;
use crate::samples;
use crate::scripted::{Node, Script};

/// Far less than [`WAIT_MAX`]: what should end a wait at once does so within it.
const AT_ONCE: Duration = Duration::from_secs(10);
const EVENT: Event = Event::NodeStarted { start: 3, signing_stopped: None };

fn standing(state: VoteState) -> Script {
    Script::Say(Answer::Vote(Box::new(althing_engine::Vote { state, ..samples::vote() })))
}

fn decided() -> VoteState {
    VoteState::Decided { option: "yes".into() }
}

/// Waits until the node has been asked, changes what it says, and has it tell of an event.
async fn change(node: &Node, script: Script) {
    while node.asks.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    node.play(script);
    node.journal.lock().unwrap().push(EVENT);
}

#[tokio::test]
async fn a_wait_ends_when_the_vote_is_settled() {
    let node = Node::start().await;
    let (client, id) = (node.client().await, samples::PROPOSAL.to_string());
    for end in [decided(), VoteState::Rejected { cause: "quorum".into() }] {
        node.asks.lock().unwrap().clear();
        node.play(standing(VoteState::Closing));
        let waiting = client.vote_when(&id, Until::Settled, WAIT_MAX);
        let (vote, ()) = tokio::time::timeout(AT_ONCE, async {
            tokio::join!(waiting, change(&node, standing(end.clone())))
        })
        .await
        .unwrap();
        let shown = api::Vote::from(althing_engine::Vote { state: end, ..samples::vote() });
        assert_eq!(vote.unwrap(), shown);
    }
}

#[tokio::test]
async fn a_wait_ends_when_the_proposal_is_known() {
    let node = Node::start().await;
    let (client, id) = (node.client().await, samples::PROPOSAL.to_string());
    node.play(Script::Refuse(RefusalKind::NotFound));
    let waiting = client.vote_when(&id, Until::Known, WAIT_MAX);
    let (vote, ()) = tokio::time::timeout(AT_ONCE, async {
        tokio::join!(waiting, change(&node, standing(VoteState::Open)))
    })
    .await
    .unwrap();
    assert_eq!(vote.unwrap().summary.state, api::VoteState::Open);
}

#[tokio::test]
async fn a_wait_that_is_over_says_how_it_stands() {
    let node = Node::start().await;
    let (client, id) = (node.client().await, samples::PROPOSAL.to_string());
    let wait = Duration::from_millis(20);
    node.play(standing(VoteState::Open));
    let vote = client.vote_when(&id, Until::Settled, wait).await.unwrap();
    assert_eq!(vote.summary.state, api::VoteState::Open);
    node.play(Script::Refuse(RefusalKind::NotFound));
    let error = client.vote_when(&id, Until::Known, wait).await.unwrap_err();
    let ClientError::Problem(problem) = error else { panic!("{error}") };
    assert_eq!(problem.kind(), Some(ProblemKind::NotFound));
}

#[tokio::test]
async fn a_wait_asks_the_node_no_more_than_it_tells() {
    let node = Node::start().await;
    let (client, id) = (node.client().await, samples::PROPOSAL.to_string());
    node.play(standing(VoteState::Open));
    client.vote_when(&id, Until::Settled, Duration::from_millis(100)).await.unwrap();
    let asked = node.asks.lock().unwrap().iter().filter(|ask| matches!(ask, Ask::Vote { .. })).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_wait_ends_when_the_node_stops() {
    let node = Node::start().await;
    let (client, id) = (node.client().await, samples::PROPOSAL.to_string());
    node.play(standing(VoteState::Open));
    let waiting = tokio::spawn(async move { client.vote_when(&id, Until::Settled, WAIT_MAX).await });
    while node.asks.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(AT_ONCE, node.running.stop()).await.unwrap();
    let vote = tokio::time::timeout(AT_ONCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(vote.summary.state, api::VoteState::Open);
}

#[tokio::test]
async fn waits_without_bounds_and_too_many_of_them_are_refused() {
    let node = Node::with(|config| config.streams_max = 1).await;
    let path = format!("GET /v1/votes/{}", samples::PROPOSAL);
    for query in ["until=settled&wait_ms=0", "until=settled&wait_ms=25001", "until=tomorrow", "wait=1"] {
        let refused = raw::authorized(&node, &format!("{path}?{query}"), &[], "").await;
        assert_eq!(refused.problem().kind(), Some(ProblemKind::Invalid), "{query}");
    }
    node.play(standing(VoteState::Open));
    let (client, id) = (node.client().await, samples::PROPOSAL.to_string());
    let waiting = client.vote_when(&id, Until::Settled, WAIT_MAX);
    let second = async {
        while node.asks.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let refused = raw::authorized(&node, &format!("{path}?until=settled"), &[], "").await;
        assert_eq!(refused.problem().kind(), Some(ProblemKind::Busy));
        change(&node, standing(decided())).await;
    };
    let (vote, ()) = tokio::time::timeout(AT_ONCE, async { tokio::join!(waiting, second) }).await.unwrap();
    vote.unwrap();
}
