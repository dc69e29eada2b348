use serde_json::{Map, Value};

use crate::fault::Found;
use crate::json::{kind, member};
use crate::schema::{AGENT_CARD, Message, Presence, Shape};
use crate::{Faults, Problem};

/// The largest integer that every JSON reader keeps exact.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Checks that a card has the same canonical bytes for every reader of the A2A specification, sections 5.7 and 8.4.1,
/// whether it drops members at their defaults or keeps them, and whether it reads the card as JSON or as a message.
///
/// So: every required member is there, nothing anywhere is `null`, `false`, `0` or empty, there is no member that A2A 1.0
/// does not have, and no number that readers may round. `signatures` are not looked at.
///
/// # Errors
/// With every member that is in the way.
pub fn check_portable(card: &Value) -> Result<(), Faults> {
    let mut found = Found::default();
    check_message(card, &AGENT_CARD, "", &mut found);
    found.or(())
}

/// Whether a value says nothing: what it would be if it were not there.
pub(crate) fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}

/// Whether nothing at any depth is at its default or rounded.
pub(crate) fn is_plain(value: &Value) -> bool {
    let mut found = Found::default();
    check_value(value, &Shape::Any, "", &mut found);
    found.check().is_ok()
}

fn check_message(value: &Value, of: &Message, path: &str, found: &mut Found) {
    let Some(members) = value.as_object() else {
        return found.add(path, Problem::Type { expected: "an object", found: kind(value) });
    };
    for known in of.members.iter().filter(|known| known.presence == Presence::Required) {
        if !members.contains_key(known.name) {
            found.add(member(path, known.name), Problem::Missing);
        }
    }
    if of.one_of && members.len() > 1 {
        found.add(path, Problem::Alternatives);
    }
    for (name, value) in members {
        if path.is_empty() && name == "signatures" {
            continue;
        }
        let path = member(path, name);
        match of.members.iter().find(|known| known.name == name) {
            Some(known) => check_value(value, &known.shape, &path, found),
            None => found.add(path, Problem::Unknown),
        }
    }
}

fn check_value(value: &Value, shape: &Shape, path: &str, found: &mut Found) {
    if is_default(value) {
        return found.add(path, Problem::Default);
    }
    let wrong = |expected| Problem::Type { expected, found: kind(value) };
    match (shape, value) {
        (Shape::Text, Value::String(_))
        | (Shape::Flag, Value::Bool(_))
        | (Shape::Any, Value::String(_) | Value::Bool(_) | Value::Null) => {}
        (Shape::Any, Value::Number(number)) => {
            let exact =
                number.as_f64().is_some_and(|number| number.fract() != 0.0 || number.abs() <= INTEGER_MAX);
            if !exact {
                found.add(path, Problem::Number);
            }
        }
        (Shape::Texts, Value::Array(values)) => each(values, path, |value, path| {
            check_value(value, &Shape::Text, path, found);
        }),
        (Shape::Any, Value::Array(values)) => each(values, path, |value, path| {
            check_value(value, &Shape::Any, path, found);
        }),
        (Shape::Many(of), Value::Array(values)) => each(values, path, |value, path| {
            check_value(value, &Shape::One(of), path, found);
        }),
        (Shape::One(of), Value::Object(_)) => check_message(value, of, path, found),
        (Shape::TextMap, Value::Object(values)) => each_of(values, path, |value, path| {
            check_value(value, &Shape::Text, path, found);
        }),
        (Shape::Map(of), Value::Object(values)) => each_of(values, path, |value, path| {
            check_value(value, &Shape::One(of), path, found);
        }),
        (Shape::Open | Shape::Any, Value::Object(values)) => each_of(values, path, |value, path| {
            check_value(value, &Shape::Any, path, found);
        }),
        (Shape::Text, _) => found.add(path, wrong("a string")),
        (Shape::Flag, _) => found.add(path, wrong("a boolean")),
        (Shape::Texts | Shape::Many(_), _) => found.add(path, wrong("a list")),
        (Shape::One(_) | Shape::TextMap | Shape::Map(_) | Shape::Open, _) => {
            found.add(path, wrong("an object"))
        }
    }
}

fn each(values: &[Value], path: &str, mut check: impl FnMut(&Value, &str)) {
    for (index, value) in values.iter().enumerate() {
        check(value, &format!("{path}[{index}]"));
    }
}

fn each_of(values: &Map<String, Value>, path: &str, mut check: impl FnMut(&Value, &str)) {
    for (name, value) in values {
        check(value, &member(path, name));
    }
}
