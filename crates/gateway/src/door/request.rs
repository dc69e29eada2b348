use std::time::Duration;

use althing_record::AgentId;
use althing_tunnel::{Body as CallBody, BodyError, ERROR_HEADER, full, read};
use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use super::extended::Wish;
use super::failure::{Cause, Failure};
use super::skill::{NEWCOMERS_HEADER, STRATEGY_HEADER};
use super::{ANSWER_WITHIN, known};
use crate::edge::Edge;

/// Longest body that is read whole before it is sent: it is then known what is asked, and it can be sent again.
const WHOLE_MAX: usize = 1_024 * 1_024;

/// The methods of JSON-RPC, in A2A 1.0 and 0.3, that send a message.
const MESSAGES: [&str; 4] = ["SendMessage", "SendStreamingMessage", "message/send", "message/stream"];

/// After how many milliseconds each time a message is sent again to an agent that may get it twice, while its nodes cannot be reached: one that was
/// started again is back by then.
const AGAIN_AFTER_MS: [u64; 5] = [0, 500, 1_000, 2_000, 4_000];

/// Longest problem document of a node.
const PROBLEM_MAX: usize = 16 * 1_024;

/// A client's request on its way to an agent.
pub(super) struct Incoming {
    head: Parts,
    content: Content,
    strategy: Option<String>,
    newcomers: Option<String>,
    /// Set if it asks for the agent's extended card.
    card: Option<Wish>,
}

enum Content {
    /// All of it: it can be sent again.
    Whole(Bytes),
    /// What was read and what is still to come; taken when it is sent.
    Flowing(Option<(Bytes, Body)>),
}

impl Incoming {
    /// Reads the body, if it is not too long for that.
    pub(super) async fn read(request: Request, target: String) -> Result<Self, Failure> {
        let (mut head, mut body) = request.into_parts();
        head.uri =
            target.parse().map_err(|error| Failure::new(Cause::Target, format!("{target}: {error}")))?;
        let mut read = BytesMut::new();
        let content = loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(part) = frame.data_ref() {
                        read.extend_from_slice(part);
                    }
                    if read.len() > WHOLE_MAX {
                        break Content::Flowing(Some((read.freeze(), body)));
                    }
                }
                Some(Err(error)) => {
                    return Err(Failure::new(
                        Cause::Target,
                        format!("the request did not arrive whole: {error}"),
                    ));
                }
                None => break Content::Whole(read.freeze()),
            }
        };
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let (strategy, newcomers) = (text(STRATEGY_HEADER), text(NEWCOMERS_HEADER));
        Ok(Self { head, content, strategy, newcomers, card: None })
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// Finds out whether the agent's extended card is asked for: it is shown as leading to `local`.
    pub(super) fn look_for_card(&mut self, local: &str) {
        self.card = Wish::of(self, local);
    }

    pub(super) fn method(&self) -> &Method {
        &self.head.method
    }

    /// The body, if it was read whole.
    pub(super) fn bytes(&self) -> Bytes {
        match &self.content {
            Content::Whole(bytes) => bytes.clone(),
            Content::Flowing(_) => Bytes::new(),
        }
    }

    /// The JSON of the body, if it is JSON and was read.
    pub(super) fn message(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap_or(Value::Null)
    }

    /// Whether it sends a message with an id, and is here whole.
    fn is_message(&self) -> bool {
        let json = self.message();
        let is_rpc =
            self.path() == "/" && json["method"].as_str().is_some_and(|name| MESSAGES.contains(&name));
        let is_rest = ["/message:send", "/message:stream"].iter().any(|end| self.path().ends_with(end));
        let message = if is_rpc { &json["params"]["message"] } else { &json["message"] };
        *self.method() == Method::POST
            && (is_rpc || is_rest)
            && message["messageId"].as_str().is_some_and(|id| !id.is_empty())
    }

    /// How the client wants an agent to be chosen.
    pub(super) fn strategy(&self) -> Option<&str> {
        self.strategy.as_deref()
    }

    /// Whether the client wants newcomers to be tried.
    pub(super) fn newcomers(&self) -> Option<&str> {
        self.newcomers.as_deref()
    }

    /// The path that is asked for.
    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The request; none if its body is gone.
    fn request(&mut self) -> Option<http::Request<CallBody>> {
        let body = match &mut self.content {
            Content::Whole(bytes) => full(bytes.clone()),
            Content::Flowing(flowing) => {
                let (read, rest) = flowing.take()?;
                let first = futures::stream::iter([Ok::<_, BodyError>(Frame::data(read))]);
                let rest = futures::stream::unfold(rest, |mut rest| async move {
                    let frame = rest.frame().await?;
                    Some((frame.map_err(|error| Box::new(error) as BodyError), rest))
                });
                StreamBody::new(first.chain(rest)).boxed_unsync()
            }
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.headers_mut() = self.head.headers.clone();
        Some(request)
    }
}

/// Sends a request to an agent, at each of its nodes until one takes it.
pub(super) async fn send(
    edge: &Edge,
    agent: AgentId,
    mut incoming: Incoming,
) -> Result<Response<CallBody>, Failure> {
    attempt(edge, agent, &mut incoming).await
}

/// The same, of which the request is left if it was not delivered. A message that was lost on the way is sent again, to the
/// same agent, if that says that it may be ([`MeshCard::is_idempotent`](althing_a2a::MeshCard)).
pub(super) async fn attempt(
    edge: &Edge,
    agent: AgentId,
    incoming: &mut Incoming,
) -> Result<Response<CallBody>, Failure> {
    let mut lost = match deliver(edge, agent, incoming).await {
        Err(failure) if failure.cause == Cause::ConnectionLost => failure,
        ended => return ended,
    };
    let may_come_again =
        incoming.is_message() && known::place(edge, agent).await.is_ok_and(|known| known.mesh.is_idempotent);
    if !may_come_again {
        return Err(lost);
    }
    for after in AGAIN_AFTER_MS {
        tokio::time::sleep(Duration::from_millis(after)).await;
        tracing::info!(%agent, cause = lost.message, "a message that was lost on the way is sent again");
        match deliver(edge, agent, incoming).await {
            // Nobody took it this time, but somebody may have before.
            Err(again) if again.undelivered => {
                lost.message = format!("{}; again: {}", lost.message, again.message);
            }
            ended => return ended,
        }
    }
    Err(lost)
}

/// Sends a request to the nodes of an agent until one takes it.
async fn deliver(
    edge: &Edge,
    agent: AgentId,
    incoming: &mut Incoming,
) -> Result<Response<CallBody>, Failure> {
    let calls = &edge.backend().calls;
    let identity = calls.identity.as_ref();
    let identity = identity
        .ok_or_else(|| Failure::new(Cause::NotAllowed, "this node hosts no agent that could call"))?;
    let known = known::place(edge, agent).await?;
    let mut last = None;
    for place in &known.places {
        let Some(request) = incoming.request() else { break };
        let sent = calls.caller.call(identity, agent, place.clone(), request, ANSWER_WITHIN).await;
        match sent.map_err(Failure::from) {
            Ok(response) if response.headers().contains_key(&ERROR_HEADER) => {
                let failure = failure_in(response).await;
                if !failure.undelivered || failure.cause.is_of_the_request() {
                    return Err(failure);
                }
                last = Some(failure);
            }
            Ok(response) => {
                return match &incoming.card {
                    Some(wish) => wish.view(edge, response).await,
                    None => Ok(response),
                };
            }
            Err(failure) => {
                edge.known().forget(agent);
                if !failure.undelivered {
                    return Err(failure);
                }
                last = Some(failure);
            }
        }
    }
    let nodes = known.places.len();
    Err(last.map_or_else(
        || {
            Failure::new(
                Cause::AgentUnreachable,
                format!("{agent}: none of its {nodes} nodes could be reached"),
            )
        },
        |failure| Failure { message: format!("{agent}: {}", failure.message), ..failure },
    ))
}

/// The failure that the callee's node reports.
async fn failure_in(response: Response<CallBody>) -> Failure {
    let name = response.headers().get(&ERROR_HEADER).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let cause = Cause::of(name);
    let text = read(response.into_body(), PROBLEM_MAX).await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
    let detail = problem.get("detail").and_then(Value::as_str).unwrap_or(cause.name());
    Failure::new(cause, detail.chars().take(300).collect::<String>())
}
