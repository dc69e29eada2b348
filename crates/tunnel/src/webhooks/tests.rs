use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;

use super::*;
use crate::body::{empty, full};

const PUBLIC: &str = "93.184.215.14";

/// Resolves names to what the test says, one answer after the other.
fn webhooks(answers: &'static [&'static [&'static str]]) -> Webhooks {
    let asked = AtomicUsize::new(0);
    let resolver: Resolver = Arc::new(move |_, _| {
        let answer = answers[asked.fetch_add(1, Ordering::Relaxed) % answers.len()];
        let addresses = answer.iter().map(|address| address.parse().unwrap()).collect();
        async move { Ok(addresses) }.boxed()
    });
    Webhooks::resolving_by(&Limits::default(), resolver)
}

fn refused(failure: Result<Bytes, Failure>) -> (&'static str, String) {
    let failure = failure.expect_err("a refusal");
    (failure.name(), failure.cause().to_owned())
}

async fn push(webhooks: &Webhooks, url: &str) -> Result<Bytes, Failure> {
    let body = serde_json::json!({"taskId": "t", "url": url}).to_string();
    webhooks.admit(Operation::Push, &HeaderMap::new(), full(body)).await
}

#[tokio::test]
async fn urls_into_networks_that_are_not_public_are_refused_in_every_spelling() {
    let webhooks = webhooks(&[&[PUBLIC]]);
    for (host, said) in [
        ("127.0.0.1", "loopback"),
        ("127.1", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f.1", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::1]:8080", "loopback"),
        ("169.254.169.254", "link-local"),
        ("10.0.0.1", "private"),
        ("0.0.0.0", "this network"),
        ("user:secret@example.com", "a user or a password"),
        ("127.0.0.1%2e", "loopback"),
        ("example%2ecom", "escapes something in its host"),
        ("ex\u{430}mple.com", "not plain ASCII"),
        ("exam\tple.com", "not plain ASCII"),
        ("example.com\\@127.0.0.1", "not written as"),
    ] {
        let (name, cause) = refused(push(&webhooks, &format!("http://{host}/hook?secret")).await);
        assert_eq!(name, "push-url", "{host}");
        assert!(
            cause.contains(said) && !cause.contains("secret@") && !cause.contains("hook"),
            "{host}: {cause}"
        );
    }
    for url in ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com", "hook", ""] {
        assert_eq!(refused(push(&webhooks, url).await).0, "push-url", "{url}");
    }
    for url in ["https://1.1.1.1/hook", "https://[2606:4700::1111]/x", "https://example.com:8443/hook?a=%2F"]
    {
        assert!(push(&webhooks, url).await.is_ok(), "{url}");
    }
}

#[tokio::test]
async fn a_name_is_refused_if_any_of_its_addresses_is_not_public_or_becomes_so() {
    const WRONG: [&[&[&str]]; 4] =
        [&[&["127.0.0.1"]], &[&[PUBLIC, "10.0.0.1"]], &[&[PUBLIC], &["169.254.169.254"]], &[&["::1"]]];
    for answers in WRONG {
        let (name, cause) = refused(push(&webhooks(answers), "https://hook.example/").await);
        assert!(name == "push-url" && cause.contains("host hook.example leads to"), "{cause}");
    }
    let (name, cause) = refused(push(&webhooks(&[&[]]), "https://hook.example/").await);
    assert!(name == "push-url" && cause.contains("has no address"), "{cause}");
    assert!(push(&webhooks(&[&[PUBLIC, "2606:4700::1111"]]), "https://hook.example/").await.is_ok());
}

#[tokio::test]
async fn the_systems_own_resolver_finds_this_machine() {
    let webhooks = Webhooks::new(&Limits::default());
    for name in ["localhost", "LOCALHOST", "localhost."] {
        let (kind, cause) = refused(push(&webhooks, &format!("http://{name}:8080/")).await);
        assert!(kind == "push-url" && cause.contains("localhost"), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_take_too_long_are_refused_and_their_number_is_bounded() {
    let resolver: Resolver = Arc::new(|_, _| std::future::pending().boxed());
    let webhooks = Webhooks::resolving_by(&Limits::default(), resolver);
    for _ in 0..NAMES_MAX {
        let (name, cause) = refused(push(&webhooks, "https://slow.example/").await);
        assert!(name == "push-url" && cause.contains("no answer within 2 s"), "{cause}");
    }
    assert_eq!(refused(push(&webhooks, "https://slow.example/").await).0, "busy");
}

#[tokio::test]
async fn bodies_pass_byte_for_byte_and_those_that_are_too_long_do_not() {
    let limits = Limits { read_bytes_max: 100_000, read_bytes_all_max: 150_000, ..Limits::default() };
    let webhooks = Webhooks::new(&limits);
    let admit = async |length: usize| {
        let body = full(vec![b'x'; length]);
        webhooks.admit(Operation::Rpc, &HeaderMap::new(), body).await
    };
    assert_eq!(webhooks.admit(Operation::Rpc, &HeaderMap::new(), empty()).await.ok(), Some(Bytes::new()));
    assert_eq!(refused(admit(100_001).await).0, "too-large");
    let held = admit(100_000).await.ok().expect("room for one");
    assert_eq!(held, vec![b'x'; 100_000]);
    assert_eq!(refused(admit(100_000).await).0, "busy");
    assert!(admit(UNCOUNTED_BYTES).await.is_ok(), "short ones pass all the same");
    drop(held);
    assert!(admit(100_000).await.is_ok(), "and so do long ones once there is room again");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused() {
    let webhooks = Webhooks::new(&Limits::default());
    let admit = async |name: http::HeaderName, value: &'static str| {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        webhooks.admit(Operation::Rpc, &headers, full("{}")).await
    };
    for encoding in ["gzip", "identity, br", "Deflate"] {
        assert_eq!(refused(admit(CONTENT_ENCODING, encoding).await).0, "malformed", "{encoding}");
    }
    for kind in ["application/json; charset=utf-16", "application/json;Charset = \"UTF-7\""] {
        assert_eq!(refused(admit(CONTENT_TYPE, kind).await).0, "malformed", "{kind}");
    }
    assert!(admit(CONTENT_ENCODING, "identity").await.is_ok());
    for kind in ["application/json", "application/a2a+json; charset=UTF-8"] {
        assert!(admit(CONTENT_TYPE, kind).await.is_ok(), "{kind}");
    }
}
