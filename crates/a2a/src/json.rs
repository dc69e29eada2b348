use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{Faults, Problem};

/// Deepest nesting of arrays and objects.
const DEPTH_MAX: usize = 32;

/// Reads JSON that every reader reads alike: no name twice in one object, at most 32 levels, at most `max` bytes.
pub(crate) fn read(bytes: &[u8], max: usize) -> Result<Value, Faults> {
    if bytes.len() > max {
        return Err(Faults::one("", Problem::TooLong { found: bytes.len(), max }));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| Faults::one("", Problem::NotJson(error.to_string())))
}

/// What a value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The path of a member of `path`.
pub(crate) fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A member that is a text and not empty.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A member that is a list; empty if it is none.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(deeper)?;
            if values.contains_key(&name) {
                return Err(A::Error::custom(format!("name \"{name}\" occurs twice")));
            }
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_readers_could_read_differently_is_refused() {
        let error = |text: &[u8]| read(text, 1_000).unwrap_err().to_string();
        assert!(error(b"{\"a\":{\"b\":1,\"b\":2}}").contains("name \"b\" occurs twice at line 1"));
        assert!(error(b"{\"a\":1,\"\\u0061\":2}").contains("occurs twice"));
        assert!(error(b"{} {}").contains("trailing characters"));
        assert!(error(b"\xef\xbb\xbf{}").contains("is not JSON"));
        assert!(error(b"\"\xff\"").contains("is not JSON"));
        assert!(error(b"\"\\ud800\"").contains("is not JSON"));
        assert!(error(b"1e999").contains("number out of range"));
        assert!(error(&[b'['; 500]).contains("nested deeper than 32"));
        assert!(error(&[b' '; 1_001]).contains("has 1001 bytes"));
        let deep = [[b'['; DEPTH_MAX], [b']'; DEPTH_MAX]].concat();
        assert!(read(&deep, 1_000).is_ok());
    }

    #[test]
    fn values_are_read_as_they_are() {
        let text = br#"{"b":[null,true,-1,18446744073709551615,0.5,"x\u00e9"],"a":{}}"#;
        let value: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(read(text, 1_000), Ok(value.clone()));
        assert_eq!(serde_json::to_string(&value).unwrap().find("\"b\""), Some(1), "in their order");
    }
}
