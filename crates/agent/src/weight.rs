use a2a::{Message, Part, PartContent};
use serde_json::Value;

/// What one value of JSON takes in memory beside its text, in bytes; a member's key is counted as another.
const NODE: usize = 96;

/// About what a message takes in memory, in bytes.
pub(crate) fn message(message: &Message) -> usize {
    let parts = message.parts.iter().map(part);
    let said = message.metadata.iter().flatten().map(|(key, value)| NODE + key.len() + json(value));
    let texts = message.extensions.iter().chain(&message.reference_task_ids).flatten();
    let ids = message.message_id.len() + message.context_id.as_ref().map_or(0, String::len);
    let texts = texts.map(|text| NODE + text.len()).sum::<usize>();
    2 * NODE + ids + texts + parts.sum::<usize>() + said.sum::<usize>()
}

/// The same of a part.
pub(crate) fn part(part: &Part) -> usize {
    let content = match &part.content {
        PartContent::Text(text) | PartContent::Url(text) => text.len(),
        PartContent::Raw(bytes) => bytes.len(),
        PartContent::Data(value) => json(value),
    };
    let named = [&part.filename, &part.media_type].into_iter().flatten().map(String::len).sum::<usize>();
    let said = part.metadata.iter().flatten().map(|(key, value)| NODE + key.len() + json(value));
    2 * NODE + content + named + said.sum::<usize>()
}

fn json(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => NODE,
        Value::String(text) => NODE + text.len(),
        Value::Array(all) => NODE + all.iter().map(json).sum::<usize>(),
        Value::Object(all) => {
            NODE + all.iter().map(|(key, value)| NODE + key.len() + json(value)).sum::<usize>()
        }
    }
}
