//! JSON objects whose keys are data. A ballot is final, so which of two entries with one key was meant is not guessed.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Reads a map in which every key stands once; a second one is named.
pub(super) fn map<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Display,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Once(PhantomData))
}

struct Once<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord + Display, V: Deserialize<'de>> Visitor<'de> for Once<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in which no key stands twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<K>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("\"{key}\" is given twice")));
            }
            let value = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, AnswersRequest, BallotRequest};

    #[test]
    fn a_score_that_is_given_twice_is_named() {
        let ballot: BallotRequest = serde_json::from_str(r#"{"score":{"Oslo":5,"Turku":2}}"#).unwrap();
        assert_eq!(ballot.score.len(), 2);
        for twice in [r#"{"score":{"Oslo":5,"Turku":2,"Oslo":5}}"#, r#"{"score":{"Oslo":5,"\u004fslo":1}}"#] {
            let error = serde_json::from_str::<BallotRequest>(twice).unwrap_err().to_string();
            assert!(error.starts_with("\"Oslo\" is given twice"), "{error}");
        }
    }

    #[test]
    fn a_question_that_is_answered_twice_is_named_and_so_is_a_score_in_an_answer() {
        let read = serde_json::from_str::<AnswersRequest>;
        let answers = read(r#"{"answers":{"1":"yes","3":{"score":{"Oslo":5}}},"others":"no"}"#).unwrap();
        assert_eq!(answers.others, Some(Answer::Option("no".into())));
        assert!(matches!(&answers.answers[&3], Answer::Ballot(ballot) if ballot.score["Oslo"] == 5));
        let error = read(r#"{"answers":{"3":"yes","1":"no","3":"yes"}}"#).unwrap_err().to_string();
        assert!(error.starts_with("\"3\" is given twice"), "{error}");
        let error = read(r#"{"answers":{"3":{"score":{"Oslo":5,"Oslo":4}}}}"#).unwrap_err().to_string();
        assert!(error.starts_with("\"Oslo\" is given twice"), "{error}");
        let error = read(r#"{"answers":{"3":{"scores":{}}}}"#).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `scores`"), "{error}");
        let error = read(r#"{"answers":{"3":7}}"#).unwrap_err().to_string();
        assert!(error.contains("expected an option's text, or an object"), "{error}");
    }
}
