use serde_json::{Map, Value, json};

use super::html::{Html, anchor};

/// Where references to schemas begin.
const COMPONENT: &str = "#/components/schemas/";
/// How deep examples go.
const DEPTH_MAX: usize = 10;

/// The name of a schema's place on the page.
pub(super) fn anchor_of(name: &str) -> String {
    format!("schema-{}", anchor(name))
}

/// Writes a schema: its fields, or the forms or values that it can have, and an example.
pub(super) fn write(html: &mut Html, name: &str, schema: &Value, schemas: &Map<String, Value>) {
    html.raw("<section id=\"").text(&anchor_of(name)).raw("\">\n<h3>").link(&anchor_of(name), |html| {
        html.element("code", name);
    });
    html.raw("</h3>\n").prose(schema["description"].as_str().unwrap_or_default());
    fields(html, schema);
    for form in forms(schema) {
        if let Some(title) = form["title"].as_str() {
            html.element("h4", title).raw("\n");
        }
        html.prose(form["description"].as_str().unwrap_or_default());
        if form["properties"].is_object() {
            fields(html, form);
        } else {
            html.raw("<p>");
            write_type(html, form);
            html.raw("</p>\n");
        }
    }
    if schema["enum"].is_array() {
        html.raw("<p>");
        write_type(html, schema);
        html.raw("</p>\n");
    }
    let example = example(schema, schemas);
    if example.is_object() && forms(schema).is_empty() {
        html.raw("<details><summary>example</summary>\n");
        html.code(&serde_json::to_string_pretty(&example).unwrap_or_default()).raw("</details>\n");
    }
    html.raw("</section>\n");
}

/// The parts of a schema that is one of several, or all of several.
fn forms(schema: &Value) -> &[Value] {
    let found = ["oneOf", "anyOf", "allOf"].iter().find_map(|word| schema[*word].as_array());
    found.map(Vec::as_slice).unwrap_or_default()
}

fn fields(html: &mut Html, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    html.raw("<table>\n<tr><th>field</th><th>type</th><th></th></tr>\n");
    for (name, field) in properties {
        html.raw("<tr><td>").element("code", name);
        if !required.iter().any(|required| required == name) {
            html.raw(" <em>optional</em>");
        }
        html.raw("</td><td>");
        write_type(html, field);
        html.raw("</td><td>").inline(field["description"].as_str().unwrap_or_default()).raw("</td></tr>\n");
    }
    html.raw("</table>\n");
}

/// Writes what a value is, in a few words; schemas with a name of their own as links.
pub(super) fn write_type(html: &mut Html, schema: &Value) {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix(COMPONENT)) {
        html.link(&anchor_of(name), |html| {
            html.text(name);
        });
    } else if let Some(values) = schema["enum"].as_array() {
        for (index, value) in values.iter().enumerate() {
            html.raw(if index == 0 { "" } else { ", " });
            html.element("code", &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    } else if !forms(schema).is_empty() {
        for (index, form) in forms(schema).iter().enumerate() {
            html.raw(if index == 0 { "" } else { " or " });
            write_type(html, form);
        }
    } else if is(schema, "array") && schema["items"].is_object() {
        html.raw("list of ");
        write_type(html, &schema["items"]);
    } else {
        html.text(&kinds(schema).join(" or "));
    }
}

/// The names of the JSON types that a schema allows.
fn kinds(schema: &Value) -> Vec<&str> {
    let kind = &schema["type"];
    match kind.as_array() {
        Some(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        None => kind.as_str().into_iter().collect(),
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    kinds(schema).contains(&kind)
}

/// A value of the schema, with the document's own examples where it has some; null where there is nothing to say.
pub(super) fn example(schema: &Value, schemas: &Map<String, Value>) -> Value {
    made(schema, schemas, DEPTH_MAX)
}

/// The same with the fields that a request needs, or that the document has an example for.
pub(super) fn request_example(schema: &Value, schemas: &Map<String, Value>) -> Value {
    let name = schema["$ref"].as_str().and_then(|target| target.strip_prefix(COMPONENT));
    let schema = name.and_then(|name| schemas.get(name)).unwrap_or(schema);
    let mut example = example(schema, schemas);
    if let Some(fields) = example.as_object_mut() {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let given = |name: &String| !schema["properties"][name]["example"].is_null();
        fields.retain(|name, _| given(name) || required.iter().any(|required| required == name));
    }
    example
}

fn made(schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let given = [&schema["example"], &schema["examples"][0], &schema["default"], &schema["enum"][0]];
    if let Some(given) = given.into_iter().find(|given| !given.is_null()) {
        return given.clone();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix(COMPONENT)) {
        return schemas.get(name).map_or(Value::Null, |schema| made(schema, schemas, depth - 1));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(part) = made(part, schemas, depth - 1) {
                whole.extend(part);
            }
        }
        return Value::Object(whole);
    }
    if let Some(form) = forms(schema).iter().find(|form| form["type"] != "null") {
        return made(form, schemas, depth - 1);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties.iter().map(|(name, field)| (name.clone(), made(field, schemas, depth - 1)));
        return Value::Object(fields.collect());
    }
    match kinds(schema).first() {
        Some(&"array") => json!([made(&schema["items"], schemas, depth - 1)]),
        Some(&"string") => json!("…"),
        Some(&"integer" | &"number") => json!(0),
        Some(&"boolean") => json!(true),
        Some(_) | None => Value::Null,
    }
}
