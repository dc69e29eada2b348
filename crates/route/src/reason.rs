use crate::Ticks;

/// Why [`crate::Strategy::Best`] may choose a candidate, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Nobody has a reputation: the one with the least latency and load is called.
    Unrated,
    /// One of those that are drawn from, by the square of their scores.
    Good,
    /// Too little is known of it: it is tried now and then, and always if nobody is good.
    Newcomer,
    /// All others are bad too, and this one has the highest score.
    LeastBad,
    /// Its score is below 0.4.
    Low,
    /// Its score is more than 0.15 below the highest.
    Behind,
    /// It failed lately and may be back: one call in eight looks whether it is, and every call if all others failed too.
    Back,
    /// It failed lately, and is not called before then.
    Shut(Ticks),
}

impl Reason {
    /// Whether a call may go to it.
    #[must_use]
    pub fn may_be_chosen(self) -> bool {
        match self {
            Self::Unrated | Self::Good | Self::Newcomer | Self::LeastBad | Self::Back => true,
            Self::Low | Self::Behind | Self::Shut(_) => false,
        }
    }
}

/// What [`crate::Router::weigh`] says of candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// The reason of each candidate, in their order.
    pub reasons: Vec<Reason>,
    /// With what chance a call tries one of the newcomers among them, in millionths; 0 if there is none.
    pub trial_per_million: u32,
}
