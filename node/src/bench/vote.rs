use std::time::{Duration, Instant};

use althing_gateway::api::{BallotRequest, ProblemKind, ProposeRequest, Until, VoteState};
use althing_gateway::{Client, ClientError};
use futures::future::try_join_all;

use super::figure::Runs;
use super::lab::{Lab, clients};
use super::{BenchError, Benchmark, Figure, ms};

/// Nodes, each with one voter.
pub(super) const VOTERS: usize = 5;
/// Decisions of one run.
const DECISIONS: usize = 100;
/// A rule that the ballots alone decide by, and one that needs agreement on them.
pub(super) const DIRECT: &str = "supermajority=2/3";
pub(super) const CLOSED: &str = "majority";
/// How long one may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Five agents decide again and again, each on a node of its own: one proposes, all vote as soon as they know of it.
pub(crate) async fn vote(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    say(format!("vote: starting {VOTERS} nodes"));
    let testnet = lab.network("vote", VOTERS).await?;
    lab.on(testnet, async |testnet| {
        let clients = clients(testnet).await?;
        let voters: Vec<String> =
            testnet.nodes().iter().flat_map(|node| node.agents.first().cloned()).collect();
        let mut runs = Runs::new(Benchmark::Vote);
        // The first decision waits for the mesh of gossip to form; it is nobody's figure.
        decide(&clients, &voters, 0, DIRECT).await?;
        for run in 1..=lab.runs {
            say(format!("vote: run {run} of {}, {DECISIONS} decisions", lab.runs));
            let (mut direct, mut closed) = (Vec::new(), Vec::new());
            for number in 0..DECISIONS {
                direct.push(decide(&clients, &voters, run * DECISIONS + number, DIRECT).await?);
                closed.push(decide(&clients, &voters, run * DECISIONS + number, CLOSED).await?);
            }
            let column = |of: fn(&Decision) -> Duration, all: &[Decision]| -> Vec<f64> {
                all.iter().map(|one| ms(of(one))).collect()
            };
            runs.times("proposal known to all 5 voters", column(|one| one.known, &direct));
            runs.times(
                "5 ballots: from the first to the certificate",
                column(|one| one.decided - one.known, &direct),
            );
            runs.times("decision: from the proposal to the certificate", column(|one| one.decided, &direct));
            runs.times(
                "closed decision: from the first ballot",
                column(|one| one.decided - one.known, &closed),
            );
            runs.times("closed decision: from the proposal", column(|one| one.decided, &closed));
        }
        Ok(runs.figures())
    })
    .await
}

/// When what had happened, since the proposal was put.
struct Decision {
    known: Duration,
    decided: Duration,
}

async fn decide(
    clients: &[Client],
    voters: &[String],
    number: usize,
    method: &str,
) -> Result<Decision, BenchError> {
    let request = ProposeRequest {
        question: format!("decision {number}?"),
        voters: voters.to_vec(),
        method: method.to_owned(),
        ..ProposeRequest::default()
    };
    let start = Instant::now();
    let proposer = clients.first().ok_or_else(|| BenchError::unexpected(&"no node"))?;
    let proposed = proposer.propose(&request).await.map_err(BenchError::client("propose"))?;
    let id = proposed.proposal.as_str();
    let known = async |client: &Client| client.vote_when(id, Until::Known, LIMIT).await;
    try_join_all(clients.iter().map(known)).await.map_err(BenchError::client("wait for the proposal"))?;
    let known = start.elapsed();
    let ballot = BallotRequest { choice: "yes".to_owned(), ..BallotRequest::default() };
    // A node that has just started votes once a peer has told it what it may have said before.
    let cast = async |client: &Client| match client.cast(id, &ballot).await {
        Ok(_) => Ok(true),
        Err(ClientError::Problem(problem)) if problem.kind() == Some(ProblemKind::NotReady) => Ok(false),
        Err(error) => Err(BenchError::client("vote")(error)),
    };
    try_join_all(clients.iter().map(|client| until(start, async || cast(client).await))).await?;
    let settled = proposer.vote_when(id, Until::Settled, LIMIT).await;
    let vote = settled.map_err(BenchError::client("wait for the outcome"))?;
    if vote.summary.state != VoteState::Decided {
        return Err(BenchError::Unexpected(format!("a decision took longer than {LIMIT:?}")));
    }
    proposer.certificate(id).await.map_err(BenchError::client("get the certificate"))?;
    Ok(Decision { known, decided: start.elapsed() })
}

async fn until(
    start: Instant,
    mut look: impl AsyncFnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    while !look().await? {
        if start.elapsed() > LIMIT {
            return Err(BenchError::Unexpected(format!("a decision took longer than {LIMIT:?}")));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
