/// Why a callee does not take a call. The numbers travel and are never given to another reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// The called agent is not exposed at this node.
    #[error("the agent is not exposed here")]
    NotExposed,
    /// As many calls run as may; later is another matter.
    #[error("the callee is busy")]
    Busy,
    /// The callee does not want this caller, or not this often.
    #[error("the call is not allowed")]
    NotAllowed,
    /// What the caller sent is not a call of this version.
    #[error("the call is malformed")]
    Malformed,
    /// The call is too old, or one clock is wrong.
    #[error("the call's time is too far from the callee's clock")]
    Clock,
    /// The caller is not who it says: another node opened the stream, or the key does not speak for the agent.
    #[error("the call is not by the agent and node that it names")]
    WrongAgent,
    /// The node is about to stop.
    #[error("the callee is stopping")]
    Stopping,
    /// The callee has taken a call of this caller with this task already.
    #[error("the call was taken before")]
    Repeated,
    /// The caller's key was replaced by another one.
    #[error("the call is signed with a key that was replaced")]
    ReplacedKey,
    /// A reason of a newer version, with its number.
    #[error("the call is refused for reason {0}, which this version does not know")]
    Other(u8),
}

impl Refusal {
    /// All that this version knows.
    pub const ALL: [Self; 9] = [
        Self::NotExposed,
        Self::Busy,
        Self::NotAllowed,
        Self::Malformed,
        Self::Clock,
        Self::WrongAgent,
        Self::Stopping,
        Self::Repeated,
        Self::ReplacedKey,
    ];

    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::NotExposed => 1,
            Self::Busy => 2,
            Self::NotAllowed => 3,
            Self::Malformed => 4,
            Self::Clock => 5,
            Self::WrongAgent => 6,
            Self::Stopping => 7,
            Self::Repeated => 8,
            Self::ReplacedKey => 9,
            Self::Other(code) => code,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|known| known.code() == code).unwrap_or(Self::Other(code))
    }

    /// Whether another node that serves the agent, or this one a little later, may take the call: the refusal is about
    /// the node and not about the caller or its call. Nothing of the request was delivered in any case.
    #[must_use]
    pub fn is_of_the_node(self) -> bool {
        match self {
            Self::NotExposed | Self::Busy | Self::Stopping | Self::Clock => true,
            Self::NotAllowed
            | Self::Malformed
            | Self::WrongAgent
            | Self::Repeated
            | Self::ReplacedKey
            | Self::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back() {
        for code in 0..=u8::MAX {
            assert_eq!(Refusal::from_code(code).code(), code);
        }
        let codes: Vec<_> = Refusal::ALL.into_iter().map(Refusal::code).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(Refusal::from_code(10), Refusal::Other(10));
    }
}
