use std::collections::BTreeSet;

use althing_record::cbor::{Blob, DecodeError, List, Text};
use althing_record::{Kind, Millis, Record, cbor_map};
use serde::Deserialize;

use crate::attribute::attributes;
use crate::tag::TAGS_MAX;
use crate::{Attribute, Facts, SkillError, SkillPath, Tag, Term};

/// Longest card JSON in bytes: what fits a 16 KiB record with its header, signature and labels.
pub const JSON_BYTES_MAX: usize = 15 * 1_024;

/// Most skills of one card.
pub const SKILLS_MAX: usize = 64;

/// Deepest nesting of a card's JSON.
const NESTING_MAX: usize = 32;

/// How long a card counts unless renewed, in milliseconds: 7 days.
pub const CARD_LIFETIME_MS: u64 = 7 * 24 * 60 * Millis::MINUTE;

cbor_map! {
    /// The body of a card record. Both entries absent: the agent retracted its card.
    pub struct CardBody: version 1 {
        /// The exact A2A JSON.
        1 => pub json: Option<Blob<JSON_BYTES_MAX>>,
        /// The skill paths that follow from it, ascending.
        2 => pub skills: Option<List<Text<128>, SKILLS_MAX>>,
    }
}

/// An agent's self-description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    json: Vec<u8>,
    name: String,
    skills: BTreeSet<SkillPath>,
    tags: BTreeSet<Tag>,
    attributes: BTreeSet<(Attribute, String)>,
}

/// Why something is not a card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The record is of another kind.
    #[error("expected a card, found {0}")]
    Kind(&'static str),
    /// The body does not decode.
    #[error("card body is malformed: {0}")]
    Body(#[from] DecodeError),
    /// The JSON is too long.
    #[error("card has {found} bytes of JSON, at most {JSON_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// The JSON is not an A2A AgentCard.
    #[error("card is not an A2A AgentCard: {0}")]
    Json(String),
    /// A skill's id is not usable.
    #[error("card has an unusable skill: {0}")]
    Skill(#[from] SkillError),
    /// There are too many skills.
    #[error("card has {0} skills, at most {SKILLS_MAX} are allowed")]
    TooManySkills(usize),
    /// The labels are not those that the JSON gives.
    #[error("card's skill labels do not follow from its JSON")]
    Labels,
    /// The slot has another name.
    #[error("card stands in slot \"{0}\", expected \"\"")]
    Slot(String),
}

impl CardError {
    /// Whether a newer node might accept the record.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Body(error) if error.is_newer())
    }
}

/// What is read of an AgentCard. Everything else passes through untouched.
#[derive(Deserialize)]
struct AgentCard {
    name: String,
    #[serde(default)]
    skills: Vec<AgentSkill>,
}

#[derive(Deserialize)]
struct AgentSkill {
    id: String,
}

impl Card {
    /// Reads an A2A AgentCard: a JSON object with a non-empty `name`, and a list `skills` whose members have an `id`.
    ///
    /// # Errors
    /// When it is too long, not JSON, not such an object, or a skill id gives no path.
    pub fn new(json: Vec<u8>) -> Result<Self, CardError> {
        if json.len() > JSON_BYTES_MAX {
            return Err(CardError::TooLong { found: json.len() });
        }
        if nesting(&json) > NESTING_MAX {
            return Err(CardError::Json(format!("nested deeper than {NESTING_MAX}")));
        }
        let fault = |error: serde_json::Error| CardError::Json(error.to_string());
        // Read twice: as a value, so that every string and number in it is one; and as a card, which sees double names.
        let value: serde_json::Value = serde_json::from_slice(&json).map_err(fault)?;
        let skills = value.get("skills").and_then(serde_json::Value::as_array);
        if !value.is_object() || skills.is_some_and(|skills| !skills.iter().all(serde_json::Value::is_object))
        {
            return Err(CardError::Json("expected a JSON object, its \"skills\" a list of objects".into()));
        }
        let card: AgentCard = serde_json::from_slice(&json).map_err(fault)?;
        if card.name.trim().is_empty() {
            return Err(CardError::Json("\"name\" is empty".into()));
        }
        if card.skills.len() > SKILLS_MAX {
            return Err(CardError::TooManySkills(card.skills.len()));
        }
        let skills =
            card.skills.iter().map(|skill| SkillPath::derive(&skill.id)).collect::<Result<_, _>>()?;
        let (tags, attributes) = (tags(&value), attributes(&value));
        Ok(Self { json, name: card.name, skills, tags, attributes })
    }

    /// Reads a card record; `None` if it retracts the card.
    ///
    /// # Errors
    /// When it is not a card, or its labels are not those of its JSON.
    pub fn from_record(record: &Record) -> Result<Option<Self>, CardError> {
        if record.kind() != Kind::Card {
            return Err(CardError::Kind(record.kind().name()));
        }
        if let althing_record::Placement::Slot { name, .. } = &record.header().placement
            && !name.is_empty()
        {
            return Err(CardError::Slot(name.to_string()));
        }
        let body: CardBody = record.body()?;
        match (body.json, body.skills) {
            (None, None) => Ok(None),
            (Some(json), Some(labels)) => {
                let card = Self::new(json.into_inner())?;
                let same = card.skills.iter().map(SkillPath::as_str).eq(labels.iter().map(|label| &**label));
                if same { Ok(Some(card)) } else { Err(CardError::Labels) }
            }
            (Some(_), None) | (None, Some(_)) => Err(CardError::Labels),
        }
    }

    /// The body of a record that carries this card.
    #[must_use]
    pub fn body(&self) -> CardBody {
        let labels = self.skills.iter().map(|skill| Text::try_from(skill.as_str()).unwrap_or_default());
        CardBody {
            json: Blob::try_from(self.json.clone()).ok(),
            skills: List::try_from(labels.collect::<Vec<_>>()).ok(),
        }
    }

    /// The exact JSON.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The agent's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The skill paths.
    #[must_use]
    pub fn skills(&self) -> &BTreeSet<SkillPath> {
        &self.skills
    }

    /// The tags of its skills: the first [`TAGS_MAX`] that are usable.
    #[must_use]
    pub fn tags(&self) -> &BTreeSet<Tag> {
        &self.tags
    }

    /// What agents can look it up by: every skill with all paths above it, and every tag.
    #[must_use]
    pub fn terms(&self) -> BTreeSet<Term> {
        let skills = self.skills.iter().flat_map(SkillPath::with_ancestors).map(Term::Skill);
        skills.chain(self.tags.iter().cloned().map(Term::Tag)).collect()
    }

    /// The members of the JSON object, by name, that are not the same in another card.
    #[must_use]
    pub fn differences(&self, other: &Self) -> BTreeSet<String> {
        let read = |card: &Self| -> serde_json::Map<String, serde_json::Value> {
            serde_json::from_slice(&card.json).unwrap_or_default()
        };
        let (one, other) = (read(self), read(other));
        let names = one.keys().chain(other.keys());
        names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
    }

    /// What queries ask for.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        Facts { skills: &self.skills, tags: &self.tags, attributes: &self.attributes }
    }
}

/// The tags of a card's skills. No card is refused for its tags, so what is not usable is left out.
fn tags(card: &serde_json::Value) -> BTreeSet<Tag> {
    let mut tags = BTreeSet::new();
    let skills = card.get("skills").and_then(serde_json::Value::as_array);
    for skill in skills.into_iter().flatten() {
        let listed = skill.get("tags").and_then(serde_json::Value::as_array);
        for tag in listed.into_iter().flatten().filter_map(serde_json::Value::as_str) {
            if tags.len() < TAGS_MAX
                && let Ok(tag) = tag.parse()
            {
                tags.insert(tag);
            }
        }
    }
    tags
}

/// How deeply arrays and objects are nested in valid JSON.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_keeps_its_bytes_and_gives_its_skills() {
        let json =
            br#"{ "name":"Babel", "skills":[{"id":"b"},{"id":"A","name":"x"}], "extra":{"kept":1.50} }"#;
        let card = Card::new(json.to_vec()).unwrap();
        assert_eq!(card.json(), json);
        assert_eq!(card.skills().iter().map(SkillPath::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn tags_of_all_skills_count_up_to_a_bound_and_refuse_no_card() {
        let card = |skills: &str| {
            Card::new(format!("{{\"name\":\"x\",\"skills\":[{skills}]}}").into_bytes()).unwrap()
        };
        let odd = card(
            r#"{"id":"a","tags":["Lang:FR",7,""," x "]},{"id":"b","tags":"no"},{"id":"c","tags":["x"]}"#,
        );
        assert_eq!(odd.tags().iter().map(Tag::as_str).collect::<Vec<_>>(), ["lang:fr", "x"]);
        let terms: Vec<_> = odd.terms().iter().map(ToString::to_string).collect();
        assert_eq!(terms, ["skill:a", "skill:b", "skill:c", "tag:lang:fr", "tag:x"]);
        let many: Vec<_> = (100..100 + TAGS_MAX + 5).map(|n| format!("\"t{n}\"")).collect();
        let full = card(&format!(r#"{{"id":"a/b","tags":[{}]}}"#, many.join(",")));
        assert_eq!(full.tags().len(), TAGS_MAX);
        assert!(full.tags().contains(&"t100".parse().unwrap()), "the first ones count");
        assert!(full.terms().contains(&Term::Skill("a".parse().unwrap())), "with every path above a skill");
    }

    #[test]
    fn differences_name_the_members_that_changed() {
        let card = |json: &str| Card::new(json.as_bytes().to_vec()).unwrap();
        let one = card(r#"{"name":"x","version":"1","skills":[{"id":"a"}],"old":{}}"#);
        let other = card(r#"{"version":"2","name":"x","skills":[ {"id":"a"} ],"new":1}"#);
        assert_eq!(one.differences(&other).into_iter().collect::<Vec<_>>(), ["new", "old", "version"]);
        assert!(one.differences(&one).is_empty());
    }

    #[test]
    fn what_is_not_a_card_is_refused_by_name() {
        let error = |json: &str| Card::new(json.as_bytes().to_vec()).unwrap_err().to_string();
        assert!(error("{}").contains("missing field `name`"));
        assert!(error("{\"name\":\" \"}").contains("\"name\" is empty"));
        assert!(error("[1]").contains("expected a JSON object"));
        assert!(error("{\"name\":\"x\",\"name\":\"y\"}").contains("duplicate field `name`"));
        assert!(error("{\"name\":\"x\",\"skills\":[{}]}").contains("missing field `id`"));
        assert!(error("{\"name\":\"x\",\"skills\":[{\"id\":\"/\"}]}").contains("skill is empty"));
        assert!(error(&format!("{{\"name\":\"{}\"}}", "x".repeat(JSON_BYTES_MAX))).contains("at most 15360"));
        assert!(error("[\"x\",[[\"a\"]]]").contains("expected a JSON object"));
        assert!(error("{\"name\":\"x\",\"skills\":[[\"a\"]]}").contains("a list of objects"));
        assert!(error("{\"name\":\"x\",\"n\":1e999999}").contains("number out of range"));
        assert!(Card::new(b"{\"name\":\"x\",\"n\":\"\xff\"}".to_vec()).is_err());
        let deep = format!("{{\"name\":\"x\",\"deep\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(error(&deep).contains("nested deeper than 32"));
        let skills = vec!["{\"id\":\"a\"}"; SKILLS_MAX + 1].join(",");
        assert!(error(&format!("{{\"name\":\"x\",\"skills\":[{skills}]}}")).contains("65 skills"));
    }
}
