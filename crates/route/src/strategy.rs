use std::fmt;
use std::str::FromStr;

/// How one of several agents is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// The one that was not chosen for the longest time.
    RoundRobin,
    /// The one with the fewest calls that are under way from here.
    LeastConnections,
    /// The one that reported the least load.
    LeastLoad,
    /// The one that answered fastest so far.
    Fastest,
    /// By health, reputation, then latency and load.
    #[default]
    Best,
}

/// A text names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy \"{0}\", expected round-robin, least-connections, least-load, fastest or best")]
pub struct UnknownStrategy(String);

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::RoundRobin, Self::LeastConnections, Self::LeastLoad, Self::Fastest, Self::Best];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::LeastLoad => "least-load",
            Self::Fastest => "fastest",
            Self::Best => "best",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let found = Self::ALL.into_iter().find(|strategy| strategy.name() == text);
        found.ok_or_else(|| UnknownStrategy(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_named_and_read_back() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        assert!("Best".parse::<Strategy>().unwrap_err().to_string().contains("round-robin"));
    }
}
