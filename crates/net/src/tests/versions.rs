use super::requests::{answer, serve};
use super::*;
use crate::{RequestFailure, RequestForms};

/// Connects a node of today with one that speaks these versions.
async fn with(versions: &[u32]) -> (Node, Node) {
    let mut ours = Node::start(config(1)).await;
    let theirs = Config { bootstrap: vec![ours.address()], ..config(2) };
    let mut theirs = Node::speaking(versions, theirs).await;
    let (a, b) = (ours.id(), theirs.id());
    tokio::join!(ours.connected(b), theirs.connected(a));
    (ours, theirs)
}

/// What arrives of a request, or why nothing does.
async fn sent(ours: &mut Node, theirs: &mut Node, forms: RequestForms) -> Result<Vec<u8>, RequestFailure> {
    let from = ours.id();
    ours.net.request(1, theirs.id(), forms).expect("room for a command");
    // The answer is the request backwards.
    let (answer, ()) = tokio::join!(answer(ours, 1), serve(theirs, from));
    answer.map(|bytes| bytes.into_iter().rev().collect())
}

fn forms() -> RequestForms {
    RequestForms { newest: b"two".to_vec(), before: Some(b"one".to_vec()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_goes_out_in_the_newest_version_that_both_speak() {
    for (versions, expected) in [(&[2, 1][..], b"two"), (&[1], b"one"), (&[3, 2], b"two"), (&[9, 1], b"one")]
    {
        let (mut ours, mut theirs) = with(versions).await;
        assert_eq!(sent(&mut ours, &mut theirs, forms()).await, Ok(expected.to_vec()), "{versions:?}");
        assert!(ours.net.state().peers.iter().all(|peer| peer.mismatch.is_none()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_node_asks_a_newer_one() {
    let (mut ours, mut theirs) = with(&[1]).await;
    // Version 1 alone has one form: for it, that is the newest.
    let request = RequestForms::from(b"old".to_vec());
    assert_eq!(sent(&mut theirs, &mut ours, request).await, Ok(b"old".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_older_version_cannot_say_fails_by_name() {
    let (mut ours, theirs) = with(&[1]).await;
    let request = RequestForms { before: None, ..forms() };
    ours.net.request(1, theirs.id(), request).expect("room for a command");
    assert_eq!(answer(&mut ours, 1).await, Err(RequestFailure::TooOld));
    ours.metric_is("althing_net_requests_total{direction=\"outbound\",outcome=\"too_old\"}", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_shares_no_version_is_named_and_its_requests_fail_by_name() {
    let (mut ours, theirs) = with(&[9]).await;
    let peer = theirs.id();
    let named = |state: &NetState| {
        let text = "speaks engine/9, this node speaks 1 and 2; upgrade one of them";
        state.peers.iter().any(|state| state.node == peer && state.mismatch.as_deref() == Some(text))
    };
    ours.state("a mismatch", named).await;
    ours.metric_is("althing_net_mismatched_peers_total{protocol=\"engine\"}", "1").await;
    ours.net.request(1, peer, forms()).expect("room for a command");
    assert_eq!(answer(&mut ours, 1).await, Err(RequestFailure::Unsupported));
    // Gossip and Kademlia are spoken in the same versions, so it stays.
    assert!(ours.net.state().peers.iter().any(|state| state.node == peer));
}
