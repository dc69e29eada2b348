//! A door that is no node's: it answers at the socket of a home as a test says.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// A request that came to the door.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Null if there was none.
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The method of JSON-RPC; empty if it is none.
    pub(crate) fn rpc(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }
}

/// What the door answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The result of JSON-RPC.
    Result(Value),
    /// The error of JSON-RPC.
    Error(i64, &'static str),
    /// A whole answer: status, headers, body.
    Whole(u16, Vec<(&'static str, &'static str)>, String),
    /// Events, each a result of JSON-RPC; then the stream ends, or else is broken off.
    Events(Vec<Value>, End),
    /// Nothing, ever.
    Silence,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Broken,
}

/// The door, in a home of its own.
pub(crate) struct Door {
    home: TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

impl Door {
    /// Answers with this card, and to all else what `answer` says.
    pub(crate) fn open(card: Value, answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let token = home.path().join("api.token");
        fs::write(&token, "ab".repeat(32)).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let listener = UnixListener::bind(home.path().join("api.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer, card) = (kept.clone(), answer.clone(), card.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, answer, card) = (kept.clone(), answer.clone(), card.clone());
                    async move {
                        let seen = read(request).await;
                        if seen.target == "/livez" {
                            return Ok::<_, Infallible>(document(&json!({
                                "schema": "althing.health/v1", "state": "ok", "version": "0",
                                "waiting_for": [], "protocols": [],
                            })));
                        }
                        if !card.is_null() && seen.target.ends_with("/.well-known/agent-card.json") {
                            return Ok(document(&card));
                        }
                        let answer = answer(&seen);
                        kept.lock().unwrap().push(seen);
                        Ok(respond(answer).await)
                    }
                });
                // Whoever asks may have left.
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { home, seen, server }
    }

    /// Has something else where the card should be.
    pub(crate) fn without_card(status: u16) -> Self {
        let text = vec![("content-type", "text/plain")];
        Self::open(Value::Null, move |_| Answer::Whole(status, text.clone(), "nothing".to_owned()))
    }

    /// Runs a command of the program against the door.
    pub(crate) async fn run(&self, words: &[&str]) -> Run {
        run(&self.home.path().join("."), words).await
    }

    /// The requests that came, apart from those for the card.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Runs a command of the program with a home.
pub(crate) async fn run(home: &std::path::Path, words: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
    command.arg("--home").arg(home).args(words).env_clear().kill_on_drop(true);
    Run(command.output().await.unwrap())
}

/// A card with JSON-RPC.
pub(crate) fn card(version: &str, streaming: bool) -> Value {
    let capabilities = json!({"streaming": streaming});
    if version == "0.3" {
        return json!({"name": "x", "url": "http://x/", "protocolVersion": "0.3.0", "capabilities": capabilities});
    }
    let interface = json!({"url": "http://x/", "protocolBinding": "JSONRPC", "protocolVersion": version});
    json!({"name": "x", "supportedInterfaces": [interface], "capabilities": capabilities})
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run(Output);

impl Run {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "{}\n{}", self.stdout(), self.stderr());
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Standard output as one document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()))
    }

    /// Standard output as a document a line.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A path that does not exist, for a home.
pub(crate) fn nowhere(dir: &TempDir) -> PathBuf {
    dir.path().join("n")
}

async fn read(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = body.collect().await.unwrap().to_bytes();
    Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

type Body = BoxBody<Bytes, std::io::Error>;

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

fn document(value: &Value) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(whole(value.to_string())).unwrap()
}

async fn respond(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Result(result) => document(&json!({"jsonrpc": "2.0", "id": 1, "result": result})),
        Answer::Error(code, message) => {
            document(&json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}))
        }
        Answer::Whole(status, headers, body) => {
            let response = Response::builder().status(status);
            let response =
                headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
            response.body(whole(body)).unwrap()
        }
        Answer::Events(events, end) => {
            let event = |result| {
                let data = json!({"jsonrpc": "2.0", "id": 1, "result": result});
                Ok(Frame::data(Bytes::from(format!(": alive\n\ndata: {data}\r\n\r\n"))))
            };
            let mut frames: Vec<_> = events.into_iter().map(event).collect();
            if end == End::Broken {
                frames.push(Err(std::io::Error::other("broken")));
            }
            // What is ready at once may be lost with the error behind it.
            let frames = futures::stream::iter(frames).then(async |frame| {
                tokio::task::yield_now().await;
                frame
            });
            let body = BodyExt::boxed(StreamBody::new(frames));
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
        Answer::Silence => std::future::pending().await,
    }
}
