use std::collections::BTreeSet;

/// What HTTP keeps between two neighbours (RFC 9110, section 7.6.1, and the fields of RFC 9110 that are for one proxy).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What this node alone writes.
const OWN_PREFIXES: &[&str] = &["althing-", "x-althing-"];

/// Most names that the Connection fields of one message give; of more, every field is taken for named.
const NAMES_MAX: usize = 64;

/// Which fields of one message are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedHeaders {
    named: BTreeSet<String>,
    too_many: bool,
}

impl PassedHeaders {
    /// By the values of the message's Connection fields.
    #[must_use]
    pub fn of<'a>(connection: impl IntoIterator<Item = &'a str>) -> Self {
        let names = connection.into_iter().flat_map(|value| value.split(','));
        let names = names.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        let named: BTreeSet<_> = names.take(NAMES_MAX + 1).collect();
        Self { too_many: named.len() > NAMES_MAX, named }
    }

    /// Whether a field of a request or response is passed on: not what belongs to this hop, and what Connection names.
    #[must_use]
    pub fn passes(&self, name: &str) -> bool {
        let is_of_the_hop = HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name));
        let is_named = || !self.named.is_empty() && self.named.contains(&name.to_ascii_lowercase());
        !self.too_many && !is_of_the_hop && !is_named()
    }

    /// Whether a field of an incoming request is passed on: [`PassedHeaders::passes`], and it is none that only this node
    /// writes.
    #[must_use]
    pub fn passes_in(&self, name: &str) -> bool {
        self.passes(name) && !is_own_header(name)
    }
}

/// Whether a field's name is one that only this node writes, such as the caller's identity: `althing-…`, `x-althing-…`.
#[must_use]
pub fn is_own_header(name: &str) -> bool {
    let is = |(found, own): (u8, u8)| found.eq_ignore_ascii_case(&own) || (found, own) == (b'_', b'-');
    let begins_with = |prefix: &&str| name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(is);
    OWN_PREFIXES.iter().any(begins_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_hop_and_those_that_connection_names_stay_behind() {
        let passed = PassedHeaders::of(["close, X-Secret ,,keep-alive", "Te, authorization"]);
        for name in ["Connection", "KEEP-ALIVE", "te", "Upgrade", "x-secret", "Authorization", "Trailer"] {
            assert!(!passed.passes(name) && !passed.passes_in(name), "{name}");
        }
        for name in ["proxy-authorization", "Proxy-Connection", "transfer-encoding", "proxy-authenticate"] {
            assert!(!PassedHeaders::of([]).passes(name), "{name}");
        }
        for name in ["Content-Type", "traceparent", "tracestate", "A2A-Version", "cookie", "last-event-id"] {
            assert!(passed.passes(name) && passed.passes_in(name), "{name}");
        }
        assert!(PassedHeaders::of([]).passes("authorization"));
    }

    #[test]
    fn own_fields_are_never_taken_from_others() {
        for name in
            ["althing-caller", "Althing-Caller", "X-Althing-Caller", "x_althing_caller", "ALTHING_caller"]
        {
            assert!(is_own_header(name) && !PassedHeaders::of([]).passes_in(name), "{name}");
            assert!(PassedHeaders::of([]).passes(name), "in responses they are what the origin says: {name}");
        }
        assert!(!is_own_header("x-althingish") && !is_own_header("althing"));
    }

    #[test]
    fn a_connection_field_that_names_too_much_stops_everything() {
        let many: Vec<_> = (0..=NAMES_MAX).map(|n| format!("x-{n}")).collect();
        assert!(!PassedHeaders::of([many.join(",").as_str()]).passes("content-type"));
        assert!(PassedHeaders::of([many[1..].join(",").as_str()]).passes("content-type"));
    }
}
