use althing_ballot::{ClosedTerms, Rule, Sealing, Voter};
use althing_engine::{ProposalDraft, Said};
use althing_record::{AgentId, AgentKey, NodeKey};
use sha2::{Digest as _, Sha256};

/// The key of the `n`th agent of a simulation.
#[must_use]
pub fn agent_key(n: usize) -> AgentKey {
    AgentKey::from_seed(&seed("agent", n))
}

/// The key of the `n`th node of a simulation.
pub(crate) fn node_key(n: usize) -> NodeKey {
    NodeKey::from_seed(&seed("node", n))
}

pub(crate) fn seed(what: &str, n: usize) -> [u8; 32] {
    Sha256::new().chain_update(what).chain_update((n as u64).to_be_bytes()).finalize().into()
}

/// A card with one skill, `text/<name>`.
#[must_use]
pub fn card(name: &str) -> Vec<u8> {
    format!(r#"{{"name":"{name}","skills":[{{"id":"text/{name}"}}]}}"#).into_bytes()
}

/// "yes" or "no", decided by the safe threshold alone.
#[must_use]
pub fn motion(question: &str, voters: &[AgentId]) -> ProposalDraft {
    ProposalDraft {
        group: None,
        holders: None,
        subject: None,
        pardon: None,
        question: question.into(),
        options: Vec::new(),
        voters: voters.iter().map(|agent| Voter { agent: *agent, weight: 1 }).collect(),
        rule: Rule::Approvals(0),
        closed: None,
        window_ms: 24 * 60 * 60_000,
    }
}

/// A question that is closed by its voters once they have all voted, or after a window.
#[must_use]
pub fn closed(rule: Rule, options: &[&str], voters: &[AgentId], window_ms: u64) -> ProposalDraft {
    ProposalDraft {
        group: None,
        holders: None,
        subject: None,
        pardon: None,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        rule,
        closed: Some(ClosedTerms::default()),
        window_ms,
        ..motion("what next?", voters)
    }
}

/// The same with sealed ballots, of which as many of these trustees open each as there must be at least.
///
/// # Panics
/// When there can be no such trustees.
#[must_use]
pub fn sealed(draft: ProposalDraft, trustees: &[AgentId], threshold: Option<u64>) -> ProposalDraft {
    let sealing = Some(Sealing::new(trustees.to_vec(), threshold).expect("trustees"));
    let terms = draft.closed.clone().unwrap_or_default();
    ProposalDraft { closed: Some(ClosedTerms { sealing, ..terms }), ..draft }
}

/// A simple majority for red or blue, closed by its voters.
#[must_use]
pub fn red_or_blue(voters: &[AgentId], window_ms: u64) -> ProposalDraft {
    closed(Rule::Majority, &["red", "blue"], voters, window_ms)
}

/// A ballot for an option.
#[must_use]
pub fn option(text: &str) -> Said {
    Said::Option(text.into())
}
