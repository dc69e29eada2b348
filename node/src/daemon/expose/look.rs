//! Looking after what is exposed: whether each origin is still what it was, and whether what was to be exposed can be.

use std::time::Duration;

use althing_a2a::MeshCard;
use althing_engine::{Answer, Ask};
use althing_gateway::api::{ExposeRequest, Exposed};
use althing_keystore::DEFAULT_AGENT;
use althing_tunnel::FetchError;
use futures::StreamExt;
use sha2::{Digest as _, Sha256};

use super::kept::{self, Instead, Kept};
use super::{Open, Shared, Waiting};

/// How often exposed agents are asked for their cards.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How often what waits to be exposed again is tried.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// The least time between two looks at what had trouble.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Agents that are looked at at once.
const LOOKS_MAX: usize = 16;

/// How long an exposure that is not to stay may be held by nobody: its client is about to.
const UNHELD_FOR: Duration = Duration::from_secs(30);

/// Which agents are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    All,
    /// None: those that wait are tried.
    Waiting,
    /// Those that could not be asked something.
    Troubled,
}

impl Shared {
    /// Looks after everything, forever.
    pub(super) async fn look_on(&self) {
        for file in kept::read_all(&self.home) {
            let name = file.wish.name.clone().unwrap_or_default();
            let cause = "it was not tried yet".to_owned();
            self.waiting().insert(name, Waiting { file, cause });
        }
        tokio::join!(self.retract_leftovers(), self.look_around());
    }

    /// Takes back the cards of what was exposed when the node was killed, and was not to stay.
    async fn retract_leftovers(&self) {
        let names = self.keystore.agent_names().unwrap_or_default();
        for name in names.into_iter().filter(|name| name != DEFAULT_AGENT && !name.ends_with("-recovery")) {
            let Ok(agent) = self.keystore.agent_of(&name) else { continue };
            let is_due = || !self.waiting().contains_key(&name) && !self.open().contains_key(&name);
            if !is_due() {
                continue;
            }
            let Ok(Answer::Card(card)) = self.ask(Ask::Card { agent }).await else { continue };
            if MeshCard::parse(&card.json).is_ok_and(|mesh| mesh.agent == agent) {
                let _turn = self.turn.lock().await;
                if is_due() && self.retract(agent).await.is_ok() {
                    tracing::info!(name, "its card is taken back: it was exposed for a client that has gone");
                }
            }
        }
    }

    async fn look_around(&self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        let mut again = tokio::time::interval(TRY_EVERY);
        loop {
            let round = tokio::select! {
                _ = every.tick() => Round::All,
                _ = again.tick() => Round::Waiting,
                () = self.trouble.notified() => Round::Troubled,
            };
            if round == Round::Waiting {
                self.expose_waiting().await;
                self.end_forgotten().await;
                continue;
            }
            let open: Vec<_> = self.open().iter().map(|(name, open)| (name.clone(), open.clone())).collect();
            futures::stream::iter(open)
                .for_each_concurrent(LOOKS_MAX, |(name, open)| async move {
                    self.look_at(&name, &open, round).await;
                })
                .await;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What is to be exposed and is not, as it is shown.
    pub(super) fn shown_waiting(&self) -> Vec<Exposed> {
        let waiting = self.waiting();
        let shown = waiting.iter().map(|(name, waiting)| Exposed {
            name: name.clone(),
            agent: waiting.file.agent.clone().unwrap_or_default(),
            origin: waiting.file.origin.clone().or(waiting.file.wish.url.clone()).unwrap_or_default(),
            pin: waiting.file.pin.clone(),
            kept: true,
            face: waiting.file.wish.face,
            fault: Some(waiting.cause.clone()),
            ..Exposed::default()
        });
        shown.collect()
    }

    async fn expose_waiting(&self) {
        let waiting: Vec<_> = self.waiting().iter().map(|(name, one)| (name.clone(), one.clone())).collect();
        let expose = async |name: String, before: Waiting| {
            let Err(refusal) = self.expose(Kept::again(before.file)).await else {
                tracing::info!(name, "exposed again");
                return;
            };
            let mut all = self.waiting();
            let Some(now) = all.get_mut(&name) else { return };
            if now.cause != refusal.cause {
                tracing::warn!(name, cause = refusal.cause, "not exposed again yet");
                now.cause = refusal.cause;
            }
        };
        futures::stream::iter(waiting).for_each_concurrent(LOOKS_MAX, |(name, one)| expose(name, one)).await;
    }

    async fn end_forgotten(&self) {
        let is_over =
            |open: &Open| !open.shown.kept && open.holders == 0 && open.since.elapsed() > UNHELD_FOR;
        let over: Vec<_> = {
            let all = self.open();
            let over = all.iter().filter(|(_, open)| is_over(open));
            over.map(|(name, open)| (name.clone(), open.number)).collect()
        };
        for (name, number) in over {
            self.end_unheld(&name, number).await;
        }
    }

    /// Asks an agent for its card: one that changed is reported, and published if that was wished.
    async fn look_at(&self, name: &str, open: &Open, round: Round) {
        let Some((origin, pin)) = &open.origin else { return };
        if !origin.had_trouble() && round == Round::Troubled {
            return;
        }
        let fault = match origin.fetch(&pin.target).await {
            Ok(card) if Sha256::digest(&card)[..] == pin.sha256.0 => None,
            Ok(_) if open.wish.follow => match self.follow(open).await {
                Ok(()) => {
                    tracing::info!(name, "the agent's card changed and is published");
                    return;
                }
                Err(cause) => Some(format!("its card changed and is not published: {cause}")),
            },
            Ok(_) => Some("its card has changed; no calls are taken until it is exposed again".to_owned()),
            Err(
                error @ (FetchError::Status { .. }
                | FetchError::Redirect { .. }
                | FetchError::TooLarge { .. }),
            ) => Some(format!("its card is gone; no calls are taken: {error}")),
            Err(error @ (FetchError::Origin(_) | FetchError::Broken { .. })) => Some(error.to_string()),
        };
        let mut all = self.open();
        let Some(now) = all.get_mut(name).filter(|now| now.number == open.number) else { return };
        // Exposed anew in the meantime: what was found is about another card.
        if now.shown.pin == open.shown.pin && now.shown.fault != fault {
            match &fault {
                Some(fault) => tracing::warn!(name, fault, "an exposed agent takes no calls"),
                None => tracing::info!(name, "an exposed agent takes calls again"),
            }
            now.shown.fault = fault;
        }
    }

    async fn follow(&self, open: &Open) -> Result<(), String> {
        let wish = ExposeRequest { no_probe: true, ..open.wish.clone() };
        let kept = Kept { instead_of: Some(Instead::Open(open.number)), ..Kept::first(wish) };
        self.expose(kept).await.map(|_| ()).map_err(|refusal| refusal.cause)
    }
}
