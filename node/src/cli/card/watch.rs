use althing_gateway::ClientError;
use althing_gateway::api::ProblemKind;
use althing_record::AgentId;

use super::super::events::{SUBJECT_TYPES, of_subject};
use super::super::failure::Failure;
use super::super::page::{Page, Screen, note};
use super::super::session::Session;

/// Says how things stand, on stderr, and then prints what happens.
pub(crate) async fn watch(agent: AgentId, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let agent = agent.to_string();
    match session.client().await?.card(&agent).await {
        Ok(card) => {
            let served = match card.leases.len() {
                0 => "served by nobody at the moment".to_owned(),
                _ => {
                    let nodes: Vec<&str> = card.leases.iter().map(|lease| lease.node.as_str()).collect();
                    format!("served by {}", nodes.join(" "))
                }
            };
            note(&format!("revision {} until {}, {served}", card.revision, card.expires));
        }
        Err(ClientError::Problem(problem)) if problem.kind() == Some(ProblemKind::NotFound) => {
            note("no card of this agent is known yet");
        }
        Err(error) => return Err(error.into()),
    }
    of_subject(&agent, SUBJECT_TYPES, session, screen).await
}
