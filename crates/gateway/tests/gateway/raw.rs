//! HTTP by hand, for requests that no decent client sends.

use std::collections::BTreeMap;

use althing_gateway::api::{Document, Problem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::scripted::Node;

/// An answer.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Raw {
    /// The problem in the body, after checking that it is written as RFC 9457 wants.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem.schema, Problem::SCHEMA);
        assert_eq!(problem.status, self.status);
        assert!(problem.kind().is_some() && problem.instance.is_some() && !problem.detail.is_empty());
        problem
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }
}

/// Sends a head line and header lines over TCP with a Host and `Connection: close` added, and reads the answer.
pub(crate) async fn tcp(node: &Node, line: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Raw {
    let host = format!("Host: {}", node.running.address());
    exactly(node, line, &[&[host.as_str()], headers].concat(), body).await
}

/// The same with the token.
pub(crate) async fn authorized(node: &Node, line: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Raw {
    let token = format!("Authorization: Bearer {}", node.token());
    tcp(node, line, &[&[token.as_str()], headers].concat(), body).await
}

/// The same without adding a Host.
pub(crate) async fn exactly(node: &Node, line: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Raw {
    let mut stream = TcpStream::connect(node.running.address()).await.unwrap();
    stream.write_all(&request(line, headers, body.as_ref())).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Raw::parse(&answer)
}

/// The same over the Unix socket.
pub(crate) async fn unix(node: &Node, line: &str, headers: &[&str]) -> Raw {
    let mut stream = UnixStream::connect(node.running.socket()).await.unwrap();
    stream.write_all(&request(line, headers, b"")).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Raw::parse(&answer)
}

fn request(line: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    let sized = headers.iter().any(|header| header.to_ascii_lowercase().starts_with("content-length"));
    if !body.is_empty() && !sized {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}
