use althing_a2a::{OperatorUrl, OriginCard};
use althing_engine::{Refusal, RefusalKind};
use althing_tunnel::{FetchError, HttpOrigin, Site};
use http::StatusCode;
use tokio_rustls::TlsConnector;

use super::{refuse, site};

/// Where cards are looked for below an address: where A2A 1.0 has them, and where older agents do.
const PLACES: [&str; 3] =
    ["/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/agent-card"];

/// An agent's card, and where it was.
pub(super) struct Found {
    pub(super) card: OriginCard,
    pub(super) target: String,
    pub(super) site: Site,
    pub(super) card_url: String,
}

/// Finds the card at a URL, or below it.
pub(super) async fn find(text: &str, tls: &TlsConnector) -> Result<Found, Refusal> {
    let url = OperatorUrl::parse(text).map_err(|error| {
        // What stands before an @ may be a password.
        let shown: String = text.rsplit('@').next().unwrap_or_default().chars().take(200).collect();
        refuse(RefusalKind::Invalid, format!("{shown}: {error}"), Some("write it as http://localhost:9999"))
    })?;
    let site = site::resolve(&url).await?;
    let origin = HttpOrigin::new(site.clone(), tls.clone(), None);
    let mut last = None;
    for target in targets(&url) {
        match origin.fetch(&target).await {
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
                    .then_some("expose the address that it redirects to");
                return Err(refuse(RefusalKind::Invalid, error.to_string(), hint));
            }
        }
    }
    let nothing = || refuse(RefusalKind::NotFound, format!("{} has no agent card", site.base), None);
    Err(last.unwrap_or_else(nothing))
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
