use std::ops::Range;
use std::time::{Duration, Instant};

use althing_gateway::Client;
use althing_gateway::api::FindQuery;
use althing_testnet::Testnet;

use super::figure::Runs;
use super::lab::{Lab, card_of, clients};
use super::{BenchError, Benchmark, Figure, ms};

/// Skills of each node.
const SKILLS: usize = 5;
/// How long a node that joined may take to meet others before its searches are measured.
const SETTLE: Duration = Duration::from_secs(5);
/// How long provider records may take to be stored with their nodes.
const SPREAD_LIMIT: Duration = Duration::from_secs(60);

/// A network where every node has published some skills; in each run one more node joins and searches each of them: first
/// in the network, as nobody has before, then there again, then as a program does that takes what its node knows.
pub(crate) async fn find(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    let nodes = lab.nodes;
    say(format!("find: starting {nodes} nodes"));
    let testnet = lab.network("find", nodes).await?;
    lab.on(testnet, async |testnet| {
        for (number, client) in clients(testnet).await?.into_iter().enumerate() {
            let skills: Vec<_> = (number * SKILLS..(number + 1) * SKILLS).map(skill).collect();
            let json = card_of(&format!("agent {number}"), &skills);
            client.publish_card(&json, None).await.map_err(BenchError::client("publish a card"))?;
        }
        spread(testnet).await?;
        let mut runs = Runs::new(Benchmark::Find);
        for run in 1..=lab.runs {
            say(format!("find: run {run} of {}, {} skills", lab.runs, nodes * SKILLS));
            let late = nodes + run;
            testnet.launch(late, &mut |_| {}).await?;
            let client = testnet.client(late).await?;
            let first = samples(&client, 0..1, Some(true)).await?;
            tokio::time::sleep(SETTLE).await;
            let cold = samples(&client, 1..nodes * SKILLS, Some(true)).await?;
            let again = samples(&client, 0..nodes * SKILLS, Some(true)).await?;
            let warm = samples(&client, 0..nodes * SKILLS, None).await?;
            runs.one("late joiner's very first find", "ms", first[0], 1);
            runs.times("cold live find", cold);
            runs.times("the same live find again", again);
            runs.times("warm find, from the index", warm);
        }
        Ok(runs.figures())
    })
    .await
}

/// How long each search takes, one for each skill in turn.
async fn samples(client: &Client, skills: Range<usize>, live: Option<bool>) -> Result<Vec<f64>, BenchError> {
    let mut samples = Vec::with_capacity(skills.len());
    for number in skills {
        let start = Instant::now();
        let found = search_for(client, number, live).await?;
        samples.push(ms(start.elapsed()));
        if !found {
            return Err(BenchError::Unexpected(format!("search {number} is not complete")));
        }
    }
    Ok(samples)
}

fn skill(number: usize) -> String {
    format!("bench/find/skill-{number}")
}

/// Whether a search names the one agent with a skill; one of the whole network, that the node which serves it answered.
async fn search_for(client: &Client, number: usize, live: Option<bool>) -> Result<bool, BenchError> {
    let query = FindQuery { skill: Some(skill(number)), limit: Some(10), live, ..FindQuery::default() };
    let found = client.find(&query).await.map_err(BenchError::client("find"))?;
    let is_whole = found.live && found.complete && found.providers == 1;
    Ok(found.agents.len() == 1 && (is_whole || live.is_none() && !found.live))
}

/// Waits until every skill can be found from another node.
async fn spread(testnet: &Testnet) -> Result<(), BenchError> {
    let start = Instant::now();
    let nodes = testnet.nodes().len();
    for number in 0..nodes * SKILLS {
        let client = testnet.client(1 + (number / SKILLS + 1) % nodes).await?;
        while !search_for(&client, number, Some(true)).await? {
            if start.elapsed() > SPREAD_LIMIT {
                let cause = format!("skill {number} is not found within {SPREAD_LIMIT:?}");
                return Err(BenchError::Unexpected(cause));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
