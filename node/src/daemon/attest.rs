//! Says how the calls of this node's own agent went, once for each rating epoch that is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use althing_engine::{Answer, Ask, RefusalKind, is_attested};
use althing_gateway::Asked;
use althing_record::{AgentId, Millis, Network};
use althing_rocks::Rocks;
use althing_store::ReadError;
use althing_trust::{CLOCK_ERROR_MS_MAX, RatingEpoch, Summary};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{Clock, leaves, receipts};

/// How many rating epochs are looked back on: those that ended while the node was down.
const EPOCHS_BACK: u64 = 7;

/// How long calls that began in a rating epoch may end after it and still be told of with it: a tenth of it, at most this.
const GRACE_MS_MAX: u64 = 60_000;

/// The clock may be set meanwhile, so it is looked at this often.
const SLEEP_MAX: Duration = Duration::from_secs(600);

/// Held while receipts are summed up and signed for, and while one is changed.
pub(super) type Publishing = Arc<Mutex<()>>;

/// What is summed up, and for whom.
#[derive(Clone)]
pub(super) struct Attesting {
    pub(super) rocks: Rocks,
    pub(super) network: Network,
    pub(super) agent: AgentId,
    pub(super) clock: Clock,
    pub(super) publishing: Publishing,
}

/// Publishes until the node stops.
pub(super) async fn publish(attesting: Attesting, asks: mpsc::Sender<Asked>) {
    let length = attesting.network.genesis().rating_epoch_ms;
    let grace = (length / 10).min(GRACE_MS_MAX);
    // Rating epochs of which nothing more is said, whatever comes.
    let mut done = BTreeSet::new();
    loop {
        let wall = attesting.clock.now().wall;
        let over = RatingEpoch::of(wall.minus(grace), attesting.network.genesis());
        let first = RatingEpoch(over.0.saturating_sub(EPOCHS_BACK));
        done = done.split_off(&first);
        if attest(&attesting, (first, over), &mut done, &asks).await.is_none() {
            return;
        }
        let next = attesting.network.genesis().created.plus(length.saturating_mul(over.0 + 1)).plus(grace);
        let wait = Duration::from_millis(next.since(attesting.clock.now().wall).max(1));
        tokio::time::sleep(wait.min(SLEEP_MAX)).await;
    }
}

/// Sums up the rating epochs from `first` up to but without `over` that are not told of yet. None when the node stops.
async fn attest(
    attesting: &Attesting,
    (first, over): (RatingEpoch, RatingEpoch),
    done: &mut BTreeSet<RatingEpoch>,
    asks: &mpsc::Sender<Asked>,
) -> Option<()> {
    let _held = attesting.publishing.lock().await;
    let left: Vec<_> = (first.0..over.0).map(RatingEpoch).filter(|epoch| !done.contains(epoch)).collect();
    let reading = attesting.clone();
    let summed = tokio::task::spawn_blocking(move || sum_up(&reading, &left)).await.ok()?;
    let summaries =
        summed.inspect_err(|error| tracing::warn!(%error, "calls are not rated")).unwrap_or_default();
    for (epoch, summary) in summaries {
        if let Some(summary) = summary {
            let (calls, left_out) = (summary.leaves.len(), summary.left_out);
            let rocks = attesting.rocks.clone();
            let kept = tokio::task::spawn_blocking(move || leaves::keep(&rocks, epoch, &summary.leaves))
                .await
                .ok()?;
            if let Err(error) = kept {
                // A root whose receipts cannot be shown is better not published.
                tracing::warn!(%epoch, %error, "receipts are not kept, and how calls went is not told");
                continue;
            }
            let (reply, answer) = oneshot::channel();
            let ask = Ask::Attest { agent: attesting.agent, body: Box::new(summary.body) };
            asks.send((ask, reply)).await.ok()?;
            let answer = answer.await.ok()?;
            if let Answer::Attested(record) = &answer {
                tracing::info!(%epoch, calls, left_out, %record, "told how calls went");
            } else if let Answer::Refused(refusal) = &answer {
                let cause = &refusal.cause;
                tracing::warn!(%epoch, cause, "not told how calls went");
                // It may be possible later, but for what was said or is not known any more.
                if refusal.kind != RefusalKind::Conflict {
                    continue;
                }
            }
        }
        done.insert(epoch);
    }
    Some(())
}

/// What is to be said of each of these rating epochs; nothing if there were no calls, or it was said.
fn sum_up(
    attesting: &Attesting,
    epochs: &[RatingEpoch],
) -> Result<Vec<(RatingEpoch, Option<Summary>)>, ReadError> {
    let (Some(first), genesis) = (epochs.first(), attesting.network.genesis()) else { return Ok(Vec::new()) };
    let begins = genesis.created.plus(genesis.rating_epoch_ms.saturating_mul(first.0));
    // Accepts carry the callee's time.
    let since = Millis(begins.0.saturating_sub(CLOCK_ERROR_MS_MAX));
    let mut receipts = receipts::own_since(&attesting.rocks, &attesting.network, attesting.agent, since)?;
    epochs
        .iter()
        .map(|epoch| {
            let of_epoch = receipts.remove(epoch).unwrap_or_default();
            let is_said = of_epoch.is_empty() || is_attested(&attesting.rocks, attesting.agent, *epoch)?;
            let summary = (!is_said)
                .then(|| Summary::new(attesting.agent, *epoch, &of_epoch, attesting.network.genesis()));
            Ok((*epoch, summary))
        })
        .collect()
}
