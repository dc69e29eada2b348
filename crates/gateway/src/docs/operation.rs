use serde_json::{Map, Value};

use super::Place;
use super::html::Html;
use super::schema;

/// Writes one operation: what it does, what it takes, what it answers, and how to call it.
pub(super) fn write(html: &mut Html, place: &Place<'_>, schemas: &Map<String, Value>) {
    let text = |name: &str| place.operation[name].as_str().unwrap_or_default();
    html.raw("<section id=\"").text(&place.anchor()).raw("\">\n<h3>").link(&place.anchor(), |html| {
        html.element("b", &place.method.to_uppercase()).raw(" ").element("code", place.path);
    });
    let scope = place.operation.pointer("/security/0/bearer/0").and_then(Value::as_str);
    match scope {
        Some(scope) => html.raw(" <span>").text("token: ").text(scope).raw("</span></h3>\n"),
        None => html.raw(" <span>no token</span></h3>\n"),
    };
    html.raw("<p><strong>").inline(text("summary")).raw("</strong></p>\n");
    html.prose(text("description"));
    parameters(html, place);
    let bodies = place.operation.pointer("/requestBody/content").and_then(Value::as_object);
    for (kind, content) in bodies.into_iter().flatten() {
        html.raw("<h4>body</h4>\n<p>").element("code", kind).raw(" ");
        schema::write_type(html, &content["schema"]);
        html.raw("</p>\n");
    }
    html.raw("<h4>example</h4>\n").code(&call(place, schemas));
    responses(html, place, schemas);
    html.raw("</section>\n");
}

fn list<'a>(place: &Place<'a>) -> &'a [Value] {
    place.operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn parameters(html: &mut Html, place: &Place<'_>) {
    if list(place).is_empty() {
        return;
    }
    html.raw("<h4>parameters</h4>\n<table>\n<tr><th>name</th><th>in</th><th>type</th><th></th></tr>\n");
    for parameter in list(place) {
        let text = |name: &str| parameter[name].as_str().unwrap_or_default();
        html.raw("<tr><td>").element("code", text("name"));
        if parameter["required"] == true {
            html.raw(" <em>required</em>");
        }
        html.raw("</td><td>").text(text("in")).raw("</td><td>");
        schema::write_type(html, &parameter["schema"]);
        html.raw("</td><td>").inline(text("description"));
        html.raw("</td></tr>\n");
    }
    html.raw("</table>\n");
}

fn responses(html: &mut Html, place: &Place<'_>, schemas: &Map<String, Value>) {
    html.raw("<h4>answers</h4>\n<table>\n<tr><th>status</th><th>type</th><th></th></tr>\n");
    let answers = place.operation["responses"].as_object();
    for (status, answer) in answers.into_iter().flatten() {
        html.raw("<tr><td>").text(status).raw("</td><td>");
        for (kind, content) in answer["content"].as_object().into_iter().flatten() {
            html.element("code", kind).raw(" ");
            schema::write_type(html, &content["schema"]);
        }
        html.raw("</td><td>").inline(answer["description"].as_str().unwrap_or_default());
        html.raw("</td></tr>\n");
    }
    html.raw("</table>\n");
    let good = answers.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
    let content = good.and_then(|(_, answer)| answer["content"].as_object());
    for (kind, content) in content.into_iter().flatten() {
        let example = schema::example(&content["schema"], schemas);
        if kind == "application/json" && !example.is_null() {
            html.raw("<details><summary>an answer</summary>\n");
            html.code(&serde_json::to_string_pretty(&example).unwrap_or_default()).raw("</details>\n");
        } else if kind == "text/event-stream" {
            let line = serde_json::to_string(&example).unwrap_or_default();
            let id = example["id"].as_str().unwrap_or_default();
            html.raw("<details><summary>an answer</summary>\n");
            html.code(&format!("id: {id}\ndata: {line}\n")).raw("</details>\n");
        }
    }
}

/// A command that calls the operation.
fn call(place: &Place<'_>, schemas: &Map<String, Value>) -> String {
    let mut words = vec!["api".to_owned()];
    let answers = place.operation["responses"].to_string();
    if answers.contains("text/event-stream") {
        words.push("-N".to_owned());
    } else if answers.contains("application/cbor") {
        words.push("-o FILE".to_owned());
    }
    let body = place.operation.pointer("/requestBody/content").and_then(Value::as_object);
    for (kind, content) in body.into_iter().flatten() {
        let example = schema::request_example(&content["schema"], schemas);
        // What has no fixed fields comes from a file.
        let body = match example.as_object().is_some_and(|fields| !fields.is_empty()) {
            true => format!("-d '{}'", example.to_string().replace('\'', r"'\''")),
            false => "--data-binary @FILE".to_owned(),
        };
        words.push(format!("-H 'Content-Type: {kind}' {body}"));
    }
    if body.is_none() && place.method != "get" {
        words.push(format!("-X {}", place.method.to_uppercase()));
    }
    let mut target = place.path.to_owned();
    for parameter in list(place).iter().filter(|parameter| is_shown(parameter)) {
        let name = parameter["name"].as_str().unwrap_or_default();
        let example = schema::example(&parameter["schema"], schemas);
        let given = [&parameter["example"], &example].into_iter().filter_map(Value::as_str);
        let value = given.filter(|text| *text != "…").map(str::to_owned).next();
        let value = value.unwrap_or_else(|| name.to_uppercase());
        if parameter["in"] == "path" {
            target = target.replace(&format!("{{{name}}}"), &value);
        } else if parameter["in"] == "query" {
            target.push_str(&format!("{}{name}={value}", if target.contains('?') { '&' } else { '?' }));
        }
    }
    words.push(format!("'http://localhost{target}'"));
    words.join(" ")
}

/// Whether a call needs it, or is hardly made without it.
fn is_shown(parameter: &Value) -> bool {
    parameter["required"] == true || !parameter["example"].is_null()
}
