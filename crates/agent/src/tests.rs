//! Agents as a client sees them: through `Origin::ask` and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use althing_tunnel::{Body, Origin, OriginError, empty, full};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::*;

mod bounds;
mod commands;
mod operations;

const SOON: Duration = Duration::from_secs(20);

fn exec(line: &str) -> BuiltinAgent {
    BuiltinAgent::exec(line.parse().unwrap())
}

/// What a client sends.
struct Asked {
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Asked {
    fn new(method: Method, target: &str, body: impl ToString) -> Self {
        let headers = vec![("a2a-version", "1.0".to_owned())];
        Self { method, target: target.to_owned(), headers, body: body.to_string() }
    }

    fn rpc(method: &str, params: Value) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        Self::new(Method::POST, "/", body)
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    async fn try_to(self, agent: &BuiltinAgent) -> Result<Response<Body>, OriginError> {
        let mut request = Request::builder().method(self.method).uri(self.target);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let body = if self.body.is_empty() { empty() } else { full(self.body) };
        timeout(SOON, agent.ask(request.body(body).unwrap())).await.unwrap()
    }

    async fn to(self, agent: &BuiltinAgent) -> (StatusCode, Value) {
        let response = self.try_to(agent).await.unwrap();
        let status = response.status();
        let bytes = timeout(SOON, response.into_body().collect()).await.unwrap().unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn stream(self, agent: &BuiltinAgent) -> Events {
        let response = self.try_to(agent).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Events { body: response.into_body(), rest: Vec::new() }
    }
}

/// Server-sent events as they come.
struct Events {
    body: Body,
    rest: Vec<u8>,
}

impl Events {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.rest.drain(..end + 2).collect();
                let data = event.strip_prefix(b"data: ").unwrap();
                assert_eq!(data.iter().filter(|byte| **byte == b'\n').count(), 2);
                return Some(serde_json::from_slice(data).unwrap());
            }
            let frame = timeout(SOON, self.body.frame()).await.unwrap();
            let Some(frame) = frame else {
                assert!(self.rest.is_empty());
                return None;
            };
            self.rest.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
    }

    async fn all(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }

    /// The text of the next piece, when everything before it is passed over.
    async fn piece(&mut self) -> String {
        loop {
            let event = self.next().await.expect("a piece comes");
            if let Some(text) = event["result"]["artifactUpdate"]["artifact"]["parts"][0]["text"].as_str() {
                return text.to_owned();
            }
        }
    }
}

fn message(text: &str) -> Value {
    parts(json!([{"text": text}]))
}

fn parts(parts: Value) -> Value {
    json!({"message": {"messageId": "m1", "role": "ROLE_USER", "parts": parts}})
}

/// The result of a method.
async fn call(agent: &BuiltinAgent, method: &str, params: Value) -> Value {
    let (status, answer) = Asked::rpc(method, params).to(agent).await;
    assert_eq!((status, &answer["jsonrpc"], &answer["id"]), (StatusCode::OK, &json!("2.0"), &json!(7)));
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}

/// The task that a text makes, when it has ended.
async fn send(agent: &BuiltinAgent, text: &str) -> Value {
    call(agent, "SendMessage", message(text)).await["task"].clone()
}

/// The task that a text makes, while it is being worked on.
async fn begin(agent: &BuiltinAgent, text: &str) -> String {
    let mut params = message(text);
    params["configuration"] = json!({"returnImmediately": true});
    let task = call(agent, "SendMessage", params).await["task"].clone();
    task["id"].as_str().unwrap().to_owned()
}

/// The error of a method.
async fn error(agent: &BuiltinAgent, method: &str, params: Value) -> i64 {
    let (status, answer) = Asked::rpc(method, params).to(agent).await;
    assert_eq!((status, &answer["id"]), (StatusCode::OK, &json!(7)));
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method} gives an error, not {answer}"))
}

fn output(task: &Value) -> &str {
    let artifacts = task["artifacts"].as_array().expect("there are artifacts");
    assert_eq!((artifacts.len(), artifacts[0]["parts"].as_array().unwrap().len()), (1, 1));
    artifacts[0]["parts"][0]["text"].as_str().unwrap()
}

fn state(task: &Value) -> &str {
    task["status"]["state"].as_str().unwrap()
}

fn complaint(task: &Value) -> &str {
    task["status"]["message"]["parts"][0]["text"].as_str().unwrap()
}

/// Whether there is no such process any more, not even one that waits to be reaped.
fn is_gone(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}

/// A pipe with a name, for commands to wait at and to be seen at.
struct Fifo {
    path: PathBuf,
    receiver: pipe::Receiver,
    _folder: tempfile::TempDir,
}

impl Fifo {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        Self { path, receiver, _folder: folder }
    }

    fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Writes to whoever reads from it, now or later while the result is kept.
    async fn write(&self, text: &str) -> pipe::Sender {
        let mut sender = pipe::OpenOptions::new().open_sender(&self.path).unwrap();
        sender.write_all(text.as_bytes()).await.unwrap();
        sender
    }

    /// Waits until nobody has it open for writing any more.
    async fn let_go(&mut self) {
        let mut read = String::new();
        timeout(SOON, self.receiver.read_to_string(&mut read)).await.unwrap().unwrap();
    }
}
