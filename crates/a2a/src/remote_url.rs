use core::net::IpAddr;
use std::fmt;

use url::Url;

use crate::operator_url::{address, parse};
use crate::{AddressError, UrlError, public_unicast};

/// A URL that somebody else gave, such as a webhook or one in a card: http or https, and nothing but hosts of the public
/// network.
///
/// Whoever follows it resolves the host's name once, puts each address through [`RemoteUrl::admits`], dials an address that
/// passed, and follows no redirect.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl(Url);

impl RemoteUrl {
    /// Reads a URL; its fragment is dropped. A host that is an address, in whatever spelling, is checked at once.
    ///
    /// # Errors
    /// When it is no http or https URL, holds a password, or leads to an address that is not public.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = parse(text)?;
        if let Some(address) = address(&url) {
            Self::admits(address)?;
        }
        Ok(Self(url))
    }

    /// Whether an address that the host's name resolved to may be dialed: public unicast alone.
    ///
    /// # Errors
    /// With the range that the address is in.
    pub fn admits(address: IpAddr) -> Result<(), AddressError> {
        public_unicast(address)
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_an_address_that_is_not_public_passes() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7F.1",
            "017700000001",
            "0177.0.0.01",
            "127.0.0.1.",
            "127%2e0.0.1",
            "%31%32%37.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "0",
            "0.0.0.0",
            "0x0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "[fe80::1]",
            "[fd00::1]",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
        ] {
            let found = RemoteUrl::parse(&format!("http://{host}/hook"));
            assert!(matches!(found, Err(UrlError::Address(_))), "{host}: {found:?}");
        }
    }

    #[test]
    fn spellings_that_are_no_hosts_are_no_urls() {
        for host in ["127.0.0.1.5", "256.0.0.1", "0x", "1.2.3.08", "[::1", "[fe80::1%25eth0]", "a b", ""] {
            let found = RemoteUrl::parse(&format!("http://{host}/hook"));
            assert!(found.is_err(), "{host}: {found:?}");
        }
        assert!(RemoteUrl::parse("http://1.2.3.4@127.0.0.1/").is_err());
        assert!(RemoteUrl::parse(r"http:\\127.0.0.1\").is_err());
        assert!(RemoteUrl::parse("http:127.0.0.1").is_err());
    }

    #[test]
    fn public_addresses_and_names_pass() {
        for text in ["https://example.com/hook?token=x", "http://8.8.8.8:8080/", "https://[2606:4700::1111]/"]
        {
            assert_eq!(RemoteUrl::parse(text).unwrap().url().as_str(), text);
        }
        // A name says nothing; what it resolves to is put through the check, each time.
        assert!(RemoteUrl::parse("http://localhost/").is_ok());
        assert!(RemoteUrl::admits("127.0.0.1".parse().unwrap()).is_err());
    }
}
