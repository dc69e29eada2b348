use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::door;
use crate::edge::Edge;
use crate::guard;
use crate::life::Life;
use crate::refused::take_untouched;
use crate::routes;

/// Everything that is served. Requests to agents, of which there are many, go straight to the doors; the routes have the
/// rest, and say why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct App {
    edge: Edge,
    routes: Router,
}

impl App {
    pub(crate) fn new(edge: &Edge) -> Self {
        Self { edge: edge.clone(), routes: routes::app(edge) }
    }

    pub(crate) async fn answer(self, request: Request<Body>) -> Response {
        let is_straight = door::is_behind(request.uri())
            && guard::admits(&self.edge, &request)
            && door::may_enter(&self.edge, &request);
        if !is_straight {
            let answered = self.routes.oneshot(request).await;
            return answered.unwrap_or_else(|never| match never {});
        }
        let (started, method) = (Instant::now(), request.method().clone());
        let life = request.extensions().get::<Life>().cloned().map(Extension);
        let mut response = door::serve(State(self.edge), life, request).await;
        take_untouched(&mut response, &method, started);
        response
    }
}
