use althing_tunnel::{CALLER_HEADER, CALLER_NODE_HEADER};
use http::HeaderMap;

/// Longest id of an agent or node that is believed, in bytes.
const ID_BYTES_MAX: usize = 128;

/// Who asks, as the tunnel proved it. Tasks are seen by who made them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// An agent, by its did.
    Agent(String),
    /// A node that did not say for which agent it asks.
    Node(String),
    /// Whoever the node itself lets through.
    Local,
}

impl Caller {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match (text(CALLER_HEADER), text(CALLER_NODE_HEADER)) {
            (Some(did), _) if is_did(did) => Self::Agent(did.to_owned()),
            (_, Some(node)) => Self::Node(node.chars().take(ID_BYTES_MAX).collect()),
            (_, None) => Self::Local,
        }
    }

    pub(crate) fn did(&self) -> Option<&str> {
        match self {
            Self::Agent(did) => Some(did),
            Self::Node(_) | Self::Local => None,
        }
    }
}

/// Whether a text has the form of a did:key. It goes into an environment, so nothing else may.
fn is_did(text: &str) -> bool {
    let key = text.strip_prefix("did:key:z");
    text.len() <= ID_BYTES_MAX
        && key.is_some_and(|key| !key.is_empty() && key.chars().all(|char| char.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(headers: &[(&'static str, &'static str)]) -> Caller {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Caller::of(&headers.collect())
    }

    #[test]
    fn an_agent_is_the_same_caller_at_every_node() {
        let here = caller(&[("althing-caller", "did:key:z6Mk1"), ("althing-caller-node", "12D3a")]);
        let there = caller(&[("althing-caller", "did:key:z6Mk1"), ("althing-caller-node", "12D3b")]);
        assert_eq!(here, there);
        assert_ne!(here, caller(&[("althing-caller", "did:key:z6Mk2")]));
    }

    #[test]
    fn what_is_no_did_names_no_agent() {
        let long = "did:key:zaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        for wrong in ["", "did:key:z", "did:web:example.org", "did:key:z6Mk=x", "did:key:z6Mk x", long] {
            assert_eq!(caller(&[("althing-caller", wrong)]), Caller::Local, "{wrong}");
            let node = caller(&[("althing-caller", wrong), ("althing-caller-node", "12D3a")]);
            assert_eq!(node, Caller::Node("12D3a".to_owned()), "{wrong}");
        }
    }
}
