//! How calls of this node's agent went in rating epochs that nobody may have been told of yet. The engine chooses by it at
//! once; a rating epoch may last a day, and what is not published is known here alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_engine::{Answer, Ask, Counts, EXPERIENCE_EPOCHS_MAX, RatingEpoch, ReputationAsk};
use althing_gateway::Asked;
use althing_record::{AgentId, Genesis};
use althing_trust::ProvenReceipt;
use tokio::sync::{Notify, mpsc, oneshot};

/// Most callees of one rating epoch; calls to more are not noted, until they are published.
const CALLEES_MAX: usize = 4_096;

/// How long the engine is not told again.
const PAUSE: Duration = Duration::from_millis(100);

type Calls = BTreeMap<RatingEpoch, BTreeMap<AgentId, Counts>>;

/// A handle; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Experience(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<Calls>,
    changed: Notify,
}

impl Experience {
    /// A call ended.
    pub(super) fn add(&self, call: &ProvenReceipt, genesis: &Genesis) {
        self.change(call, genesis, |known| known.unwrap_or_default().plus(Counts::of(call)));
    }

    /// What is thought of a call has changed.
    pub(super) fn replace(&self, before: &ProvenReceipt, call: &ProvenReceipt, genesis: &Genesis) {
        self.change(call, genesis, |known| {
            known.unwrap_or_default().without(Counts::of(before)).plus(Counts::of(call))
        });
    }

    fn change(&self, call: &ProvenReceipt, genesis: &Genesis, to: impl FnOnce(Option<Counts>) -> Counts) {
        let epoch = RatingEpoch::of(call.accept().made, genesis);
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_epoch = calls.entry(epoch).or_default();
        let callee = call.accept().callee;
        if of_epoch.len() < CALLEES_MAX || of_epoch.contains_key(&callee) {
            let counts = to(of_epoch.get(&callee).copied());
            of_epoch.insert(callee, counts);
        }
        while calls.len() > EXPERIENCE_EPOCHS_MAX {
            calls.pop_first();
        }
        drop(calls);
        self.0.changed.notify_one();
    }

    /// Tells the engine whenever something came, until the node stops.
    pub(super) async fn tell(self, asks: mpsc::Sender<Asked>) {
        loop {
            self.0.changed.notified().await;
            let calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (reply, answer) = oneshot::channel();
            if asks.send((Ask::Reputation(ReputationAsk::Experience { calls }), reply)).await.is_err() {
                return;
            }
            match answer.await {
                Ok(Answer::Experienced) => {}
                Ok(_) | Err(_) => tracing::debug!("own calls are not chosen by yet"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
