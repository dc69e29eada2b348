use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer over plain HTTP.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Sends `GET path` to a local API with exactly these headers.
///
/// # Panics
/// When there is no HTTP answer.
#[must_use]
pub fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut stream = TcpStream::connect(address).expect("the API listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
        .expect("a request can be sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("the answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    Reply { status: status.expect("the answer has a status"), body }
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
    /// The kind of problem, such as `foreign-host`; empty if the body is no problem.
    #[must_use]
    pub fn problem(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let urn = json["type"].as_str().unwrap_or_default();
        urn.trim_start_matches("urn:althing:problem:").to_owned()
    }
}
