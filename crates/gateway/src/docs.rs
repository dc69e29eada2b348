//! The page of `GET /docs`: the OpenAPI document for people. It is written from the document that the same process
//! serves, needs nothing from anywhere else, and runs no script.

mod html;
mod operation;
mod schema;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::html::{Html, anchor};

/// The page's only style sheet, in the page.
const STYLE: &str = include_str!("docs/style.css");

/// What makes the examples short, and keeps the token out of the list of processes.
const HELPER: &str = r#"H=${ALTHING_HOME:-$HOME/.local/share/althing}
api() { curl -sS --unix-socket "$H/api.sock" -K <(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$H/api.token")") "$@"; }"#;

/// The page, and what the browser is told to allow it.
#[derive(Debug)]
pub(crate) struct DocsPage {
    pub(crate) html: String,
    pub(crate) policy: String,
}

impl DocsPage {
    /// The page for an OpenAPI document.
    pub(crate) fn new(document: &Value) -> Self {
        let hash = base64(&Sha256::digest(STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { html: page(document), policy }
    }
}

/// An operation and where it stands in the document.
struct Place<'a> {
    method: &'a str,
    path: &'a str,
    operation: &'a Value,
}

impl Place<'_> {
    fn anchor(&self) -> String {
        anchor(&format!("{} {}", self.method, self.path))
    }
}

fn page(document: &Value) -> String {
    let empty = Map::new();
    let object = |pointer: &str| document.pointer(pointer).and_then(Value::as_object).unwrap_or(&empty);
    let mut places = Vec::new();
    for (path, item) in object("/paths") {
        for (method, operation) in item.as_object().unwrap_or(&empty) {
            places.push(Place { method, path, operation });
        }
    }
    let mut tags: Vec<&str> = Vec::new();
    for tag in places.iter().map(tag) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let schemas = object("/components/schemas");
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let title = text("/info/title");

    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    html.element("title", title).raw("\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n<nav>\n");
    for tag in &tags {
        html.element("h2", tag).raw("\n<ul>\n");
        for place in places.iter().filter(|place| self::tag(place) == *tag) {
            html.raw("<li>").link(&place.anchor(), |html| {
                html.element("b", &place.method.to_uppercase()).raw(" ").text(place.path);
            });
            html.raw("</li>\n");
        }
        html.raw("</ul>\n");
    }
    html.element("h2", "schemas").raw("\n<ul>\n");
    for name in schemas.keys() {
        html.raw("<li>").link(&schema::anchor_of(name), |html| {
            html.text(name);
        });
        html.raw("</li>\n");
    }
    html.raw("</ul>\n</nav>\n<main>\n<h1>").text(title).raw(" ");
    html.element("small", text("/info/version")).raw("</h1>\n");
    html.prose(text("/info/description"));
    html.prose("The examples on this page use this function, for bash or zsh:");
    html.code(HELPER);
    html.prose("The same for programs is `GET /openapi.json`, from which this page is written.");
    for tag in &tags {
        html.element("h2", tag).raw("\n");
        for place in places.iter().filter(|place| self::tag(place) == *tag) {
            operation::write(&mut html, place, schemas);
        }
    }
    html.raw("<h2>schemas</h2>\n");
    for (name, schema) in schemas {
        schema::write(&mut html, name, schema, schemas);
    }
    html.raw("</main>\n</body>\n</html>\n");
    html.into_string()
}

fn tag<'a>(place: &Place<'a>) -> &'a str {
    place.operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("other")
}

/// Base64 with padding (RFC 4648, section 4), for the hash in the policy.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_usize, |word, at| word << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = char::from(ALPHABET[word >> (18 - 6 * at) & 63]);
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let vectors = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(vectors.map(|text| base64(text.as_bytes())), expected);
    }

    #[test]
    fn nothing_in_the_document_becomes_markup() {
        let evil = "<script>\"'&</script>";
        let document = json!({
            "info": { "title": evil, "version": evil, "description": format!("a `{evil}` b {evil}") },
            "paths": { format!("/{evil}"): { "get": {
                "tags": [evil], "summary": evil, "description": evil,
                "parameters": [{ "name": evil, "in": evil, "description": evil, "schema": { "type": evil } }],
                "requestBody": { "content": { evil: { "schema": { "$ref": format!("#/components/schemas/{evil}") } } } },
                "responses": { evil: { "description": evil, "content": { evil: {} } } },
                "security": [{ "bearer": [evil] }],
            } } },
            "components": { "schemas": { evil: {
                "type": "object", "description": evil,
                "properties": { evil: { "type": evil, "enum": [evil], "example": evil, "description": evil } },
            } } },
        });
        let html = DocsPage::new(&document).html;
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains("\"'&"), "quotes are escaped too: {html}");
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let node = json!({ "type": "object", "properties": {
            "next": { "$ref": "#/components/schemas/Node" },
            "all": { "type": "array", "items": { "$ref": "#/components/schemas/Node" } },
        } });
        let document = json!({ "components": { "schemas": { "Node": node } } });
        assert!(DocsPage::new(&document).html.contains("schema-node"));
    }
}
