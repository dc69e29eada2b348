use althing_a2a::{OperatorUrl, OriginCard};
use althing_engine::{Refusal, RefusalKind};
use althing_gateway::{Exchange, path_of};
use althing_tunnel::{FetchError, HttpOrigin, Site};
use http::{Method, StatusCode};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::{refuse, resolve};

/// Where cards are looked for below an address: where A2A 1.0 has them, and where older agents do.
const PLACES: [&str; 3] =
    ["/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/agent-card"];

/// An agent's card, and where it was.
pub(crate) struct Found {
    pub(crate) card: OriginCard,
    pub(crate) target: String,
    pub(crate) site: Site,
    pub(crate) card_url: String,
}

/// Finds the card at a URL, or below it. `tell` is told of each request.
pub(crate) async fn find(
    text: &str,
    tls: &TlsConnector,
    tell: impl Fn(Exchange<'_>),
) -> Result<Found, Refusal> {
    let url = OperatorUrl::parse(text).map_err(|error| {
        // What stands before an @ may be a password.
        let shown: String = text.rsplit('@').next().unwrap_or_default().chars().take(200).collect();
        refuse(RefusalKind::Invalid, format!("{shown}: {error}"), Some("write it as http://localhost:9999"))
    })?;
    let site = resolve(&url).await?;
    let origin = HttpOrigin::new(site.clone(), tls.clone(), None);
    let mut last = None;
    for target in targets(&url) {
        match fetch(&origin, &site, &target, &tell).await {
            Ok(bytes) => match OriginCard::parse(&bytes) {
                Ok(card) => {
                    let card_url = format!("{}{target}", site.base);
                    return Ok(Found { card, target, site, card_url });
                }
                // The address itself may be a page for people.
                Err(faults) => {
                    let is_json = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
                    let refusal = refuse(
                        RefusalKind::Invalid,
                        format!("{}{target} is not a valid agent card: {faults}", site.base),
                        Some("mend the card; `althing card verify FILE` checks one"),
                    );
                    if is_json {
                        return Err(refusal);
                    }
                    last.get_or_insert(refusal);
                }
            },
            Err(FetchError::Status { status, url }) if is_elsewhere(status) => {
                let hint = "give the URL of the card itself if it is elsewhere";
                let cause = format!("{url} answered {status}: no agent card there");
                last = Some(refuse(RefusalKind::NotFound, cause, Some(hint)));
            }
            Err(FetchError::Origin(error)) => {
                let hint = "start the agent first; it must answer at this address from this machine";
                return Err(refuse(RefusalKind::NotFound, error.to_string(), Some(hint)));
            }
            Err(
                error @ (FetchError::Status { .. }
                | FetchError::Redirect { .. }
                | FetchError::TooLarge { .. }
                | FetchError::Broken { .. }),
            ) => {
                let hint = matches!(error, FetchError::Redirect { .. })
                    .then_some("name the address that it redirects to");
                return Err(refuse(RefusalKind::Invalid, error.to_string(), hint));
            }
        }
    }
    let nothing = || refuse(RefusalKind::NotFound, format!("{} has no agent card", site.base), None);
    Err(last.unwrap_or_else(nothing))
}

async fn fetch(
    origin: &HttpOrigin,
    site: &Site,
    target: &str,
    tell: &impl Fn(Exchange<'_>),
) -> Result<Vec<u8>, FetchError> {
    let path = format!("{}{}", site.base, path_of(target));
    tell(Exchange::Asks { method: &Method::GET, path: &path, bytes: 0 });
    let began = Instant::now();
    let fetched = origin.fetch(target).await;
    let took = began.elapsed();
    let status = match &fetched {
        Ok(_) => Ok(StatusCode::OK),
        Err(FetchError::Status { status, .. }) => Ok(*status),
        Err(
            error @ (FetchError::Origin(_)
            | FetchError::Redirect { .. }
            | FetchError::TooLarge { .. }
            | FetchError::Broken { .. }),
        ) => Err(error.to_string()),
    };
    match &status {
        Ok(status) => {
            tell(Exchange::Answered { status: status.as_u16(), content_type: "", address: &site.base, took })
        }
        Err(cause) => tell(Exchange::Failed { cause, took }),
    }
    fetched
}

fn is_elsewhere(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND
        || status == StatusCode::METHOD_NOT_ALLOWED
        || status == StatusCode::NOT_ACCEPTABLE
}

/// Where to look: at the URL itself if it names more than a host, then below its directory, then below the host.
fn targets(url: &OperatorUrl) -> Vec<String> {
    let url = url.url();
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    let path = url.path();
    let mut targets = Vec::new();
    if path != "/" || url.query().is_some() {
        targets.push(format!("{path}{query}"));
    }
    let base = path.trim_end_matches('/');
    if path.ends_with(".json") {
        return targets;
    }
    for place in PLACES {
        targets.push(format!("{base}{place}{query}"));
    }
    if !base.is_empty() {
        targets.extend(PLACES.map(|place| format!("{place}{query}")));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_looked_for_where_it_is_said_to_be_first() {
        let all = |text: &str| targets(&OperatorUrl::parse(text).unwrap());
        assert_eq!(all("http://x:9999"), PLACES);
        assert_eq!(
            all("http://x/.well-known/agent-card.json?assistant_id=7"),
            ["/.well-known/agent-card.json?assistant_id=7"]
        );
        assert_eq!(all("http://x/a/")[..2], ["/a/".to_owned(), "/a/.well-known/agent-card.json".to_owned()]);
        assert_eq!(all("http://x/a").last().unwrap(), PLACES[2]);
    }
}
