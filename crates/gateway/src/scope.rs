use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::api::{Problem, ProblemKind};
use crate::body;
use crate::edge::Edge;
use crate::refused::Refused;
use crate::token::Token;

/// What a token allows. Every route with a token declares the scope that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// To look.
    Read,
    /// To look, to sign as the hosted agents, and to stop the node.
    Admin,
}

impl Scope {
    /// The scope's name in the OpenAPI document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// Lets a request through whose token has the scope.
pub(crate) async fn authorize(
    State((edge, needed)): State<(Edge, Scope)>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let allowed = granted(edge.token(), request.headers()).and_then(|granted| check(granted, needed));
    match allowed {
        Ok(()) => Ok(next.run(request).await),
        Err(refused) => {
            body::discard(request.into_body()).await;
            Err(refused)
        }
    }
}

fn check(granted: Scope, needed: Scope) -> Result<(), Refused> {
    if granted >= needed {
        return Ok(());
    }
    let detail = format!("expected a token with the scope {}, found {}", needed.name(), granted.name());
    Err(Problem::new(ProblemKind::Scope, detail).with_hint("use a token with that scope").into())
}

/// The scope of the token that the headers present. There is one token, and it is an admin's.
fn granted(token: &Token, headers: &HeaderMap) -> Result<Scope, Refused> {
    let refuse = |detail: &str| -> Refused {
        Problem::new(ProblemKind::Unauthorized, detail)
            .with_hint("send the content of api.token in the node's home as `Authorization: Bearer …`")
            .into()
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| refuse("expected an Authorization header, found none"))?;
    if values.next().is_some() {
        return Err(refuse("expected one Authorization header, found several"));
    }
    // The scheme is case-insensitive (RFC 9110, 11.1).
    let presented = value
        .as_bytes()
        .split_at_checked(7)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, presented)| presented)
        .ok_or_else(|| refuse("expected a Bearer token in the Authorization header, found another scheme"))?;
    if token.matches(presented) { Ok(Scope::Admin) } else { Err(refuse("the token is not this node's")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_scope_includes_a_narrower_one() {
        assert!(check(Scope::Admin, Scope::Read).is_ok());
        assert!(check(Scope::Read, Scope::Read).is_ok());
        assert!(check(Scope::Read, Scope::Admin).is_err());
    }
}
