use std::time::{Duration, Instant};

use althing_gateway::Client;
use althing_gateway::api::FindQuery;
use althing_testnet::Testnet;

use super::figure::Runs;
use super::lab::{Lab, card, clients};
use super::{BenchError, Benchmark, Figure, ms};

/// Searches of one late joiner.
const SEARCHES: usize = 200;
/// How long provider records may take to be stored with their nodes.
const SPREAD_LIMIT: Duration = Duration::from_secs(30);

/// A network where every node has published one skill; in each run one more node joins and searches all of them.
pub(crate) async fn find(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    let nodes = lab.nodes;
    say(format!("find: starting {nodes} nodes"));
    let testnet = lab.network("find", nodes).await?;
    lab.on(testnet, async |testnet| {
        for (number, client) in (1..).zip(clients(testnet).await?) {
            let json = card(&format!("agent {number}"), &skill(number));
            client.publish_card(&json, None).await.map_err(BenchError::client("publish a card"))?;
        }
        spread(testnet).await?;
        let mut runs = Runs::new(Benchmark::Find);
        for run in 1..=lab.runs {
            say(format!("find: run {run} of {}, {SEARCHES} searches", lab.runs));
            let late = nodes + run;
            testnet.launch(late, &mut |_| {}).await?;
            let client = testnet.client(late).await?;
            let mut samples = Vec::new();
            for search in 0..SEARCHES {
                let start = Instant::now();
                let found = search_for(&client, 1 + search % nodes).await?;
                samples.push(ms(start.elapsed()));
                if !found {
                    return Err(BenchError::Unexpected(format!(
                        "search {search} of run {run} is not complete"
                    )));
                }
            }
            runs.one("late joiner's first live find", "ms", samples[0], 1);
            runs.times("late joiner's live find", samples);
        }
        Ok(runs.figures())
    })
    .await
}

fn skill(number: usize) -> String {
    format!("bench/find/skill-{number}")
}

/// Whether a search of the whole network names the one agent with a skill, and the node that serves it answered.
async fn search_for(client: &Client, number: usize) -> Result<bool, BenchError> {
    let query =
        FindQuery { skill: Some(skill(number)), limit: Some(10), live: Some(true), ..FindQuery::default() };
    let found = client.find(&query).await.map_err(BenchError::client("find"))?;
    Ok(found.live && found.complete && found.providers == 1 && found.agents.len() == 1)
}

/// Waits until every skill can be found from another node.
async fn spread(testnet: &Testnet) -> Result<(), BenchError> {
    let start = Instant::now();
    let nodes = testnet.nodes().len();
    for number in 1..=nodes {
        let client = testnet.client(1 + number % nodes).await?;
        while !search_for(&client, number).await? {
            if start.elapsed() > SPREAD_LIMIT {
                let cause = format!("the skill of node {number} is not found within {SPREAD_LIMIT:?}");
                return Err(BenchError::Unexpected(cause));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
