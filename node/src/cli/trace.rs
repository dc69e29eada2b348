use std::time::Duration;

use althing_gateway::{Exchange, Tell};

use super::page::{clean, note};

/// What a command tells of its requests on standard error. Never a query, a header's value or a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// Nothing.
    Off,
    /// What is asked, how it went, and how long it took.
    Requests,
    /// How much was sent, who answered and with what, too.
    Details,
}

impl Trace {
    pub(crate) fn of(verbose: bool, debug: bool) -> Self {
        match (verbose, debug) {
            (_, true) => Self::Details,
            (true, false) => Self::Requests,
            (false, false) => Self::Off,
        }
    }

    /// What clients of the node tell.
    pub(crate) fn teller(self) -> Option<Tell> {
        match self {
            Self::Off => None,
            Self::Requests => Some(|exchange| Self::Requests.tell(exchange)),
            Self::Details => Some(|exchange| Self::Details.tell(exchange)),
        }
    }

    /// Tells of a request.
    pub(crate) fn tell(self, exchange: Exchange<'_>) {
        self.say(&self.line(exchange));
    }

    /// Tells something else that a command decided.
    pub(crate) fn say(self, line: &str) {
        if self != Self::Off {
            note(&clean(line));
        }
    }

    fn line(self, exchange: Exchange<'_>) -> String {
        let is_whole = self == Self::Details;
        match exchange {
            Exchange::Asks { method, path, bytes } if is_whole => {
                format!("> {method} {path} ({bytes} bytes)")
            }
            Exchange::Asks { method, path, .. } => format!("> {method} {path}"),
            Exchange::Answered { status, content_type, address, took } if is_whole => {
                let kind = if content_type.is_empty() { "without a type" } else { content_type };
                format!("< {status} {kind} from {address} in {}", millis(took))
            }
            Exchange::Answered { status, took, .. } => format!("< {status} in {}", millis(took)),
            Exchange::Failed { cause, took } => format!("< no answer in {}: {cause}", millis(took)),
        }
    }
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_told_to_who_wants_more() {
        let method = http::Method::POST;
        let asks = Exchange::Asks { method: &method, path: "/x", bytes: 7 };
        let took = Duration::from_micros(1_500);
        let answered =
            Exchange::Answered { status: 200, content_type: "application/json", address: "a:1", took };
        let failed = Exchange::Failed { cause: "nobody there", took };
        let lines = |trace: Trace| [asks, answered, failed].map(|exchange| trace.line(exchange));
        assert_eq!(
            lines(Trace::of(true, false)),
            ["> POST /x", "< 200 in 1.5 ms", "< no answer in 1.5 ms: nobody there"]
        );
        assert_eq!(
            lines(Trace::of(false, true))[..2],
            ["> POST /x (7 bytes)", "< 200 application/json from a:1 in 1.5 ms"]
        );
        assert!(Trace::of(false, false).teller().is_none());
    }
}
