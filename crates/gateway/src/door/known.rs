use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_a2a::{MeshCard, OriginCard};
use althing_engine::{Answer, Ask};
use althing_record::{AgentId, Digest};
use althing_tunnel::Place;
use tokio::time::Instant;

use super::failure::{Cause, Failure};
use crate::edge::Edge;

/// Agents whose places are remembered, and owners' cards that are.
const AGENTS_MAX: usize = 1_024;
const CARDS_MAX: usize = 256;

/// How long an agent's places are taken for known.
const PLACES_FOR: Duration = Duration::from_secs(2);

/// What doors remember for a while, so that not every request asks the node first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    agents: BTreeMap<AgentId, (Instant, Arc<Agent>)>,
    cards: BTreeMap<Digest, Arc<OriginCard>>,
}

/// Where an agent is served, and what it published.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) places: Vec<Place>,
    pub(super) mesh: MeshCard,
}

impl Known {
    /// Forgets where an agent is: it was not there.
    pub(super) fn forget(&self, agent: AgentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).agents.remove(&agent);
    }

    pub(super) fn card(&self, hash: Digest) -> Option<Arc<OriginCard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).cards.get(&hash).cloned()
    }

    pub(super) fn keep_card(&self, card: Arc<OriginCard>) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.cards.len() >= CARDS_MAX {
            // Any will do: what is asked for again comes back.
            memory.cards.pop_first();
        }
        memory.cards.insert(card.digest(), card);
    }

    fn agent(&self, agent: AgentId) -> Option<Arc<Agent>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, known) = memory.agents.get(&agent)?;
        (since.elapsed() < PLACES_FOR).then(|| Arc::clone(known))
    }

    fn keep_agent(&self, agent: AgentId, known: &Arc<Agent>) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.agents.len() >= AGENTS_MAX {
            memory.agents.retain(|_, (since, _)| since.elapsed() < PLACES_FOR);
            if memory.agents.len() >= AGENTS_MAX {
                memory.agents.pop_first();
            }
        }
        memory.agents.insert(agent, (Instant::now(), Arc::clone(known)));
    }
}

/// The agent that a path names: by did, or by the local name of one that is exposed here.
pub(super) fn agent(edge: &Edge, name: &str) -> Result<AgentId, Failure> {
    if let Some(agent) = edge.backend().calls.desk.agent(name) {
        return Ok(agent);
    }
    name.parse().map_err(|_| {
        let shown: String = name.chars().take(80).collect();
        let message = format!("\"{shown}\" is no did, and no agent of that name is exposed here");
        Failure::new(Cause::AgentNotFound, message)
    })
}

/// Where an agent is, asked of the node if that is not known.
pub(super) async fn place(edge: &Edge, agent: AgentId) -> Result<Arc<Agent>, Failure> {
    if let Some(known) = edge.known().agent(agent) {
        return Ok(known);
    }
    let answer = edge.ask(Ask::Card { agent }).await.map_err(|refused| {
        let found = refused.kind() != Some(crate::api::ProblemKind::NotFound);
        let cause = if found { Cause::AgentUnreachable } else { Cause::AgentNotFound };
        Failure::new(cause, format!("{agent}: {}", refused.detail()))
    })?;
    let Answer::Card(card) = answer else {
        return Err(Failure::new(Cause::AgentUnreachable, "the node answered another question"));
    };
    let mesh = MeshCard::parse(&card.json).map_err(|_| {
        Failure::new(Cause::NotExposed, format!("{agent} has a card, but is not exposed to calls"))
    })?;
    if mesh.agent != agent || mesh.network != edge.backend().calls.network {
        let message = format!("{agent} published a card that leads to another agent or network");
        return Err(Failure::new(Cause::NotExposed, message));
    }
    let places: Vec<_> =
        card.leases.into_iter().map(|lease| Place { node: lease.node, addresses: lease.addresses }).collect();
    if places.is_empty() {
        return Err(Failure::new(
            Cause::AgentUnreachable,
            format!("{agent} is served by no node at the moment"),
        ));
    }
    let known = Arc::new(Agent { places, mesh });
    edge.known().keep_agent(agent, &known);
    Ok(known)
}
