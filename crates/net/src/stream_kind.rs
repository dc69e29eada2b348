/// What a stream between two nodes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// A session: many calls, one after the other and at once, on one stream that stays.
    Calls,
    /// One call.
    Call,
    /// Plain HTTP/1.1, as libp2p has it.
    Http,
}

impl StreamKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Calls, Self::Call, Self::Http];

    /// All that a node says on a stream that it has no room for, before it closes it. On a session that is nothing.
    #[must_use]
    pub fn busy_reply(self) -> &'static [u8] {
        match self {
            Self::Calls => b"",
            // No CBOR item begins with it.
            Self::Call => &[0xff],
            Self::Http => {
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
        }
    }

    /// The word in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Call => "call",
            Self::Http => "http",
        }
    }
}
