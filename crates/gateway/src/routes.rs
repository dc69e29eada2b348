//! Every route: its handler, its scope, the problems it may answer, and from these the OpenAPI document.

mod calls;
mod cards;
mod dockets;
mod events;
mod groups;
mod keys;
mod node;
mod probes;
mod reputation;
mod score_checkpoints;
mod store;
mod votes;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::api::{EventData, LostReason, Problem, ProblemKind};
use crate::edge::Edge;
use crate::refused::{PROBLEM_JSON, Refused, finish};
use crate::scope::{Scope, authorize};
use crate::{StartError, body, door, guard};

/// The media types of bytes that are no text.
const RAW: &[&str] = &["application/cbor", "application/octet-stream"];
/// Problems of every route.
const GUARDED: &[ProblemKind] = &[ProblemKind::ForeignOrigin, ProblemKind::ForeignHost];
/// Problems of every route with a token.
const SCOPED: &[ProblemKind] = &[ProblemKind::Unauthorized, ProblemKind::Scope];
/// Problems of every route that asks the node.
const ASKING: &[ProblemKind] = &[
    ProblemKind::NotReady,
    ProblemKind::Internal,
    ProblemKind::Busy,
    ProblemKind::Stopping,
    ProblemKind::Timeout,
];
/// Problems of every route that reads a JSON body.
const READING: &[ProblemKind] =
    &[ProblemKind::Invalid, ProblemKind::SlowBody, ProblemKind::TooLarge, ProblemKind::MediaType];
/// Problems of every route that signs.
const SIGNING: &[ProblemKind] = &[ProblemKind::Conflict, ProblemKind::SigningStopped];

/// The OpenAPI document as JSON.
///
/// # Errors
/// When it cannot be written, which is a defect.
pub(crate) fn openapi() -> Result<String, StartError> {
    let (_, document) = paths(None).split_for_parts();
    document.to_json().map_err(StartError::OpenApi)
}

/// The whole application.
pub(crate) fn app(edge: &Edge) -> Router {
    let (router, _) = paths(Some(edge)).split_for_parts();
    router
        .route("/a2a/{*rest}", any(door::serve))
        .route("/.well-known/agent-card.json", get(door::face))
        .route("/.well-known/ai-catalog.json", get(door::catalog))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(edge.clone(), guard::admit))
        .layer(from_fn(finish))
        .with_state(edge.clone())
}

/// All routes. Without an edge there is only the document to be had from them.
fn paths(edge: Option<&Edge>) -> OpenApiRouter<Edge> {
    use ProblemKind::{Invalid, NotFound};
    use Scope::{Admin, Read};
    let open = |kinds: &[&[ProblemKind]], routes| declare(edge, None, kinds, routes);
    let read = |kinds: &[&[ProblemKind]], routes| declare(edge, Some(Read), kinds, routes);
    let admin = |kinds: &[&[ProblemKind]], routes| declare(edge, Some(Admin), kinds, routes);
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(open(&[], routes!(probes::livez)))
        .routes(open(&[], routes!(probes::readyz)))
        .routes(open(&[], routes!(probes::ready)))
        .routes(open(&[], routes!(probes::healthz)))
        .routes(open(&[], routes!(probes::health)))
        .routes(open(&[], routes!(probes::metrics)))
        .routes(open(&[], routes!(probes::openapi)))
        .routes(open(&[], routes!(probes::docs)))
        .routes(read(&[ASKING], routes!(node::status)))
        .routes(read(&[], routes!(node::peers)))
        .routes(read(&[], routes!(node::reach)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(node::ping)))
        .routes(read(&[ASKING, &[Invalid]], routes!(node::evidence)))
        .routes(read(&[ASKING, &[Invalid]], routes!(events::events)))
        .routes(admin(&[], routes!(node::shutdown)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(cards::publish)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(cards::card)))
        .routes(admin(&[ASKING, SIGNING, &[Invalid, NotFound]], routes!(cards::retract)))
        .routes(read(&[ASKING, &[Invalid]], routes!(cards::find)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(votes::propose)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(votes::list)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(votes::decisions)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(votes::show)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(votes::cast)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(votes::certificate)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(dockets::propose)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(dockets::list)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(dockets::show)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(dockets::cast)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(dockets::question)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(dockets::certificate)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(groups::found)))
        .routes(read(&[ASKING, &[Invalid]], routes!(groups::list)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(groups::show)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(groups::change)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(groups::vote)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(groups::join)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(groups::resolve)))
        .routes(read(&[ASKING, &[Invalid]], routes!(store::records)))
        .routes(admin(&[ASKING, READING], routes!(store::import)))
        .routes(admin(&[ASKING], routes!(store::checkpoint)))
        .routes(admin(&[ASKING, &[Invalid, NotFound]], routes!(store::piece)))
        .routes(admin(&[ASKING], routes!(store::release)))
        .routes(admin(&[ASKING], routes!(store::compact)))
        .routes(read(&[ASKING], routes!(store::compaction)))
        .routes(admin(&[ASKING, READING, SIGNING, &[NotFound]], routes!(calls::expose)))
        .routes(read(&[], routes!(calls::exposures)))
        .routes(read(&[ASKING, &[Invalid]], routes!(calls::receipts)))
        .routes(read(&[ASKING, &[Invalid]], routes!(reputation::show)))
        .routes(read(&[ASKING, &[Invalid]], routes!(reputation::explain)))
        .routes(read(&[ASKING, &[Invalid]], routes!(reputation::top)))
        .routes(read(&[ASKING, &[Invalid]], routes!(reputation::rows)))
        .routes(read(&[ASKING, &[Invalid]], routes!(score_checkpoints::list)))
        .routes(read(&[ASKING, &[Invalid, NotFound]], routes!(score_checkpoints::show)))
        .routes(admin(&[ASKING, READING, &[ProblemKind::Conflict, NotFound]], routes!(reputation::rate)))
        .routes(admin(&[ASKING, SIGNING, &[NotFound]], routes!(calls::unexpose)))
        .routes(admin(&[ASKING, SIGNING, &[NotFound]], routes!(keys::rotate)))
        .routes(admin(&[&[Invalid, NotFound], &[ProblemKind::Busy]], routes!(calls::calls)))
}

/// Puts the scope's check before the handlers, and scope and problems into their documentation.
fn declare(
    edge: Option<&Edge>,
    scope: Option<Scope>,
    kinds: &[&[ProblemKind]],
    (schemas, mut paths, mut handlers): UtoipaMethodRouter<Edge>,
) -> UtoipaMethodRouter<Edge> {
    let scoped = if scope.is_some() { SCOPED } else { &[] };
    let kinds: Vec<ProblemKind> = [GUARDED, scoped].iter().chain(kinds).copied().flatten().copied().collect();
    for item in paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            describe(operation, scope, &kinds);
        }
    }
    if let (Some(edge), Some(scope)) = (edge, scope) {
        handlers = handlers.route_layer(from_fn_with_state((edge.clone(), scope), authorize));
    }
    (schemas, paths, handlers)
}

fn describe(operation: &mut Operation, scope: Option<Scope>, kinds: &[ProblemKind]) {
    operation.security =
        Some(scope.map(|scope| SecurityRequirement::new("bearer", [scope.name()])).into_iter().collect());
    // OpenAPI 3.1 describes raw bytes by leaving the schema out.
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            for raw in RAW {
                if let Some(content) = response.content.get_mut(*raw) {
                    *content = RefOr::T(ContentBuilder::new().build());
                }
            }
        }
    }
    for kind in kinds {
        let status = kind.status().to_string();
        let line = format!("`{}`: {}.", kind.urn(), kind.title());
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(&status) {
            response.description = format!("{} {line}", response.description);
            continue;
        }
        let schema = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(line).content(PROBLEM_JSON, schema).build();
        operation.responses.responses.insert(status, RefOr::T(response));
    }
}

async fn no_such_path(request: Request) -> Refused {
    let path: String = request.uri().path().chars().take(80).collect();
    body::discard(request.into_body()).await;
    Problem::new(ProblemKind::NotFound, format!("there is no path {path} here"))
        .with_hint("GET /openapi.json lists the paths")
        .into()
}

async fn no_such_method(request: Request) -> Refused {
    let detail = format!("the path does not have the method {}", request.method());
    body::discard(request.into_body()).await;
    Problem::new(ProblemKind::MethodNotAllowed, detail).with_hint("the Allow header lists the methods").into()
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Althing local API",
        description = "What a program on this machine can ask of its node. Reached over the Unix socket `api.sock` in \
                       the node's home, or over loopback TCP at the address in `api.addr`. Routes under `/v1` take \
                       the token in `api.token` as `Authorization: Bearer …`; tokens in query strings are not \
                       accepted. Errors are RFC 9457 problems.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem, EventData, LostReason)),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description =
            Some("The 64 hex digits in `api.token` in the node's home; scope admin.".to_owned());
        document
            .components
            .get_or_insert_default()
            .security_schemes
            .insert("bearer".to_owned(), RefOr::T(SecurityScheme::Http(scheme)));
    }
}
