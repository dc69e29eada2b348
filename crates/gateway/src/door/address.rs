use http::header::ACCEPT;
use http::{HeaderMap, Method, Uri};

use super::failure::{Cause, Failure};
use super::reads;

/// Where paths of A2A begin: everything before belongs to the skill.
const FIRST_SEGMENTS: [&str; 6] =
    ["message:send", "message:stream", "tasks", "v1", ".well-known", "extendedAgentCard"];

/// Where an agent's card is.
const CARDS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// Whom a request is for, and what it asks of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) asked: Asked,
    /// The path on this node that stands for the agent, with a slash at its end.
    pub(super) base: String,
    /// What is asked of the agent: path and query.
    pub(super) target: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// By did or local name.
    Agent(String),
    Skill(String),
}

impl Address {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Failure> {
        let nowhere = || Failure::new(Cause::Target, "expected /a2a/agents/<did>/… or /a2a/skills/<skill>/…");
        let path = uri.path();
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        if let Some(rest) = path.strip_prefix("/a2a/agents/") {
            let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
            if name.is_empty() {
                return Err(nowhere());
            }
            let name = name.replace("%3A", ":").replace("%3a", ":");
            let base = format!("/a2a/agents/{name}/");
            return Ok(Self { asked: Asked::Agent(name), base, target: format!("/{rest}{query}") });
        }
        let rest = path.strip_prefix("/a2a/skills/").ok_or_else(nowhere)?;
        let segments: Vec<&str> = rest.split('/').collect();
        let end = segments.iter().position(|segment| FIRST_SEGMENTS.contains(segment));
        // An empty last segment is the slash at the end.
        let end = end.unwrap_or(segments.len() - usize::from(segments.last() == Some(&"")));
        let skill = segments[..end].join("/").replace('~', "/");
        if skill.is_empty() {
            return Err(nowhere());
        }
        let base = format!("/a2a/skills/{}/", skill.replace('/', "~"));
        let target = format!("/{}{query}", segments[end..].join("/"));
        Ok(Self { asked: Asked::Skill(skill), base, target })
    }

    /// Whether the owner's card is asked for, byte for byte, and not the view of it.
    pub(super) fn wants_origin(&self) -> bool {
        self.target
            .split_once('?')
            .is_some_and(|(_, query)| query.split('&').any(|pair| pair == "card=origin"))
    }

    /// Whether the agent's card is asked for: where cards are, or at the address itself by who accepts JSON.
    pub(super) fn is_card(&self, method: &Method, headers: &HeaderMap) -> bool {
        let path = self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path);
        let accepts = || {
            let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
            accept.contains("json") || accept.contains("*/*")
        };
        reads(method) && (CARDS.contains(&path) || path == "/" && accepts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> (Asked, String, String) {
        let address = Address::parse(&path.parse().unwrap()).unwrap();
        (address.asked, address.base, address.target)
    }

    #[test]
    fn agents_and_skills_are_told_from_what_is_asked_of_them() {
        let agent = |name: &str| Asked::Agent(name.into());
        let skill = |name: &str| Asked::Skill(name.into());
        for (path, asked, base, target) in [
            ("/a2a/agents/babel/", agent("babel"), "/a2a/agents/babel/", "/"),
            ("/a2a/agents/babel", agent("babel"), "/a2a/agents/babel/", "/"),
            (
                "/a2a/agents/did%3Akey%3Az6Mk/tasks/7?a=1",
                agent("did:key:z6Mk"),
                "/a2a/agents/did:key:z6Mk/",
                "/tasks/7?a=1",
            ),
            ("/a2a/skills/text/translate/", skill("text/translate"), "/a2a/skills/text~translate/", "/"),
            (
                "/a2a/skills/text~translate/message:send",
                skill("text/translate"),
                "/a2a/skills/text~translate/",
                "/message:send",
            ),
            (
                "/a2a/skills/upper/.well-known/agent-card.json",
                skill("upper"),
                "/a2a/skills/upper/",
                "/.well-known/agent-card.json",
            ),
            (
                "/a2a/skills/upper/v1/tasks/x:cancel?y",
                skill("upper"),
                "/a2a/skills/upper/",
                "/v1/tasks/x:cancel?y",
            ),
        ] {
            assert_eq!(parsed(path), (asked, base.to_owned(), target.to_owned()), "{path}");
        }
        for path in ["/a2a/agents/", "/a2a/skills/", "/a2a/x", "/a2a/skills/tasks/7"] {
            assert!(Address::parse(&path.parse().unwrap()).is_err(), "{path}");
        }
    }
}
