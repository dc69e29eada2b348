use std::fmt;

use serde_json::{Map, Value};

use crate::portable::is_default;
use crate::schema::{AGENT_CARD, Message, Presence, Shape};

/// How a signer took the rules of the A2A specification, section 8.4.1, on members at their defaults. Of a portable card
/// all give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// Everything stays as it is written.
    AsWritten,
    /// What is at its default goes, unless it is required or `optional` in the sense of Protocol Buffers.
    ByPresence,
    /// What is empty goes, and so does every `false` that Protocol Buffers cannot tell from nothing.
    WithoutEmpty,
}

impl Reading {
    /// All, the plainest first.
    pub const ALL: [Self; 3] = [Self::AsWritten, Self::ByPresence, Self::WithoutEmpty];

    /// The bytes that are signed: RFC 8785 of the card without its signatures. None if the card is no object.
    ///
    /// No reading drops a member that says something, so whatever a signature is checked against is all of the card.
    #[must_use]
    pub fn canonical(self, card: &Value) -> Option<Vec<u8>> {
        let mut members = card.as_object()?.clone();
        members.remove("signatures");
        let members = match self {
            Self::AsWritten => members,
            Self::ByPresence => by_presence(&members, Some(&AGENT_CARD)),
            Self::WithoutEmpty => without_empty(&members, Some(&AGENT_CARD)),
        };
        serde_json_canonicalizer::to_vec(&Value::Object(members)).ok()
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsWritten => "as written",
            Self::ByPresence => "without what is at its default and not required",
            Self::WithoutEmpty => "without what is empty",
        })
    }
}

/// The message that the values of a member are, if they are any.
fn message_in(shape: &Shape) -> Option<&'static Message> {
    match shape {
        Shape::One(of) | Shape::Many(of) | Shape::Map(of) => Some(of),
        Shape::Text | Shape::Flag | Shape::Texts | Shape::TextMap | Shape::Open | Shape::Any => None,
    }
}

fn by_presence(members: &Map<String, Value>, of: Option<&Message>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in members {
        let known = of.and_then(|of| of.members.iter().find(|known| known.name == name));
        let Some(known) = known else {
            kept.insert(name.clone(), value.clone());
            continue;
        };
        let value = match (value, message_in(&known.shape)) {
            (Value::Object(members), Some(of)) if matches!(known.shape, Shape::Map(_)) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), inside(value, of))).collect())
            }
            (Value::Object(members), Some(of)) => Value::Object(by_presence(members, Some(of))),
            (Value::Array(values), Some(of)) => {
                Value::Array(values.iter().map(|value| inside(value, of)).collect())
            }
            (other, _) => other.clone(),
        };
        if known.presence != Presence::Implicit || !is_default(&value) {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

fn inside(value: &Value, of: &Message) -> Value {
    value.as_object().map_or_else(|| value.clone(), |members| Value::Object(by_presence(members, Some(of))))
}

fn without_empty(members: &Map<String, Value>, of: Option<&Message>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in members {
        let known = of.and_then(|of| of.members.iter().find(|known| known.name == name));
        let invisible =
            known.is_some_and(|known| known.presence == Presence::Implicit) && *value == Value::Bool(false);
        let value = without(value, known.map(|known| &known.shape));
        if let Some(value) = value.filter(|_| !invisible) {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

/// What is left of a value; none if nothing is.
fn without(value: &Value, shape: Option<&Shape>) -> Option<Value> {
    let of = shape.and_then(message_in);
    let inner = |value: &Value| match value.as_object() {
        Some(members) => Some(Value::Object(without_empty(members, of))).filter(|value| !is_empty(value)),
        None => without(value, None),
    };
    let left = if let Some(values) = value.as_array() {
        Value::Array(values.iter().filter_map(inner).collect())
    } else if let Some(members) = value.as_object() {
        if matches!(shape, Some(Shape::Map(_))) {
            let left = members.iter().filter_map(|(name, value)| Some((name.clone(), inner(value)?)));
            Value::Object(left.collect())
        } else {
            Value::Object(without_empty(members, of))
        }
    } else {
        value.clone()
    };
    Some(left).filter(|value| !is_empty(value))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(_) | Value::Array(_) | Value::Object(_) => is_default(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(reading: Reading, card: &Value) -> String {
        String::from_utf8(reading.canonical(card).unwrap()).unwrap()
    }

    /// The fragment of the specification's section 8.4.1.
    #[test]
    fn the_example_of_the_specification_comes_out_by_presence() {
        let card = json!({
            "name": "Example Agent",
            "description": "",
            "capabilities": {"streaming": false, "pushNotifications": false, "extensions": []},
            "skills": []
        });
        let expected = r#"{"capabilities":{"pushNotifications":false,"streaming":false},"description":"","name":"Example Agent","skills":[]}"#;
        assert_eq!(canonical(Reading::ByPresence, &card), expected);
        let kept = r#"{"capabilities":{"extensions":[],"pushNotifications":false,"streaming":false},"description":"","name":"Example Agent","skills":[]}"#;
        assert_eq!(canonical(Reading::AsWritten, &card), kept);
        let dropped =
            r#"{"capabilities":{"pushNotifications":false,"streaming":false},"name":"Example Agent"}"#;
        assert_eq!(canonical(Reading::WithoutEmpty, &card), dropped);
    }

    #[test]
    fn readings_go_into_messages_lists_and_maps() {
        let card = json!({
            "capabilities": {"extensions": [{"uri": "u", "required": false, "params": {"a": false, "b": [], "c": ""}}, {}]},
            "securityRequirements": [{"schemes": {"key": {"list": []}}}],
            "skills": [{"id": "a", "tags": ["", "x"], "examples": []}],
            "signatures": [{"protected": "x"}],
            "mystery": {"kept": true, "gone": null}
        });
        let by_presence = r#"{"capabilities":{"extensions":[{"params":{"a":false,"b":[],"c":""},"uri":"u"},{}]},"mystery":{"gone":null,"kept":true},"securityRequirements":[{"schemes":{"key":{}}}],"skills":[{"id":"a","tags":["","x"]}]}"#;
        assert_eq!(canonical(Reading::ByPresence, &card), by_presence);
        let without_empty = r#"{"capabilities":{"extensions":[{"params":{"a":false},"uri":"u"}]},"mystery":{"kept":true},"skills":[{"id":"a","tags":["x"]}]}"#;
        assert_eq!(canonical(Reading::WithoutEmpty, &card), without_empty);
    }

    // RFC 8785, section 3.2: numbers, strings and the order of names, all in one.
    #[test]
    fn canonical_bytes_are_those_of_the_rfc() {
        let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false],
            "\ufb33":1,"\ud83d\ude00":2,"\r":3,"\u0080":4}"#;
        let expected = "{\"\\r\":3,\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",\"\u{80}\":4,\"😀\":2,\"\u{fb33}\":1}";
        let card: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical(Reading::AsWritten, &card), expected);
    }

    #[test]
    fn no_reading_drops_what_says_something() {
        let card = json!({"unknown": "x", "capabilities": {"unknown": true}, "skills": [{"unknown": 1}]});
        for reading in Reading::ALL {
            assert_eq!(canonical(reading, &card), canonical(Reading::AsWritten, &card));
        }
        assert_eq!(Reading::AsWritten.canonical(&json!([])), None);
    }
}
