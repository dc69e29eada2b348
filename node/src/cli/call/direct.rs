//! Agents outside of the mesh, called by what their cards say.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use althing_a2a::{Binding, OperatorUrl, OriginCard, RemoteUrl};
use althing_engine::{Refusal, RefusalKind};
use althing_gateway::{Exchange, path_of};
use althing_tunnel::{CARD_BYTES_MAX, HttpOrigin, Origin, OriginError, Site};
use http::header::LOCATION;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::answer::Answer;
use super::interface::{Interface, Wanted};
use super::request::Request;
use super::{CardAt, Envelope, OutsideAgent};
use crate::cli::failure::{Exit, Failure};
use crate::cli::page::note;
use crate::cli::trace::Trace;
use crate::site;

/// An agent at a place of its own.
#[derive(Debug)]
pub(super) struct Direct {
    origin: HttpOrigin,
    /// Scheme, host and port.
    base: String,
    trace: Trace,
}

/// What is known of such an agent once its card was read.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) direct: Direct,
    pub(super) card: OriginCard,
    pub(super) interface: Interface,
    /// What the paths of its interface begin with; that of HTTP+JSON ends in a slash.
    pub(super) path: String,
    /// What goes into every query; empty if nothing does.
    pub(super) query: String,
}

impl Direct {
    /// Reads the card and chooses among its interfaces. Redirects are not followed, and a card from the network leads
    /// neither from TLS to none, nor from a public address to one that is not.
    pub(super) async fn meet(agent: &OutsideAgent, wanted: Wanted<'_>, trace: Trace) -> Result<Met, Failure> {
        let tls = if agent.insecure {
            note(
                "warning: whose certificate the agent has is not checked (--insecure); what it says may be anybody's",
            );
            site::tls_with_any_certificate()
        } else {
            site::tls()
        };
        let (card, from) = match &agent.card {
            CardAt::Url(url) => fetched(url, &tls, trace).await?,
            CardAt::File(path) => (read(path)?, None),
        };
        let interface = Interface::choose(card.value(), wanted)?;
        let url = OperatorUrl::parse(&interface.url).map_err(|error| wrong(error.to_string()))?;
        trace.say(&format!(
            "the agent \"{}\" speaks {} of A2A {} at {}",
            card.name(),
            interface.binding,
            interface.protocol,
            path_of(url.url().as_str())
        ));
        let site = place(&url, from).await?;
        let path = match interface.binding {
            Binding::HttpJson => format!("{}/", url.url().path().trim_end_matches('/')),
            Binding::JsonRpc | Binding::Grpc | Binding::Other(_) => url.url().path().to_owned(),
        };
        let query = url.url().query().unwrap_or_default().to_owned();
        let base = site.base.clone();
        let direct = Self { origin: HttpOrigin::new(site, tls, None), base, trace };
        Ok(Met { direct, card, interface, path, query })
    }

    /// Sends a request. The answer comes at its head; the caller bounds the time.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let path = format!("{}{}", self.base, path_of(request.target()));
        self.trace.tell(Exchange::Asks { method: request.method(), path: &path, bytes: request.bytes() });
        let request = request.into_http()?;
        let began = Instant::now();
        let asked = self.origin.ask(request).await;
        let took = began.elapsed();
        let answer = match asked {
            Ok(response) => Answer::Direct(response),
            Err(error) => {
                self.trace.tell(Exchange::Failed { cause: &error.to_string(), took });
                return Err(unreached(&error));
            }
        };
        let (status, content_type) = (answer.status(), answer.media_type());
        self.trace.tell(Exchange::Answered {
            status,
            content_type: &content_type,
            address: &self.base,
            took,
        });
        if (300..400).contains(&status) {
            let to: String =
                answer.header(LOCATION.as_str()).unwrap_or("nowhere").chars().take(200).collect();
            let cause = format!("{path} redirects to {to}, and redirects are not followed");
            return Err(Failure::new(Exit::Failed, cause)
                .hint("the agent's card must name the address itself".to_owned()));
        }
        Ok(answer)
    }
}

async fn fetched(
    url: &OperatorUrl,
    tls: &TlsConnector,
    trace: Trace,
) -> Result<(OriginCard, Option<Site>), Failure> {
    let found = site::find(url.url().as_str(), tls, |exchange| trace.tell(exchange)).await;
    let found = found.map_err(not_found)?;
    Ok((found.card, Some(found.site)))
}

fn read(path: &Path) -> Result<OriginCard, Failure> {
    let mut bytes = Vec::new();
    let most = CARD_BYTES_MAX as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| Failure::file("read", path, &error))?;
    OriginCard::parse(&bytes)
        .map_err(|faults| wrong(format!("{} is not a valid agent card: {faults}", path.display())))
}

/// Where the interface is: at the card's own site, or at another one that such a card may lead to.
async fn place(url: &OperatorUrl, from: Option<Site>) -> Result<Site, Failure> {
    let Some(from) = from else { return resolved(url).await };
    if site::is_at(url.url(), &from) {
        return Ok(from);
    }
    let site = resolved(url).await?;
    leads(&from, &site)?;
    Ok(site)
}

async fn resolved(url: &OperatorUrl) -> Result<Site, Failure> {
    site::resolve(url).await.map_err(|refusal| match refusal.kind {
        RefusalKind::NotFound => Failure::new(Exit::Down, refusal.cause).hint(refusal.hint),
        RefusalKind::Invalid
        | RefusalKind::Conflict
        | RefusalKind::NotReady
        | RefusalKind::SigningStopped
        | RefusalKind::Busy
        | RefusalKind::Timeout
        | RefusalKind::Internal => wrong(refusal.cause),
    })
}

/// Whether a card at one site may lead to another.
fn leads(from: &Site, to: &Site) -> Result<(), Failure> {
    if from.tls.is_some() && to.tls.is_none() {
        let cause = format!("the card at {} leads to {}, which does not speak TLS", from.base, to.base);
        return Err(wrong(cause));
    }
    let is_public = |site: &Site| site.addresses.iter().all(|at| RemoteUrl::admits(at.ip()).is_ok());
    if is_public(from) && !is_public(to) {
        let cause =
            format!("the card at {} leads to {}, which is not at a public address", from.base, to.base);
        return Err(wrong(cause)
            .hint("if that is meant, save the card and name the file: --agent-card FILE".to_owned()));
    }
    Ok(())
}

fn wrong(cause: String) -> Failure {
    Failure::new(Exit::Failed, cause).envelope(Envelope::own("A2ACLI_ERR_CARD_INVALID"))
}

fn not_found(refusal: Refusal) -> Failure {
    let hint = certificate_hint(&refusal.cause).or(refusal.hint);
    match refusal.kind {
        RefusalKind::NotFound => Failure::new(Exit::Down, refusal.cause)
            .envelope(Envelope::own("A2ACLI_ERR_CARD_NOT_FOUND"))
            .hint(hint),
        RefusalKind::Invalid
        | RefusalKind::Conflict
        | RefusalKind::NotReady
        | RefusalKind::SigningStopped
        | RefusalKind::Busy
        | RefusalKind::Timeout
        | RefusalKind::Internal => wrong(refusal.cause).hint(hint),
    }
}

fn unreached(error: &OriginError) -> Failure {
    let exit = match error {
        OriginError::Unreachable { .. } => Exit::Down,
        OriginError::Timeout { .. } => Exit::Timeout,
        OriginError::OtherCard { .. } | OriginError::Busy { .. } => Exit::Failed,
    };
    let may_be_done = matches!(error, OriginError::Unreachable { delivered: true, .. });
    let hint = may_be_done.then(|| "what was asked may still be done".to_owned());
    Failure::new(exit, error).hint(hint.or(certificate_hint(&error.to_string())))
}

fn certificate_hint(cause: &str) -> Option<String> {
    let is_one = cause.contains("certificate");
    is_one.then(|| "--insecure takes any certificate; only for an agent of your own".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::HeaderValue;
    use rustls::pki_types::ServerName;

    use super::*;

    fn site(base: &str, address: &str) -> Site {
        let tls = base.starts_with("https").then(|| ServerName::try_from("agent.example").unwrap());
        let addresses = vec![SocketAddr::new(address.parse().unwrap(), 443)];
        Site { base: base.to_owned(), host: HeaderValue::from_static("agent.example"), addresses, tls }
    }

    #[test]
    fn a_card_leads_to_nothing_that_is_closer_than_itself() {
        let public = site("https://agent.example", "8.8.8.8");
        let other = site("https://rpc.agent.example", "1.1.1.1");
        let here = site("https://localhost", "127.0.0.1");
        let plain = site("http://rpc.agent.example", "1.1.1.1");
        assert!(leads(&public, &other).is_ok());
        assert!(leads(&here, &other).is_ok());
        assert!(leads(&here, &site("https://10.0.0.1", "10.0.0.1")).is_ok());
        for private in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"] {
            let failure = leads(&public, &site("https://inside.example", private)).unwrap_err();
            assert!(failure.cause().contains("not at a public address"), "{failure:?}");
        }
        assert!(leads(&public, &plain).unwrap_err().cause().contains("does not speak TLS"));
        assert_eq!(leads(&public, &plain).unwrap_err().json()["error"]["code"], "A2ACLI_ERR_CARD_INVALID");
    }

    #[test]
    fn only_a_wrong_certificate_is_met_with_insecure() {
        let unreached = |cause: &str, delivered: bool| {
            unreached(&OriginError::Unreachable { origin: "x".into(), cause: cause.into(), delivered })
        };
        let hint = |failure: Failure| failure.next_step().unwrap_or_default().to_owned();
        assert!(hint(unreached("invalid peer certificate: UnknownIssuer", false)).contains("--insecure"));
        assert_eq!(hint(unreached("connection refused", false)), "");
        assert!(hint(unreached("broken pipe", true)).contains("may still be done"));
    }
}
