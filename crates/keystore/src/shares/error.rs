use althing_record::{AgentId, SignatureError};

use super::deal::{SHARES_MAX, THRESHOLD_MIN};
use super::share::SetId;

/// Why a key is not split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DealError {
    /// Too few shares would restore the key.
    #[error("threshold: expected at least {THRESHOLD_MIN}, found {found}; one share alone would be the key")]
    Threshold {
        /// The threshold.
        found: u8,
    },
    /// There would be too many shares.
    #[error("shares: expected at most {SHARES_MAX}, found {found}")]
    Shares {
        /// How many.
        found: u8,
    },
    /// All shares together would not restore the key.
    #[error("shares: expected at least the threshold, {threshold}, found {shares}")]
    TooFew {
        /// How many it takes.
        threshold: u8,
        /// How many there would be.
        shares: u8,
    },
    /// The recovery key is another than the agent was founded with.
    #[error("the recovery key is not the one that {agent} was founded with")]
    OtherRecoveryKey {
        /// The agent.
        agent: AgentId,
    },
    /// The operating system gave no random bytes.
    #[error("{0}")]
    Entropy(String),
}

/// Why a text is no share that anything is restored from. No variant carries anything of the share's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// It does not begin as a share does.
    #[error("expected a share (althing-share-v1:z…), found something else")]
    NotAShare,
    /// A newer version of this program wrote it.
    #[error("expected share version {newest} or older, found {found}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest that this program reads.
        newest: u32,
    },
    /// A character cannot stand in it.
    #[error("damaged: it holds a character that no share has (0, O, I and l are none)")]
    Character,
    /// It is cut off, or characters were left out.
    #[error("damaged: expected {expected} bytes, found {found}; characters are missing")]
    Length {
        /// How many bytes it has.
        found: usize,
        /// How many a share has.
        expected: usize,
    },
    /// There is more than a share.
    #[error("damaged: expected {expected} bytes, found more")]
    TooLong {
        /// How many a share has.
        expected: usize,
    },
    /// It is not what was written.
    #[error("damaged: its checksum does not match; a character was changed")]
    Damaged,
    /// It is of a kind that this version does not know.
    #[error("expected a share of a signing key (1) or a recovery key (2), found kind {found}")]
    Kind {
        /// The kind.
        found: u8,
    },
    /// Nobody deals so.
    #[error("{0}")]
    Deal(#[from] DealError),
    /// A share at 0 would be the secret itself, as whoever made it would have it.
    #[error("share 0: numbers begin at 1; a share 0 would say by itself what the key is")]
    IndexZero,
    /// Its number is none of its set.
    #[error("share {found}: expected a number up to {count}")]
    Index {
        /// Its number.
        found: u8,
        /// How many shares the set has.
        count: u8,
    },
    /// It was changed on purpose, or made by somebody who has not the agent's key.
    #[error("share {index} was altered: {agent} did not sign it ({cause})")]
    Altered {
        /// Its number.
        index: u8,
        /// Whose share it says it is.
        agent: AgentId,
        /// What is wrong with the signature.
        cause: SignatureError,
    },
}

/// A share that does not go with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which of those given, from 0 on.
    pub position: usize,
    /// Its number.
    pub index: u8,
    /// What is wrong.
    pub kind: MisfitKind,
}

/// What keeps a share from going with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// It was given before.
    Repeated {
        /// Where the other is.
        of: usize,
    },
    /// Another share of the same number differs from it, and the agent signed both.
    Contradicts {
        /// Where the other is.
        of: usize,
    },
    /// It is of another agent.
    OtherAgent {
        /// Whose it is.
        found: AgentId,
        /// Whose the others are.
        expected: AgentId,
    },
    /// It is of another split.
    OtherSet {
        /// Its set.
        found: SetId,
        /// That of the others.
        expected: SetId,
    },
}

/// Why no key was restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There are no shares.
    #[error("expected shares, found none")]
    Nothing,
    /// Some shares do not go with the others.
    #[error("{} of the shares do not go with the others", misfits.len())]
    Misfits {
        /// Those, in the order given.
        misfits: Vec<Misfit>,
        /// The numbers of the others.
        good: Vec<u8>,
        /// How many restore the key.
        threshold: u8,
    },
    /// There are fewer than restore the key.
    #[error("expected {threshold} shares of {agent}, found {}: {}", good.len(), list(good))]
    TooFew {
        /// The numbers of those given, in order.
        good: Vec<u8>,
        /// How many restore the key.
        threshold: u8,
        /// Whose key.
        agent: AgentId,
    },
    /// The shares are all signed and yet give another key: the agent dealt shares that do not fit together.
    #[error("the shares {} give a key that is not that of {agent}", list(good))]
    OtherKey {
        /// Their numbers.
        good: Vec<u8>,
        /// Whose key it should be.
        agent: AgentId,
    },
}

fn list(numbers: &[u8]) -> String {
    numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}
