/// What gossip does with a message. Anything that depends on this node's state is never [`Verdict::Reject`]: an honest
/// relay must not pay for what it could not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Fully valid and new: keep it and pass it on.
    Accept,
    /// Duplicate, stale, early, overloaded, of an unknown kind, version or group: drop it, nobody is at fault.
    Ignore,
    /// Provably wrong from the bytes alone: drop it, the forwarding peer is at fault.
    Reject,
}
