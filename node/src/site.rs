//! Agents at addresses that the operator of this machine names: where they are, what their cards say, and TLS with them.

mod any_certificate;
mod find;
mod tls;

use std::time::Duration;

use althing_a2a::OperatorUrl;
use althing_engine::{Refusal, RefusalKind};
use althing_tunnel::Site;
use http::HeaderValue;
use rustls::pki_types::ServerName;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

pub(crate) use self::find::{Found, find};
pub(crate) use self::tls::{tls, tls_with_any_certificate};

/// Most addresses of one name.
const ADDRESSES_MAX: usize = 8;

/// How long resolving a name may take.
const RESOLVED_WITHIN: Duration = Duration::from_secs(5);

/// Why something about such an agent is not done.
pub(crate) fn refuse(kind: RefusalKind, cause: impl Into<String>, hint: Option<&str>) -> Refusal {
    Refusal { kind, cause: cause.into(), hint: hint.map(ToOwned::to_owned) }
}

/// Resolves a URL once; only what it resolves to is dialed from then on.
pub(crate) async fn resolve(url: &OperatorUrl) -> Result<Site, Refusal> {
    let url = url.url();
    let invalid = |cause: String| refuse(RefusalKind::Invalid, cause, None);
    let host = url.host_str().ok_or_else(|| invalid(format!("{url} names no host")))?;
    let port = url.port_or_known_default().ok_or_else(|| invalid(format!("{url} names no port")))?;
    // Brackets belong to the URL, not to the address.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let nowhere = |cause: String| {
        let hint = "check the address; `curl` it from this machine";
        refuse(RefusalKind::NotFound, format!("{host} has no address: {cause}"), Some(hint))
    };
    let found = timeout(RESOLVED_WITHIN, lookup_host((name, port))).await;
    let found = found.map_err(|_| nowhere(format!("no answer within {} s", RESOLVED_WITHIN.as_secs())))?;
    let found = found.map_err(|error| nowhere(error.to_string()))?;
    let mut addresses = Vec::new();
    for address in found.take(ADDRESSES_MAX) {
        OperatorUrl::admits(address.ip()).map_err(|error| invalid(error.to_string()))?;
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(refuse(RefusalKind::NotFound, format!("{host} has no address"), None));
    }
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let host_value =
        HeaderValue::from_str(&authority).map_err(|error| invalid(format!("{authority}: {error}")))?;
    let tls = (url.scheme() == "https")
        .then(|| ServerName::try_from(name.to_owned()))
        .transpose()
        .map_err(|error| invalid(format!("{host}: {error}")))?;
    Ok(Site { base: format!("{}://{authority}", url.scheme()), host: host_value, addresses, tls })
}

/// Whether an interface of a card is at a site: the same scheme and port, and the same host or another name of this machine.
pub(crate) fn is_at(interface: &Url, site: &Site) -> bool {
    let Ok(base) = site.base.parse::<Url>() else { return false };
    let same_port = interface.port_or_known_default() == base.port_or_known_default();
    let same_host = interface.host() == base.host() || is_here(interface) && is_here(&base);
    interface.scheme() == base.scheme() && same_port && same_host
}

/// Whether a URL names this machine; agents that listen everywhere write 0.0.0.0 into their cards.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}
