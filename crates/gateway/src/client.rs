mod calls;
mod dockets;
mod door;
mod error;
mod events;
mod exchange;
mod groups;
mod reputation;
mod sse;
mod store;
mod votes;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode};

pub use self::calls::CallReader;
pub use self::door::{DOOR_EVENT_BYTES_MAX, DoorAnswer, DoorEvents, DoorRequest};
pub use self::error::ClientError;
pub use self::events::EventReader;
pub use self::exchange::{Exchange, Tell, path_of};
pub use self::sse::{SseError, SseEvent, SseReader};
use self::wire::{Reply, Upload, Wire};
use crate::api::{
    CallProofs, CallsQuery, Card, Document, EventsQuery, Evidence, ExposeRequest, Exposed, ExposedList, Find,
    FindQuery, Health, KeyRotated, ListQuery, Peers, Ping, PingQuery, Problem, ProblemKind, Published, Reach,
    Retracted, Status, Stopping, Unexposed,
};
use crate::body::{BODY_BYTES_MAX, CARD_BYTES_MAX, card_too_large};
use crate::files;
use crate::refused::PROBLEM_JSON;
use crate::token::Token;

/// How long one request may take, unless the caller says otherwise: a little more than the gateway gives the node.
const TIMEOUT: Duration = Duration::from_secs(35);

/// A client of the node whose home is on this machine.
///
/// Every request has its own connection, over the Unix socket or, where there is none, over loopback TCP after the
/// server has proven that it knows the token. Cloning is cheap.
///
/// ```no_run
/// # async fn example() -> Result<(), althing_gateway::ClientError> {
/// let client = althing_gateway::Client::connect("/home/me/.althing".as_ref()).await?;
/// println!("{} peers", client.status().await?.peers);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    wire: Arc<Wire>,
    timeout: Duration,
}

impl Client {
    /// Reads the token and checks that the node answers.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when no node runs with this home, [`ClientError::Auth`] when its token cannot be
    /// read.
    pub async fn connect(home: &Path) -> Result<Self, ClientError> {
        Self::connect_telling(home, None).await
    }

    /// The same, for who wants to be told of every request, from the first on.
    ///
    /// # Errors
    /// See [`Client::connect`].
    pub async fn connect_telling(home: &Path, tell: Option<Tell>) -> Result<Self, ClientError> {
        let token = match Token::open(&files::token(home)) {
            Ok(token) => token,
            Err(error) if error.is_absent() => return Err(ClientError::NotRunning { home: home.to_owned() }),
            Err(error) => return Err(ClientError::Auth { detail: error.to_string(), hint: error.hint() }),
        };
        let client = Self { wire: Arc::new(Wire { home: home.to_owned(), token, tell }), timeout: TIMEOUT };
        client.live().await?;
        Ok(client)
    }

    /// The same client with another limit on the time that one request may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The home of the node.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.wire.home
    }

    /// Whether the process answers: `GET /livez`.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every method.
    pub async fn live(&self) -> Result<Health, ClientError> {
        self.health_of("/livez").await
    }

    /// Whether the node is ready, or what is missing: `GET /readyz`.
    ///
    /// # Errors
    /// See [`ClientError`]. A node that is not ready is an answer, not an error.
    pub async fn ready(&self) -> Result<Health, ClientError> {
        self.health_of("/readyz").await
    }

    /// Whether the node is ready and every protocol is healthy: `GET /healthz`.
    ///
    /// # Errors
    /// See [`ClientError`]. A node that is not healthy is an answer, not an error.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.health_of("/healthz").await
    }

    /// The metrics in OpenMetrics text: `GET /metrics`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let reply = done(self.call(Method::GET, "/metrics".to_owned(), None).await?)?;
        String::from_utf8(reply.body).map_err(|error| ClientError::Protocol(format!("metrics: {error}")))
    }

    /// The OpenAPI document: `GET /openapi.json`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        let reply = done(self.call(Method::GET, "/openapi.json".to_owned(), None).await?)?;
        serde_json::from_slice(&reply.body)
            .map_err(|error| ClientError::Protocol(format!("openapi.json: {error}")))
    }

    /// What the node holds and how it is doing: `GET /v1/status`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.fetch("/v1/status".to_owned()).await
    }

    /// Whether peers can dial the node: `GET /v1/reach`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn reach(&self) -> Result<Reach, ClientError> {
        self.fetch("/v1/reach".to_owned()).await
    }

    /// One round trip to a node: `GET /v1/ping`.
    ///
    /// # Errors
    /// See [`ClientError`]. That the node does not answer is an answer.
    pub async fn ping(&self, query: &PingQuery) -> Result<Ping, ClientError> {
        let pairs = [("node", query.node.clone()), ("agent", query.agent.clone())];
        self.fetch(with_query("/v1/ping", &pairs)).await
    }

    /// Who the node is connected to: `GET /v1/peers`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn peers(&self) -> Result<Peers, ClientError> {
        self.fetch("/v1/peers".to_owned()).await
    }

    /// Signs and publishes an A2A card, whose exact bytes are given: `POST /v1/cards`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn publish_card(&self, json: &[u8], agent: Option<&str>) -> Result<Published, ClientError> {
        if json.len() > CARD_BYTES_MAX {
            return Err(ClientError::Problem(Box::new(card_too_large(Some(json.len() as u64)))));
        }
        let target = with_query("/v1/cards", &[("agent", agent.map(str::to_owned))]);
        self.send(target, json.to_vec()).await
    }

    /// The newest card of an agent: `GET /v1/cards/{did}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn card(&self, did: &str) -> Result<Card, ClientError> {
        self.fetch(format!("/v1/cards/{}", percent_encoded(did))).await
    }

    /// Takes the card of a hosted agent back: `DELETE /v1/cards/{did}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn retract_card(&self, did: &str) -> Result<Retracted, ClientError> {
        document(done(self.call(Method::DELETE, format!("/v1/cards/{}", percent_encoded(did)), None).await?)?)
    }

    /// Which agents match a query: `GET /v1/find`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn find(&self, query: &FindQuery) -> Result<Find, ClientError> {
        let pairs = [
            ("q", query.q.clone()),
            ("skill", query.skill.clone()),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("after", query.after.clone()),
            ("live", query.live.map(|live| live.to_string())),
            ("healthy", query.healthy.map(|healthy| healthy.to_string())),
            ("min_score", query.min_score.map(|score| score.to_string())),
            ("newcomers", query.newcomers.map(|newcomers| newcomers.to_string())),
            ("explain", query.explain.map(|explain| explain.to_string())),
        ];
        self.fetch(with_query("/v1/find", &pairs)).await
    }

    async fn certificate_at(&self, target: String) -> Result<Vec<u8>, ClientError> {
        let reply = done(self.call(Method::GET, target, None).await?)?;
        match reply.content_type.as_str() {
            "application/cbor" => Ok(reply.body),
            other => Err(ClientError::Protocol(format!("expected application/cbor, found \"{other}\""))),
        }
    }

    /// Proven misbehaviour: `GET /v1/evidence`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn evidence(&self, query: &ListQuery) -> Result<Evidence, ClientError> {
        self.fetch(with_query("/v1/evidence", &[("limit", query.limit.map(|limit| limit.to_string()))])).await
    }

    /// What happens there, as it happens: `GET /v1/events`. With the id that another stream ended with, this one continues
    /// it, and the query's `after` and `last` mean nothing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(
        &self,
        query: &EventsQuery,
        last_id: Option<&str>,
    ) -> Result<EventReader, ClientError> {
        let pairs = [
            ("after", query.after.clone()),
            ("last", query.last.map(|last| last.to_string())),
            ("types", query.types.clone()),
            ("follow", query.follow.map(|follow| follow.to_string())),
        ];
        let target = with_query("/v1/events", &pairs);
        let mut headers = HeaderMap::new();
        if let Some(id) = last_id {
            let id = HeaderValue::from_str(id)
                .map_err(|error| ClientError::Protocol(format!("cannot write the request: {error}")))?;
            headers.insert("last-event-id", id);
        }
        let begin = async {
            let (connection, response) = self.wire.begin(Method::GET, &target, None, headers).await?;
            if response.status().is_success() {
                let last_id = last_id.or(query.after.as_deref()).map(str::to_owned);
                return Ok(EventReader::new(connection, response.into_body(), last_id));
            }
            let reply = done(connection.read(response).await?)?;
            Err(ClientError::Protocol(format!(
                "expected a success or a problem, found status {}",
                reply.status
            )))
        };
        match tokio::time::timeout(self.timeout, begin).await {
            Ok(reader) => reader,
            Err(_) => Err(ClientError::Timeout { after: self.timeout }),
        }
    }

    /// Exposes an agent: `POST /v1/exposures`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn expose(&self, wish: &ExposeRequest) -> Result<Exposed, ClientError> {
        self.send("/v1/exposures".to_owned(), written(wish)?).await
    }

    /// What is exposed: `GET /v1/exposures`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn exposures(&self) -> Result<ExposedList, ClientError> {
        self.fetch("/v1/exposures".to_owned()).await
    }

    /// The newest calls of the node's agents that both sides signed: `GET /v1/receipts`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receipts(&self, query: &ListQuery) -> Result<CallProofs, ClientError> {
        self.fetch(with_query("/v1/receipts", &[("limit", query.limit.map(|limit| limit.to_string()))])).await
    }

    /// No longer exposes an agent, by local name or did: `DELETE /v1/exposures/{name}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn unexpose(&self, name: &str) -> Result<Unexposed, ClientError> {
        let target = format!("/v1/exposures/{}", percent_encoded(name));
        document(done(self.call(Method::DELETE, target, None).await?)?)
    }

    /// Has a new key speak for an agent: `POST /v1/keys/{name}/rotation`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn rotate(&self, name: &str) -> Result<KeyRotated, ClientError> {
        let target = format!("/v1/keys/{}/rotation", percent_encoded(name));
        document(done(self.call(Method::POST, target, None).await?)?)
    }

    /// Calls of exposed agents as they end: `GET /v1/calls`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn calls(&self, query: &CallsQuery) -> Result<CallReader, ClientError> {
        let pairs = [
            ("agent", query.agent.clone()),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("hold", query.hold.map(|hold| hold.to_string())),
        ];
        let target = with_query("/v1/calls", &pairs);
        let begin = async {
            let (connection, response) =
                self.wire.begin(Method::GET, &target, None, HeaderMap::new()).await?;
            if response.status().is_success() {
                return Ok(CallReader::new(connection, response.into_body()));
            }
            let reply = done(connection.read(response).await?)?;
            Err(ClientError::Protocol(format!("expected a stream, found status {}", reply.status)))
        };
        let begun = tokio::time::timeout(self.timeout, begin).await;
        begun.unwrap_or(Err(ClientError::Timeout { after: self.timeout }))
    }

    /// Asks the node to stop: `POST /v1/shutdown`. It has not stopped yet when this returns.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn shutdown(&self) -> Result<Stopping, ClientError> {
        document(done(self.call(Method::POST, "/v1/shutdown".to_owned(), None).await?)?)
    }

    async fn health_of(&self, target: &str) -> Result<Health, ClientError> {
        let reply = self.call(Method::GET, target.to_owned(), None).await?;
        let answered = reply.status == StatusCode::SERVICE_UNAVAILABLE && reply.content_type != PROBLEM_JSON;
        document(if answered { reply } else { done(reply)? })
    }

    async fn fetch<T: Document>(&self, target: String) -> Result<T, ClientError> {
        document(done(self.call(Method::GET, target, None).await?)?)
    }

    async fn send<T: Document>(&self, target: String, json: Vec<u8>) -> Result<T, ClientError> {
        self.send_up_to(BODY_BYTES_MAX, target, json).await
    }

    async fn send_up_to<T: Document>(
        &self,
        bytes_max: usize,
        target: String,
        json: Vec<u8>,
    ) -> Result<T, ClientError> {
        // The gateway cuts the connection of a much larger body, and its answer might get lost.
        if json.len() > bytes_max {
            let detail = format!("expected a body of at most {bytes_max} bytes, found {}", json.len());
            return Err(ClientError::Problem(Box::new(Problem::new(ProblemKind::TooLarge, detail))));
        }
        let body = Upload { content_type: "application/json", bytes: json };
        document(done(self.call(Method::POST, target, Some(body)).await?)?)
    }

    async fn call(&self, method: Method, target: String, body: Option<Upload>) -> Result<Reply, ClientError> {
        match tokio::time::timeout(self.timeout, self.wire.call(method, &target, body)).await {
            Ok(reply) => reply,
            Err(_) => Err(ClientError::Timeout { after: self.timeout }),
        }
    }
}

/// The reply to a request that was done, or else why it was not.
fn done(reply: Reply) -> Result<Reply, ClientError> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    if reply.content_type != PROBLEM_JSON {
        return Err(ClientError::Protocol(format!(
            "expected a success or a problem, found status {}",
            reply.status
        )));
    }
    let problem: Problem = document(reply)?;
    if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
        return Err(ClientError::Auth { detail: problem.detail, hint: problem.hint });
    }
    Err(ClientError::Problem(Box::new(problem)))
}

fn document<T: Document>(reply: Reply) -> Result<T, ClientError> {
    #[derive(serde::Deserialize)]
    struct Named {
        schema: String,
    }
    let malformed = |error| ClientError::Protocol(format!("expected {}: {error}", T::SCHEMA));
    // The name first: a document of another version is better named than misread.
    let Named { schema } = serde_json::from_slice(&reply.body).map_err(malformed)?;
    if schema != T::SCHEMA {
        let found: String = schema.chars().take(80).collect();
        return Err(ClientError::Protocol(format!("expected {}, found \"{found}\"", T::SCHEMA)));
    }
    serde_json::from_slice(&reply.body).map_err(malformed)
}

fn written<T: serde::Serialize>(request: &T) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(request)
        .map_err(|error| ClientError::Protocol(format!("cannot write the request: {error}")))
}

fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let query: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", percent_encoded(value))))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_encoded() {
        assert_eq!(percent_encoded("did:key:z6Mk/..?#é"), "did%3Akey%3Az6Mk%2F..%3F%23%C3%A9");
        assert_eq!(
            with_query("/v1/find", &[("skill", Some("a&b=c".into())), ("limit", None)]),
            "/v1/find?skill=a%26b%3Dc"
        );
        assert_eq!(with_query("/v1/votes", &[("limit", None)]), "/v1/votes");
    }
}
