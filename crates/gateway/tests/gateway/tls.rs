//! The API over TLS.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use althing_gateway::{Config, Gateway, StartError, Tls};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use crate::scripted::{Node, backend, private_dir};

/// A certificate for `node.example.org`, in two files.
fn certificate(dir: &Path) -> (Tls, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["node.example.org".to_owned()]).unwrap();
    let tls = Tls { certificate: dir.join("chain.pem"), private_key: dir.join("key.pem") };
    fs::write(&tls.certificate, made.cert.pem()).unwrap();
    fs::write(&tls.private_key, made.key_pair.serialize_pem()).unwrap();
    fs::set_permissions(&tls.private_key, Permissions::from_mode(0o600)).unwrap();
    (tls, made.cert.der().clone())
}

async fn ask(node: &Node, trusted: CertificateDer<'static>, host: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let port = node.running.address().port();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("node.example.org").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let token = node.token();
    let request = format!(
        "GET /v1/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn with_a_certificate_the_api_listens_everywhere_under_its_names() {
    let dir = private_dir();
    let (tls, trusted) = certificate(dir.path());
    let node = Node::with(|config| {
        config.tcp = "0.0.0.0:0".parse().unwrap();
        config.tls = Some(tls);
        config.hosts = vec!["node.example.org:7575".into()];
    })
    .await;
    assert!(node.running.url().starts_with("https://0.0.0.0:"), "{}", node.running.url());
    let answer = ask(&node, trusted.clone(), "node.example.org:7575").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = ask(&node, trusted, "evil.example.org").await;
    assert!(answer.starts_with("HTTP/1.1 421 ") || answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn plain_http_gets_no_answer_where_tls_is_served() {
    let dir = private_dir();
    let (tls, _) = certificate(dir.path());
    let node = Node::with(|config| config.tls = Some(tls)).await;
    let mut stream = TcpStream::connect(node.running.address()).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn silent_handshake_is_cut() {
    let dir = private_dir();
    let (tls, _) = certificate(dir.path());
    let node = Node::with(|config| {
        config.tls = Some(tls);
        config.head_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    let mut stream = TcpStream::connect(node.running.address()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn unusable_certificates_and_keys_are_named() {
    let dir = private_dir();
    let (tls, _) = certificate(dir.path());
    let start = async |tls: &Tls| {
        let home = private_dir();
        let config = Config { tls: Some(tls.clone()), ..Config::new(home.path()) };
        Gateway::start(config, backend(mpsc::channel(1).0)).await.unwrap_err()
    };
    let missing = Tls { certificate: dir.path().join("none.pem"), ..tls.clone() };
    let error = start(&missing).await;
    assert!(error.to_string().contains("none.pem"), "{error}");
    let swapped = Tls { certificate: tls.private_key.clone(), private_key: tls.private_key.clone() };
    let error = start(&swapped).await;
    assert!(matches!(error, StartError::Tls { .. }) && error.hint().is_some(), "{error}");
    fs::set_permissions(&tls.private_key, Permissions::from_mode(0o644)).unwrap();
    let error = start(&tls).await;
    assert!(matches!(error, StartError::TlsKeyOpen { mode: 0o644, .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("chmod 600 "), "{error}");
}
