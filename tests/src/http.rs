use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer over plain HTTP.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The status line and the header lines.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends `GET path` to a local API with exactly these headers.
///
/// # Panics
/// When there is no HTTP answer.
#[must_use]
pub fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    exchange(address, format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").as_bytes())
}

/// Sends a request with a body of JSON to a local API, as a program does: `line` is its method and target.
///
/// # Panics
/// When there is no HTTP answer.
#[must_use]
pub fn send(address: &str, line: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nA2A-Version: 1.0\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    exchange(address, format!("{head}{body}").as_bytes())
}

fn exchange(address: &str, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).expect("the API listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    // It may be refused before it was read.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    // After an answer to half a request the connection may be reset.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("the answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("the answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    Reply { status: status.expect("the answer has a status"), head: head.to_owned(), body }
}

/// The chunks of a body (RFC 9112, 7.1) in one piece.
fn joined(mut rest: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a chunk has a size");
        let size = usize::from_str_radix(size, 16).expect("a size is hexadecimal");
        if size == 0 {
            return body;
        }
        body.push_str(&after[..size]);
        rest = &after[size + "\r\n".len()..];
    }
}

impl Reply {
    /// The value of a header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        values.next().map_or("", |(_, value)| value.trim())
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The kind of problem, such as `foreign-host`; empty if the body is no problem.
    #[must_use]
    pub fn problem(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let urn = json["type"].as_str().unwrap_or_default();
        urn.trim_start_matches("urn:althing:problem:").to_owned()
    }
}
