//! Nodes that are gone without a word: how long a newcomer's first lookup takes.

use std::time::{Duration, Instant};

use super::swarm::{KEY, Swarm, honest, random};

/// Twenty nodes of which some vanish, as a process does that is killed: TCP connections break, QUIC falls silent. Gives
/// how long the first lookups of newcomers took that came in a row.
async fn first_lookups(gone: usize, newcomers: usize) -> Vec<Duration> {
    let mut nodes = honest(20 - gone).await;
    let address = nodes[1].address();
    // Dropped, a runtime closes its sockets and says nothing.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let victims = doomed.spawn(async move {
        let mut victims = Vec::new();
        for _ in 0..gone {
            let mut victim = Swarm::start(Some(address.clone())).await;
            victim.routed(1).await;
            victim.provide(random()).await;
            victims.push(victim);
        }
        victims
    });
    let victims = victims.await.unwrap();
    let wanted = nodes[0].net.id();
    nodes[0].provide(KEY).await;
    doomed.shutdown_background();
    std::mem::forget(victims);
    let mut took = Vec::new();
    for number in 0..newcomers {
        let via = nodes[1 + number % (nodes.len() - 1)].address();
        let mut fresh = Swarm::start(Some(via)).await;
        fresh.routed(1).await;
        let start = Instant::now();
        assert!(fresh.looks_up(KEY, wanted).await, "newcomer {number}");
        took.push(start.elapsed());
        fresh.net.shutdown().await;
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomers_do_not_wait_for_nodes_that_were_killed() {
    let mut medians = Vec::new();
    for gone in [0, 5] {
        let mut took = first_lookups(gone, 7).await;
        took.sort_unstable();
        println!("{gone} gone: {took:?}");
        medians.push(took[took.len() / 2]);
    }
    // Waiting for one silent dial would take 3 s, and every newcomer would wait for each. What the machine is busy with
    // concerns both alike.
    assert!(medians[1] < medians[0] + Duration::from_secs(1), "{medians:?}");
}
