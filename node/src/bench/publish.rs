use std::time::{Duration, Instant};

use super::figure::Runs;
use super::lab::{Lab, card, clients};
use super::{BenchError, Benchmark, Figure, ms};

/// Nodes of the network.
const NODES: usize = 5;
/// Cards of one run.
const CARDS: usize = 50;
/// How long a card may take to be everywhere.
const SPREAD_LIMIT: Duration = Duration::from_secs(10);

/// One agent publishes new revisions of its card.
pub(crate) async fn publish(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    say(format!("publish: starting {NODES} nodes"));
    let testnet = lab.network("publish", NODES).await?;
    lab.on(testnet, async |testnet| {
        let clients = clients(testnet).await?;
        let (publisher, others) = clients.split_first().ok_or_else(|| BenchError::unexpected(&"no node"))?;
        let mut runs = Runs::new(Benchmark::Publish);
        for run in 1..=lab.runs {
            say(format!("publish: run {run} of {}, {CARDS} cards", lab.runs));
            let (mut stored, mut everywhere) = (Vec::new(), Vec::new());
            for number in 0..CARDS {
                let json = card(&format!("card {run}/{number}"), "bench/publish");
                let start = Instant::now();
                let published = publisher
                    .publish_card(&json, None)
                    .await
                    .map_err(BenchError::client("publish a card"))?;
                stored.push(ms(start.elapsed()));
                for other in others {
                    // Until it has this card; before, it has an older one or none.
                    while other
                        .card(&published.agent)
                        .await
                        .ok()
                        .is_none_or(|seen| seen.card != published.card)
                    {
                        if start.elapsed() > SPREAD_LIMIT {
                            let cause = format!("card {number} is not everywhere within {SPREAD_LIMIT:?}");
                            return Err(BenchError::Unexpected(cause));
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                everywhere.push(ms(start.elapsed()));
            }
            runs.times("card stored and synced", stored);
            runs.times("card known to all 5 nodes", everywhere);
        }
        Ok(runs.figures())
    })
    .await
}
