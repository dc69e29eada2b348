//! Where local clients call agents: `/a2a/agents/…` and `/a2a/skills/…`. A client needs to know nothing but HTTP and A2A;
//! `docs/spec/a2a-binding.md` says what it meets.

mod address;
mod card;
mod extended;
mod failure;
mod known;
mod placed;
mod request;
mod response;
mod skill;

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HeaderValue, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Uri};

use self::address::{Address, Asked};
use self::failure::{Cause, Failure, Style};
pub(crate) use self::known::Known;
pub(crate) use self::placed::placed;
use self::request::Incoming;
pub(crate) use self::skill::Routing;
use crate::api::{Problem, ProblemKind};
use crate::edge::Edge;
use crate::guard::Transport;
use crate::life::Life;
use crate::refused::{Refused, Untouched};

/// Where a client beyond loopback shows this node's token if `Authorization` is for the agent.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("althing-token");

/// How long a response may take to begin.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// What the paths of agents and skills begin with.
const BEHIND: &str = "/a2a/";

/// Whether a request is one that [`serve`] is for.
pub(crate) fn is_behind(target: &Uri) -> bool {
    target.path().strip_prefix(BEHIND).is_some_and(|rest| !rest.is_empty())
}

/// Serves a request to an agent or to a skill.
pub(crate) async fn serve(
    State(edge): State<Edge>,
    life: Option<Extension<Life>>,
    request: Request,
) -> Response {
    let life = life.map_or_else(Life::default, |Extension(life)| life);
    let style = Style::of(&request);
    if !may_enter(&edge, &request) {
        let problem = Problem::new(
            ProblemKind::Unauthorized,
            "beyond loopback, doors open with this node's token only",
        );
        let hint = "send the content of api.token as `Authorization: Bearer …`, or in Althing-Token where the agent wants \
                    another Authorization";
        return Refused::from(problem.with_hint(hint)).into_response();
    }
    let mut response = match answer(&edge, life, request, &style).await {
        Ok(response) => response,
        Err(failure) => failure.response(&style),
    };
    // It is the agent's: this node adds nothing to it.
    response.extensions_mut().insert(Untouched);
    response
}

async fn answer(edge: &Edge, life: Life, request: Request, style: &Style) -> Result<Response, Failure> {
    let address = Address::parse(request.uri())?;
    let local = format!("{}{}", base_url(edge, request.headers()), address.base);
    if address.is_card(request.method(), request.headers()) {
        let agent = match &address.asked {
            Asked::Agent(name) => known::agent(edge, name)?,
            Asked::Skill(skill) => {
                let first = skill::candidates(edge, skill).await?.first().map(|candidate| candidate.agent);
                first.ok_or_else(|| {
                    Failure::new(Cause::AgentNotFound, format!("no live agent has the skill {skill}"))
                })?
            }
        };
        return match address.wants_origin() {
            true => card::serve_origin(edge, agent).await,
            false => card::serve(edge, agent, &local).await,
        };
    }
    let mut incoming = Incoming::read(request, address.target.clone()).await?;
    style.learn(incoming.bytes());
    clean(edge, incoming.headers_mut());
    incoming.look_for_card(&local);
    match address.asked {
        Asked::Agent(name) => {
            let agent = known::agent(edge, &name)?;
            let response = request::send(edge, agent, incoming).await?;
            Ok(response::pass(response, style.clone(), life, None))
        }
        Asked::Skill(skill) => skill::send(edge, &skill, incoming, style, life).await,
    }
}

/// Whether a client may use doors: on loopback and over the Unix socket every local one, beyond loopback who has the token.
pub(crate) fn may_enter(edge: &Edge, request: &Request) -> bool {
    let is_near = edge.is_on_loopback() || request.extensions().get() == Some(&Transport::Unix);
    let shown = request.headers().get(TOKEN_HEADER).map(HeaderValue::as_bytes);
    is_near
        || shown.is_some_and(|token| edge.token().matches(token.trim_ascii()))
        || request.headers().get_all(AUTHORIZATION).iter().any(|value| is_own_token(edge, value))
}

/// Whether a value of `Authorization` is this node's own token.
fn is_own_token(edge: &Edge, value: &HeaderValue) -> bool {
    let presented = value.as_bytes().split_at_checked(7);
    presented.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case(b"bearer ") && edge.token().matches(token.trim_ascii())
    })
}

/// The URL under which the client reaches this node.
fn base_url(edge: &Edge, headers: &HeaderMap) -> String {
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    match host.filter(|host| edge.hosts().iter().any(|ours| ours == host)) {
        Some(host) => format!("{}://{host}", edge.scheme()),
        // Over the Unix socket there is no port.
        None => edge.url(),
    }
}

/// Takes out what is between the client and this node: hop headers, this node's own token and its own page's origin.
fn clean(edge: &Edge, headers: &mut HeaderMap) {
    althing_tunnel::strip(headers);
    if headers.get_all(AUTHORIZATION).iter().any(|value| is_own_token(edge, value)) {
        headers.remove(AUTHORIZATION);
    }
    headers.remove(ORIGIN);
}

/// The card of the agent that is this node's face: the one that was chosen, even while it is not there, else any that is.
pub(crate) async fn face(State(edge): State<Edge>, request: Request) -> Response {
    let exposed = edge.backend().calls.desk.exposed();
    let face = exposed.iter().find(|exposed| exposed.face || exposed.fault.is_none());
    let face = face.and_then(|exposed| exposed.agent.parse().ok());
    let answer = match face {
        Some(agent) => {
            let local = format!("{}/a2a/agents/{agent}/", base_url(&edge, request.headers()));
            card::serve(&edge, agent, &local).await
        }
        None => Err(Failure::new(Cause::AgentNotFound, "no agent is exposed here")),
    };
    answer.unwrap_or_else(|failure| failure.response(&Style::Rest))
}

/// The agents that are exposed here, as an AI Catalog.
pub(crate) async fn catalog(State(edge): State<Edge>, request: Request) -> Response {
    let base = base_url(&edge, request.headers());
    let entries: Vec<_> = edge
        .backend()
        .calls
        .desk
        .exposed()
        .into_iter()
        .filter(|exposed| exposed.fault.is_none())
        .filter_map(|exposed| {
            let agent = exposed.agent.parse().ok()?;
            let card = format!("{base}/a2a/agents/{agent}/.well-known/agent-card.json").parse().ok()?;
            Some(althing_a2a::CatalogEntry { agent, card, skills: exposed.skills })
        })
        .collect();
    let document = althing_a2a::catalog("althing", &entries).to_string();
    let mut response = Response::new(Body::from(document));
    let kind = HeaderValue::from_static(althing_a2a::CATALOG_MEDIA_TYPE);
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// Whether a request reads.
fn reads(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}
