use std::time::{Duration, Instant};

use althing_gateway::api::{
    Answer, AnswersRequest, DocketQuestion, DocketRequest, ExposeRequest, ProblemKind, ProposeRequest,
    QuestionsQuery, VoteState,
};
use althing_gateway::{Client, ClientError};
use futures::future::{try_join_all, try_join3};

use super::figure::Runs;
use super::lab::{Lab, clients};
use super::vote::{CLOSED, DIRECT, LIMIT, VOTERS};
use super::{BenchError, Benchmark, Figure, ms};

/// How many questions a docket has: the points of the curve.
const SIZES: [usize; 4] = [1, 10, 100, 1_000];
/// How many dockets are on their way at once, each from another node.
const AT_ONCE: usize = 3;
/// Dockets of one run, from each node that proposes.
const ROUNDS: usize = 4;
/// How many agents each node hosts where a hundred vote.
const HOSTED: usize = 20;
/// Questions of a docket that a hundred answer.
const OF_HUNDRED: usize = 1_000;
/// How long between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Who votes: the agents of a node, and its client.
struct Seat<'a> {
    client: &'a Client,
    agents: Vec<String>,
}

/// Five nodes decide dockets: one agent on each of them, and then twenty.
pub(crate) async fn docket(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    say(format!("docket: starting {VOTERS} nodes"));
    let testnet = lab.network("docket", VOTERS).await?;
    lab.on(testnet, async |testnet| {
        let clients = clients(testnet).await?;
        let voters: Vec<String> =
            testnet.nodes().iter().flat_map(|node| node.agents.first().cloned()).collect();
        let mut runs = Runs::new(Benchmark::Docket);
        for run in 1..=lab.runs {
            say(format!("docket: run {run} of {}", lab.runs));
            five(&clients, &voters, run, &mut runs).await?;
        }
        say(format!("docket: {} voters", VOTERS * HOSTED));
        hundred(&clients, &voters, lab.runs, &mut runs).await?;
        Ok(runs.figures())
    })
    .await
}

/// Dockets of growing size, each decided by one agent on each node.
async fn five(clients: &[Client], voters: &[String], run: usize, runs: &mut Runs) -> Result<(), BenchError> {
    let seats: Vec<Seat<'_>> = clients
        .iter()
        .zip(voters)
        .map(|(client, voter)| Seat { client, agents: vec![voter.clone()] })
        .collect();
    for (method, name) in [(DIRECT, "direct"), (CLOSED, "closed")] {
        for size in SIZES {
            let start = Instant::now();
            // Each of them proposes one docket after the other.
            let proposer = async |from: usize| {
                let mut times = Vec::new();
                for round in 0..ROUNDS {
                    times.push(decide(&seats, from, (method, size), run * 100 + round).await?);
                }
                Ok::<_, BenchError>(times)
            };
            let (one, two, three) = try_join3(proposer(0), proposer(1), proposer(2)).await?;
            let took = start.elapsed();
            let times: Vec<f64> = [one, two, three].concat().into_iter().map(ms).collect();
            let decisions = AT_ONCE * ROUNDS * size;
            let rate = decisions as f64 / took.as_secs_f64();
            runs.one(&format!("{name} dockets of {size}: decisions a second"), "1/s", rate, decisions);
            runs.times(&format!("{name} docket of {size}: from the proposal"), times);
        }
    }
    Ok(())
}

/// A hundred voters on five nodes, one docket after the other.
async fn hundred(
    clients: &[Client],
    voters: &[String],
    repeats: usize,
    runs: &mut Runs,
) -> Result<(), BenchError> {
    let mut seats = Vec::new();
    for (client, voter) in clients.iter().zip(voters) {
        let mut agents = vec![voter.clone()];
        for number in 1..HOSTED {
            let request = ExposeRequest {
                name: Some(format!("voter-{number}")),
                echo: true,
                keep: true,
                ..ExposeRequest::default()
            };
            let exposed = client.expose(&request).await.map_err(BenchError::client("expose"))?;
            agents.push(exposed.agent);
        }
        seats.push(Seat { client, agents });
    }
    let name =
        format!("{} voters on {} nodes, direct dockets of {OF_HUNDRED}", seats.len() * HOSTED, seats.len());
    for run in 1..=repeats {
        let start = Instant::now();
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            times.push(ms(decide(&seats, 0, (DIRECT, OF_HUNDRED), run * 100 + round).await?));
        }
        let decisions = ROUNDS * OF_HUNDRED;
        let rate = decisions as f64 / start.elapsed().as_secs_f64();
        runs.one(&format!("{name}: decisions a second"), "1/s", rate, decisions);
        runs.times(&format!("{name}: from the proposal"), times);
    }
    Ok(())
}

/// Puts a docket and has everybody answer it as soon as they know of it, until its proposer knows all outcomes.
async fn decide(
    seats: &[Seat<'_>],
    from: usize,
    (method, size): (&str, usize),
    number: usize,
) -> Result<Duration, BenchError> {
    let request = DocketRequest {
        terms: ProposeRequest {
            question: format!("docket {number} of {from}"),
            voters: seats.iter().flat_map(|seat| seat.agents.clone()).collect(),
            method: method.to_owned(),
            ..ProposeRequest::default()
        },
        questions: (1..=size)
            .map(|number| DocketQuestion { question: format!("decision {number}?"), options: Vec::new() })
            .collect(),
    };
    let start = Instant::now();
    let proposer = seats.get(from).ok_or_else(|| BenchError::unexpected(&"no node"))?.client;
    let proposed = proposer.propose_docket(&request).await.map_err(BenchError::client("propose a docket"))?;
    let id = proposed.proposal.as_str();
    try_join_all(seats.iter().map(async |seat| {
        try_join_all(seat.agents.iter().map(|agent| answer(seat.client, agent, id, start))).await
    }))
    .await?;
    until(start, async || {
        let none = QuestionsQuery { from: None, limit: Some(0) };
        let docket = proposer.docket(id, &none).await.map_err(BenchError::client("show the docket"))?;
        Ok(docket.summary.state == VoteState::Decided)
    })
    .await?;
    let took = start.elapsed();
    let last = u16::try_from(size).unwrap_or(u16::MAX);
    proposer.question_certificate(id, last).await.map_err(BenchError::client("get the certificate"))?;
    Ok(took)
}

/// Answers as soon as the docket is known.
async fn answer(client: &Client, agent: &str, id: &str, start: Instant) -> Result<(), BenchError> {
    let answers = AnswersRequest {
        others: Some(Answer::Option("yes".to_owned())),
        agent: Some(agent.to_owned()),
        ..AnswersRequest::default()
    };
    until(start, async || match client.answer_docket(id, &answers).await {
        Ok(_) => Ok(true),
        Err(ClientError::Problem(problem)) => match problem.kind() {
            Some(ProblemKind::NotReady | ProblemKind::NotFound) => Ok(false),
            // The last ones come when the others have decided it.
            Some(ProblemKind::Conflict) => Ok(true),
            _ => Err(BenchError::client("answer")(ClientError::Problem(problem))),
        },
        Err(error) => Err(BenchError::client("answer")(error)),
    })
    .await
}

async fn until(
    start: Instant,
    mut look: impl AsyncFnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    while !look().await? {
        if start.elapsed() > LIMIT {
            return Err(BenchError::Unexpected(format!("a docket took longer than {LIMIT:?}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
