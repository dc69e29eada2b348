use std::fmt;
use std::str::FromStr;

use althing_card::SkillPath;
use althing_record::AgentId;

/// Longest name that a node gives an agent, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This agent.
    Agent(AgentId),
    /// The agent that the node knows by this name.
    Name(String),
    /// The best agent with this skill.
    Skill(SkillPath),
}

impl Target {
    /// The path of its door, which ends in a slash.
    pub(crate) fn door(&self) -> String {
        match self {
            Self::Agent(agent) => format!("/a2a/agents/{agent}/"),
            Self::Name(name) => format!("/a2a/agents/{name}/"),
            Self::Skill(skill) => format!("/a2a/skills/{}/", skill.as_str().replace('/', "~")),
        }
    }
}

impl fmt::Display for Target {
    /// As commands take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => agent.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Skill(skill) => write!(f, "--skill {skill}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("did:") {
            return text
                .parse()
                .map(Self::Agent)
                .map_err(|error| format!("expected an agent (did:key:…): {error}"));
        }
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        let is_name = text.chars().all(is_plain) && text.chars().any(char::is_alphanumeric);
        if is_name && text.len() <= NAME_CHARS_MAX {
            return Ok(Self::Name(text.to_owned()));
        }
        Err("expected an agent (did:key:…), or its name at this node: letters, digits, -, _ and .".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_below_the_paths_of_agents_and_skills() {
        let did = AgentId([9; 32]).to_string();
        assert_eq!(did.parse::<Target>().unwrap().door(), format!("/a2a/agents/{did}/"));
        assert_eq!("babel".parse::<Target>().unwrap().door(), "/a2a/agents/babel/");
        let skill = Target::Skill("text/translate/fr".parse().unwrap());
        assert_eq!(skill.door(), "/a2a/skills/text~translate~fr/");
        assert_eq!(skill.to_string(), "--skill text/translate/fr");
    }

    #[test]
    fn what_is_neither_a_did_nor_a_name_is_refused() {
        for text in
            ["", "..", "a/b", "did:web:example.org", "http://127.0.0.1:9999", "a b", "%2e", &"a".repeat(65)]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
