use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::origin::PART;
use crate::bench::BenchError;

/// What an A2A client sends.
const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m1","role":"ROLE_USER","parts":[{"text":"Hello, is anybody there?"}]}}}"#;

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// How an agent is reached: its own address, or a door's and the path there.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) address: SocketAddr,
    pub(super) base: String,
    /// Of the interface for HTTP+JSON.
    pub(super) rest: String,
}

impl Way {
    /// The agent itself.
    pub(super) fn direct(address: SocketAddr) -> Self {
        Self { address, base: "/".to_owned(), rest: "/rest".to_owned() }
    }

    /// A door at this address.
    pub(super) fn door(address: SocketAddr, agent: &str) -> Self {
        let base = format!("/a2a/agents/{agent}");
        Self { address, rest: base.clone(), base: format!("{base}/") }
    }

    /// A connection that is kept.
    pub(super) async fn connect(&self) -> Result<Line, BenchError> {
        let connect = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = connect.await.map_err(|error| BenchError::unexpected(&error))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| BenchError::unexpected(&error))?;
        // A failure shows in the request that waits for an answer.
        tokio::spawn(connection);
        Ok(Line { sender, way: self.clone() })
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line {
    sender: SendRequest<Body>,
    way: Way,
}

impl Line {
    /// Sends a message and reads the answer. Gives the time that took.
    pub(super) async fn call(&mut self) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let target = self.way.base.clone();
        let body = Full::new(Bytes::from_static(MESSAGE.as_bytes())).boxed_unsync();
        let answer = self.ask(Method::POST, target, body).await?;
        let bytes = answer.into_body().collect().await.map_err(|error| BenchError::unexpected(&error))?;
        let bytes = bytes.to_bytes();
        if !bytes.starts_with(br#"{"jsonrpc":"2.0","id":1,"result""#) {
            let found: String = String::from_utf8_lossy(&bytes).chars().take(300).collect();
            let cause = format!("a call has another answer than the agent's: {found}");
            return Err(BenchError::unexpected(&cause));
        }
        Ok(start.elapsed())
    }

    /// Reads a body of so many parts.
    pub(super) async fn download(&mut self, parts: usize) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let target = format!("{}/tasks/parts?{parts}", self.way.rest);
        let mut body = self.ask(Method::GET, target, Full::default().boxed_unsync()).await?.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received +=
                frame.map_err(|error| BenchError::unexpected(&error))?.data_ref().map_or(0, Bytes::len);
        }
        whole(received, parts)?;
        Ok(start.elapsed())
    }

    /// Sends a body of so many parts.
    pub(super) async fn upload(&mut self, parts: usize) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let part = Bytes::from(vec![0x62; PART]);
        let body = stream::iter((0..parts).map(move |_| Ok(Frame::data(part.clone()))));
        let target = format!("{}/tasks/sink", self.way.rest);
        let answer = self.ask(Method::POST, target, StreamBody::new(body).boxed_unsync()).await?;
        let bytes = answer.into_body().collect().await.map_err(|error| BenchError::unexpected(&error))?;
        let received = String::from_utf8_lossy(&bytes.to_bytes()).parse().unwrap_or(0);
        whole(received, parts)?;
        Ok(start.elapsed())
    }

    /// Begins a stream of events and waits for the first.
    pub(super) async fn events(mut self) -> Result<Events, BenchError> {
        let target = format!("{}/tasks/events", self.way.rest);
        let body = self.ask(Method::GET, target, Full::default().boxed_unsync()).await?.into_body();
        let mut events = Events { body, _sender: self.sender };
        events.next().await?;
        Ok(events)
    }

    /// Makes an event happen on all streams. Gives how many there are.
    pub(super) async fn happen(&mut self) -> Result<usize, BenchError> {
        let target = format!("{}/tasks/event", self.way.rest);
        let answer = self.ask(Method::POST, target, Full::default().boxed_unsync()).await?;
        let bytes = answer.into_body().collect().await.map_err(|error| BenchError::unexpected(&error))?;
        String::from_utf8_lossy(&bytes.to_bytes()).parse().map_err(|error| BenchError::unexpected(&error))
    }

    async fn ask(
        &mut self,
        method: Method,
        target: String,
        body: Body,
    ) -> Result<Response<Incoming>, BenchError> {
        self.sender.ready().await.map_err(|error| BenchError::unexpected(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.way.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header("a2a-version", "1.0")
            .body(body)
            .map_err(|error| BenchError::unexpected(&error))?;
        let answer = self.sender.send_request(request).await;
        let answer = answer.map_err(|error| BenchError::unexpected(&error))?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = answer
                .into_body()
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            let cause = format!("a call was answered {status}: {}", String::from_utf8_lossy(&body));
            return Err(BenchError::Unexpected(cause));
        }
        Ok(answer)
    }
}

fn whole(received: usize, parts: usize) -> Result<(), BenchError> {
    if received == parts * PART {
        return Ok(());
    }
    Err(BenchError::Unexpected(format!("{received} of {} bytes came", parts * PART)))
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Events {
    body: Incoming,
    _sender: SendRequest<Body>,
}

impl Events {
    /// Waits for the next.
    pub(super) async fn next(&mut self) -> Result<(), BenchError> {
        match self.body.frame().await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(BenchError::unexpected(&error)),
            None => Err(BenchError::unexpected(&"a stream of events ended")),
        }
    }
}
