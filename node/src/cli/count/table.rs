use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::settings::nearest;

/// What is wrong with a rules file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {cause}", path.display())]
pub(crate) struct RulesError {
    path: PathBuf,
    line: usize,
    cause: String,
    pub(crate) hint: Option<String>,
}

/// The values of a rules file by dotted key; all of them are known keys.
pub(crate) struct Table {
    path: PathBuf,
    values: BTreeMap<String, (usize, Value)>,
}

enum Value {
    Text(String),
    List(Vec<String>),
    Number(u64),
    Switch(bool),
    /// Of no shape that a key has.
    Other(&'static str),
}

impl Table {
    pub(crate) fn parse(path: &Path, text: &str, known: &[&str]) -> Result<Self, RulesError> {
        let line = |span: Range<usize>| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1;
        let root = DeTable::parse(text).map_err(|error| RulesError {
            path: path.to_owned(),
            line: line(error.span().unwrap_or(0..0)),
            cause: error.message().trim().to_owned(),
            hint: None,
        })?;
        let mut found = Vec::new();
        flatten(root.get_ref(), "", &line, &mut found);
        let mut values = BTreeMap::new();
        for (key, line, value) in found {
            if !known.contains(&key.as_str()) {
                let like = nearest(&key, known.iter().map(|known| (*known, (*known).to_owned())));
                let hint = like.map_or_else(
                    || "docs/spec/counting.md lists the keys".to_owned(),
                    |like| format!("did you mean {like}?"),
                );
                let cause = format!("unknown key \"{key}\"");
                return Err(RulesError { path: path.to_owned(), line, cause, hint: Some(hint) });
            }
            values.insert(key, (line, value));
        }
        Ok(Self { path: path.to_owned(), values })
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(crate) fn wrong(&self, key: &str, cause: &str) -> RulesError {
        let line = self.values.get(key).map_or(1, |(line, _)| *line);
        RulesError { path: self.path.clone(), line, cause: format!("{key}: {cause}"), hint: None }
    }

    pub(crate) fn missing(&self, key: &str, example: &str) -> RulesError {
        let cause = format!("the key {key} is missing");
        RulesError { path: self.path.clone(), line: 1, cause, hint: Some(format!("add {example}")) }
    }

    pub(crate) fn is_text(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some((_, Value::Text(_))))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, RulesError> {
        self.of(key, "a string", |value| match value {
            Value::Text(text) => Some(text.clone()),
            Value::List(_) | Value::Number(_) | Value::Switch(_) | Value::Other(_) => None,
        })
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<Vec<String>>, RulesError> {
        self.of(key, "an array of strings", |value| match value {
            Value::List(items) => Some(items.clone()),
            Value::Text(_) | Value::Number(_) | Value::Switch(_) | Value::Other(_) => None,
        })
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, RulesError> {
        self.of(key, "a whole number", |value| match value {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::List(_) | Value::Switch(_) | Value::Other(_) => None,
        })
    }

    pub(crate) fn switch(&self, key: &str) -> Result<Option<bool>, RulesError> {
        self.of(key, "true or false", |value| match value {
            Value::Switch(on) => Some(*on),
            Value::Text(_) | Value::List(_) | Value::Number(_) | Value::Other(_) => None,
        })
    }

    /// A number from 1 to 250.
    pub(crate) fn positive(&self, key: &str) -> Result<Option<usize>, RulesError> {
        match self.number(key)? {
            None => Ok(None),
            Some(number @ 1..=250) => Ok(usize::try_from(number).ok()),
            Some(number) => Err(self.wrong(key, &format!("expected 1 to 250, found {number}"))),
        }
    }

    /// A fraction such as `"2/3"`.
    pub(crate) fn fraction(&self, key: &str) -> Result<Option<(u32, NonZeroU32)>, RulesError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let parts = text.split_once('/').and_then(|(num, den)| Some((num.parse().ok()?, den.parse().ok()?)));
        parts
            .map(Some)
            .ok_or_else(|| self.wrong(key, &format!("expected a fraction such as \"2/3\", found \"{text}\"")))
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, RulesError> {
        self.text(key)?.map(|text| self.meaning(key, &text, words)).transpose()
    }

    /// A list of these words.
    pub(crate) fn words<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<Vec<T>>, RulesError> {
        let Some(texts) = self.list(key)? else { return Ok(None) };
        texts.iter().map(|text| self.meaning(key, text, words)).collect::<Result<_, _>>().map(Some)
    }

    fn meaning<T: Copy>(&self, key: &str, text: &str, words: &[(&str, T)]) -> Result<T, RulesError> {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let like = nearest(text, all.iter().map(|word| (*word, (*word).to_owned())));
        let mut error = self.wrong(key, &format!("expected one of {}, found \"{text}\"", all.join(", ")));
        error.hint = like.map(|like| format!("did you mean \"{like}\"?"));
        Err(error)
    }

    fn of<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, RulesError> {
        let Some((_, value)) = self.values.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| {
            let found = match value {
                Value::Text(_) => "a string",
                Value::List(_) => "an array of strings",
                Value::Number(_) => "a whole number",
                Value::Switch(_) => "true or false",
                Value::Other(shape) => shape,
            };
            self.wrong(key, &format!("expected {expected}, found {found}"))
        })
    }
}

fn flatten(
    table: &DeTable<'_>,
    prefix: &str,
    line: &impl Fn(Range<usize>) -> usize,
    found: &mut Vec<(String, usize, Value)>,
) {
    for (word, value) in table {
        let key = format!("{prefix}{}", word.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(inner, &format!("{key}."), line, found);
        } else {
            found.push((key, line(word.span()), read(value.get_ref())));
        }
    }
}

fn read(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(on) => Value::Switch(*on),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number out of range"), Value::Number),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map_or(Value::Other("an array of other things"), Value::List),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Value::Other(value.type_str()),
    }
}
