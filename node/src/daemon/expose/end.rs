//! How exposures end.

use althing_engine::{Ask, Refusal, RefusalKind};
use althing_gateway::Hold;
use althing_gateway::api::Unexposed;
use althing_record::AgentId;

use super::{Open, Shared, kept, name_of, unexposed};
use crate::site::refuse;

impl Shared {
    pub(super) async fn unexpose(&self, name: &str) -> Result<Unexposed, Refusal> {
        let _turn = self.turn.lock().await;
        let known = name_of(&self.open(), name);
        let waiting = {
            let mut waiting = self.waiting();
            let by_did = waiting.iter().find(|(_, waiting)| waiting.file.agent.as_deref() == Some(name));
            let known = by_did.map_or_else(|| name.to_owned(), |(name, _)| name.clone());
            waiting.remove(&known).map(|waiting| (known, waiting))
        };
        if let Some((name, waiting)) = waiting {
            kept::remove(&self.home, &name);
            let agent = self.keystore.agent_of(&name);
            if let Ok(agent) = agent {
                self.retract(agent).await?;
            }
            let agent = agent.map(|agent| agent.to_string()).ok().or(waiting.file.agent).unwrap_or_default();
            return Ok(unexposed(agent, name));
        }
        if !self.open().contains_key(&known) {
            let shown: String = name.chars().take(80).collect();
            let hint = Some("`althing expose --list` shows what is exposed");
            return Err(refuse(RefusalKind::NotFound, format!("nothing is exposed as \"{shown}\""), hint));
        }
        self.take_back(known).await
    }

    /// Takes no more calls for what is exposed under a name, and its card back. Only in one's turn.
    pub(super) async fn take_back(&self, name: String) -> Result<Unexposed, Refusal> {
        let open = self.open().remove(&name);
        kept::remove(&self.home, &name);
        let Some(open) = open else { return Ok(unexposed(String::new(), name)) };
        self.exposures.remove(open.agent);
        self.retract(open.agent).await?;
        Ok(unexposed(open.agent.to_string(), name))
    }

    pub(super) async fn retract(&self, agent: AgentId) -> Result<(), Refusal> {
        match self.ask(Ask::RetractCard { agent }).await {
            Err(refusal) if refusal.kind != RefusalKind::NotFound => Err(refusal),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Gives up a hold.
    pub(super) async fn release(&self, hold: Hold) {
        let holders = {
            let mut all = self.open();
            let open = all.get_mut(&hold.name).filter(|open| open.number == hold.number);
            open.map(|open| {
                open.holders = open.holders.saturating_sub(1);
                open.holders
            })
        };
        if holders == Some(0) {
            self.end_unheld(&hold.name, hold.number).await;
        }
    }

    /// Ends an exposure that nobody holds any more and that is not to stay.
    pub(super) async fn end_unheld(&self, name: &str, number: u64) {
        let _turn = self.turn.lock().await;
        let is_over = |open: &Open| open.number == number && open.holders == 0 && !open.shown.kept;
        if !self.open().get(name).is_some_and(is_over) {
            return;
        }
        match self.take_back(name.to_owned()).await {
            Ok(_) => tracing::info!(name, "no longer exposed: its client has gone"),
            Err(refusal) => {
                tracing::warn!(
                    name,
                    cause = refusal.cause,
                    "its card stays published although its client has gone"
                );
            }
        }
    }
}
