/// First segments of the paths of HTTP+JSON (A2A's specification, section 11.3, and those of 0.3).
const FIRST_SEGMENTS: [&[u8]; 5] =
    [b"message:send", b"message:stream", b"tasks", b"extendedAgentCard", b"card"];

/// Longest path that is decoded again and again.
const ENCODINGS_MAX: usize = 8;

/// What a request is about, as far as the tunnel has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// JSON-RPC: the body says it.
    Rpc,
    /// A message is sent; it may come with a configuration for push notifications.
    Message,
    /// The push notifications of a task.
    Push,
    /// Anything else of A2A.
    Other,
}

impl Operation {
    /// The operation at a path below an agent; none if it is no path of A2A's. A path may begin with the version, as in
    /// 0.3, and with the interface's tenant.
    pub(crate) fn of(path: &str, tenant: Option<&str>) -> Option<Self> {
        if path == "/" {
            return Some(Self::Rpc);
        }
        let decoded = decoded(path);
        let mut segments = path.split('/').skip(1).map(|segment| once(segment.as_bytes())).peekable();
        segments.next_if(|first| first == b"v1");
        segments.next_if(|first| tenant.is_some_and(|tenant| first == tenant.as_bytes()));
        let first = segments.next()?;
        if !FIRST_SEGMENTS.contains(&first.as_slice()) {
            return None;
        }
        Some(if contains(&decoded, b"pushnotification") {
            Self::Push
        } else if first.starts_with(b"message:") {
            Self::Message
        } else {
            Self::Other
        })
    }
}

/// A path in lower case without any encoding, however often it is encoded.
fn decoded(path: &str) -> Vec<u8> {
    let mut path = path.as_bytes().to_ascii_lowercase();
    for _ in 0..ENCODINGS_MAX {
        let next = once(&path).to_ascii_lowercase();
        if next == path {
            break;
        }
        path = next;
    }
    path
}

/// Takes one layer of percent-encoding off.
fn once(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let digits = digit(0).zip(digit(1)).filter(|_| *byte == b'%');
        let value = digits.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(value.unwrap_or(*byte));
        rest = if value.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a2a_are_told_apart() {
        for (path, operation) in [
            ("/", Operation::Rpc),
            ("/message:send", Operation::Message),
            ("/message%3Astream", Operation::Message),
            ("/v1/message:send", Operation::Message),
            ("/acme/message:send", Operation::Message),
            ("/v1/acme/message:send", Operation::Message),
            ("/tasks", Operation::Other),
            ("/tasks/7:cancel", Operation::Other),
            ("/tasks/7/pushNotificationConfigs", Operation::Push),
            ("/tasks/7/PushNotificationconfigs/1", Operation::Push),
            ("/tasks/7%2Fpush%4EotificationConfigs", Operation::Push),
            ("/tasks/7/push%254eotificationConfigs", Operation::Push),
            ("/extendedAgentCard", Operation::Other),
            ("/v1/card", Operation::Other),
        ] {
            assert_eq!(Operation::of(path, Some("acme")), Some(operation), "{path}");
        }
    }

    #[test]
    fn what_else_an_origin_serves_is_no_operation() {
        for path in [
            "/metrics",
            "/admin/tasks",
            "/v1",
            "/v2/tasks",
            "/tasksx",
            "/Tasks",
            "/x/message:send",
            "/v1/v1/tasks",
        ] {
            assert_eq!(Operation::of(path, Some("acme")), None, "{path}");
            assert_eq!(Operation::of("/acme/tasks", None), None, "the tenant is another's");
        }
    }
}
