use core::net::IpAddr;
use std::fmt;

use url::{Host, Url};

use crate::AddressError;

/// Longest URL in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// A URL that the operator of this node gave, such as the one of an agent to expose: http or https, and any host that can
/// be dialed, this machine included.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorUrl(Url);

/// Why a text is not a URL of the class it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Too long.
    #[error("URL has {found} bytes, at most {URL_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// No URL, or one without a host.
    #[error("not an absolute URL: {0}")]
    Malformed(String),
    /// Another scheme.
    #[error("URL has the scheme \"{0}\", expected http or https")]
    Scheme(String),
    /// A user or a password: they would be written to logs and cards.
    #[error("URL contains a user or a password")]
    Credentials,
    /// A port that nothing listens on.
    #[error("URL has port 0")]
    Port,
    /// The host is an address that this class of URLs does not admit.
    #[error("URL leads to {0}")]
    Address(#[from] AddressError),
}

/// What both classes have in common.
pub(crate) fn parse(text: &str) -> Result<Url, UrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlError::TooLong { found: text.len() });
    }
    let text = text.trim();
    let mut url = Url::parse(text).map_err(|error| UrlError::Malformed(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().chars().take(16).collect()));
    }
    // The parser mends these, and others mend them otherwise.
    let behind = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    if behind.is_none_or(|rest| rest.starts_with('/') || rest.contains('\\')) || url.host().is_none() {
        return Err(UrlError::Malformed("it is not written as scheme://host/path".into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    if url.port() == Some(0) {
        return Err(UrlError::Port);
    }
    url.set_fragment(None);
    Ok(url)
}

/// The address that a URL names, if it names no host by name.
pub(crate) fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

impl OperatorUrl {
    /// Reads a URL; its fragment is dropped.
    ///
    /// # Errors
    /// When it is no http or https URL, or holds a password.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = parse(text)?;
        if let Some(address) = address(&url) {
            Self::admits(address)?;
        }
        Ok(Self(url))
    }

    /// Whether an address that the host's name resolved to may be dialed: all but multicast and broadcast.
    ///
    /// # Errors
    /// With the range that the address is in.
    pub fn admits(address: IpAddr) -> Result<(), AddressError> {
        let is_broadcast = address == IpAddr::V4(core::net::Ipv4Addr::BROADCAST);
        if address.to_canonical().is_multicast() || is_broadcast {
            return Err(AddressError { address, range: "multicast or broadcast" });
        }
        Ok(())
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The URL.
    #[must_use]
    pub fn into_url(self) -> Url {
        self.0
    }
}

impl fmt::Debug for OperatorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorUrl({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_operator_may_lead_to_this_machine_and_to_names() {
        for text in [
            "http://localhost:9999",
            "http://127.0.0.1:1/a?b=c",
            "https://[::1]/",
            "http://0.0.0.0:9999/",
            "http://10.0.0.1/",
            " https://example.com/.well-known/agent-card.json?assistant_id=x#top",
        ] {
            assert!(OperatorUrl::parse(text).unwrap().url().fragment().is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused_by_name() {
        let error = |text: &str| OperatorUrl::parse(text).unwrap_err();
        assert!(matches!(error("localhost:9999"), UrlError::Scheme(scheme) if scheme == "localhost"));
        assert!(matches!(error("ftp://a/"), UrlError::Scheme(_)));
        assert!(matches!(error("unix:/run/a"), UrlError::Scheme(_)));
        assert!(matches!(error("/a2a"), UrlError::Malformed(_)));
        for odd in ["http://", "http:a", "http:/a", "http:///a", r"http:\\a", r"http://a\b", "ht\ntp://a"] {
            assert!(matches!(error(odd), UrlError::Malformed(_)), "{odd}");
        }
        assert!(matches!(error("http://a:99999/"), UrlError::Malformed(_)));
        assert_eq!(error("http://user:secret@a/"), UrlError::Credentials);
        assert_eq!(error("http://user@a/"), UrlError::Credentials);
        assert_eq!(error("http://a:0/"), UrlError::Port);
        assert!(matches!(error("http://224.0.0.1/"), UrlError::Address(_)));
        assert!(matches!(error("http://[ff02::1]/"), UrlError::Address(_)));
        assert!(matches!(error(&format!("http://a/{}", "x".repeat(2_048))), UrlError::TooLong { .. }));
    }
}
