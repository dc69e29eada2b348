use serde_json::{Value, json};

use super::args;
use super::failure::Failure;
use super::page::{Page, Text};
use crate::settings::{Key, Origin, Settings, Sources};

/// Prints the settings as a file that makes them.
pub(crate) fn config(command: &args::Config, sources: &Sources) -> Result<Page, Failure> {
    let args::Config::Show { origin: with_origin, .. } = command;
    let settings = Settings::read(sources)?;
    let mut text = Text::default();
    let mut table = None;
    let mut listed = Vec::new();
    for (key, texts, origin) in settings.listing() {
        let (above, name) = key.name().rsplit_once('.').map_or((None, key.name()), |(a, b)| (Some(a), b));
        if above != table {
            text.line("").line(&format!("[{}]", above.unwrap_or_default()));
            table = above;
        }
        // What is not set and has no default is shown as a comment, so that the whole is still a file.
        let silent = if texts.is_empty() && !key.is_list() { "# " } else { "" };
        let line = format!("{silent}{name} = {}", literal(key, &texts));
        let place = if *with_origin { format!("  # {origin}") } else { String::new() };
        text.line(&format!("{line}{place}"));
        listed.push(json!({
            "key": key.name(),
            "value": value(key, &texts),
            "origin": origin_json(&origin),
        }));
    }
    Page::new(&json!({"schema": "althing.config/v1", "settings": listed}), text)
}

fn value(key: Key, texts: &[String]) -> Value {
    if key.is_list() {
        return json!(texts);
    }
    match texts.first() {
        Some(text) if key.is_switch() => text.parse().map_or(Value::Null, Value::Bool),
        Some(text) if key.is_number() => text.parse::<u64>().map_or(Value::Null, Value::from),
        Some(text) => json!(text),
        None => Value::Null,
    }
}

/// A value as TOML. A JSON string is a TOML basic string: both escape by the same rules what a path or filter can hold.
fn literal(key: Key, texts: &[String]) -> String {
    let value = value(key, texts);
    if value.is_null() { "\"\"".to_owned() } else { value.to_string() }
}

fn origin_json(origin: &Origin) -> Value {
    match origin {
        Origin::Flag => json!({"from": "flag"}),
        Origin::Variable(name) => json!({"from": "variable", "name": name}),
        Origin::File { path, line } => json!({"from": "file", "path": path, "line": line}),
        Origin::Default => json!({"from": "default"}),
    }
}
