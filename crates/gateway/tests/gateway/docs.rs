use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::raw::{self, Raw};
use crate::scripted::Node;

async fn page(node: &Node) -> Raw {
    raw::tcp(node, "GET /docs", &[], "").await
}

/// The values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    html.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn the_page_needs_no_token_and_is_html() {
    let node = Node::start().await;
    let page = page(&node).await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(page.body.starts_with("<!doctype html>") && page.body.ends_with("</html>\n"));
    assert!(!page.body.contains(&node.token()) && !page.body.contains(node.home.path().to_str().unwrap()));
    assert!(node.asks.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_page_shows_every_route_and_schema_of_the_document() {
    let node = Node::start().await;
    let html = page(&node).await.body;
    let document = node.client().await.openapi().await.unwrap();
    let ids: BTreeSet<_> = attributes(&html, "id").into_iter().collect();
    let mut shown = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let words = format!("{method} {path}").replace(['/', '{', '}', '.', ' '], "-");
            let id = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
            assert!(ids.contains(id.as_str()), "{id} in {ids:?}");
            assert!(html.contains(&format!("<code>{path}</code>")), "{path}");
            let summary = operation["summary"].as_str().unwrap();
            assert!(html.contains(&summary.replace('\'', "&#39;")), "{summary}");
            shown += 1;
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(ids.contains(format!("schema-{}", name.to_lowercase()).as_str()), "{name}");
        shown += 1;
    }
    assert_eq!(ids.len(), shown, "and nothing else, no place twice");
    assert_eq!(attributes(&html, "id").len(), shown);
    for example in [
        "api &#39;http://localhost/v1/status&#39;",
        "api -N &#39;http://localhost/v1/events&#39;",
        "api -X POST &#39;http://localhost/v1/shutdown&#39;",
        "api &#39;http://localhost/v1/find?q=skill",
        "api -H &#39;Content-Type: application/json&#39; --data-binary @FILE &#39;http://localhost/v1/cards",
        "api -o FILE &#39;http://localhost/v1/votes/ID/certificate",
        "&quot;ballot&quot;:&quot;d3b0",
        "-H &#39;Content-Type: application/json&#39; -d &#39;{&quot;choice&quot;:&quot;yes&quot;",
    ] {
        assert!(html.contains(example), "{example}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_and_its_links_stay_on_it() {
    let node = Node::start().await;
    let page = page(&node).await;
    let ids: BTreeSet<_> = attributes(&page.body, "id").into_iter().collect();
    let links = attributes(&page.body, "href");
    assert!(links.len() > ids.len());
    for link in links {
        assert!(link.strip_prefix('#').is_some_and(|target| ids.contains(target)), "{link}");
    }
    let lower = page.body.to_lowercase();
    for loaded in
        ["<script", "<link", "<img", "<iframe", "<form", " src=", " style=", " on", "@import", "url("]
    {
        let found = lower.contains(loaded);
        // A word such as "only" is no handler.
        let is_handler = |word: &str| word.starts_with("on") && word.contains("=\"");
        let found = if loaded == " on" { lower.split([' ', '\n']).any(is_handler) } else { found };
        assert!(!found, "{loaded}");
    }
    assert!(lower.split("https://").count() == 1 && !lower.contains("href=\"http"));
}

#[tokio::test]
async fn the_policy_allows_the_pages_own_style_and_nothing_else() {
    let node = Node::start().await;
    let page = page(&node).await;
    let policy = &page.headers["content-security-policy"];
    let rules: BTreeSet<_> = policy.split("; ").collect();
    let style = rules.iter().find(|rule| rule.starts_with("style-src ")).unwrap();
    assert_eq!(
        rules,
        BTreeSet::from([
            "default-src 'none'",
            style,
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'"
        ])
    );
    assert!(!policy.contains("unsafe") && style.starts_with("style-src 'sha256-"));
    assert_eq!(page.body.matches("<style>").count(), 1);
    let css = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = style.strip_prefix("style-src 'sha256-").and_then(|rest| rest.strip_suffix('\'')).unwrap();
    assert_eq!(decoded(hash), Sha256::digest(css.as_bytes())[..], "of the style sheet as it is sent");
}

/// Base64 with padding, read back.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = text.trim_end_matches('=').chars().flat_map(|char| {
        let digit = DIGITS.find(char).unwrap();
        (0..6).rev().map(move |bit| digit >> bit & 1)
    });
    let bits: Vec<usize> = bits.collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | *bit as u8)).collect()
}
