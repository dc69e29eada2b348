use std::time::Duration;

use http::Method;

/// How a request goes, for who wants to be told. Queries, headers and bodies are left out: keys and tokens stand in them.
#[derive(Clone, Copy, Debug)]
pub enum Exchange<'e> {
    /// It is about to be sent.
    Asks {
        /// The method.
        method: &'e Method,
        /// The path, without its query.
        path: &'e str,
        /// Bytes of its body.
        bytes: usize,
    },
    /// The head of its answer is there.
    Answered {
        /// The status.
        status: u16,
        /// The content type, as it came; empty if there is none.
        content_type: &'e str,
        /// Who answered: a socket's path or an address.
        address: &'e str,
        /// Since it was about to be sent.
        took: Duration,
    },
    /// There is no answer.
    Failed {
        /// Why.
        cause: &'e str,
        /// Since it was about to be sent.
        took: Duration,
    },
}

/// Is told of each request.
pub type Tell = fn(Exchange<'_>);

/// A target without its query.
#[must_use]
pub fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_not_told() {
        assert_eq!(path_of("/a2a/agents/x/tasks?key=secret&key=?"), "/a2a/agents/x/tasks");
        assert_eq!(path_of("/livez"), "/livez");
    }
}
