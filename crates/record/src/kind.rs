use crate::Millis;

/// Which placement rule a kind follows; see [`crate::Placement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementRule {
    /// A slot: the highest (revision, id) wins. An expiry is required, at most this many milliseconds after `made`.
    Slot {
        /// The longest lifetime in milliseconds.
        lifetime_ms_max: u64,
    },
    /// A chain in this stream.
    Chain {
        /// The stream's name.
        stream: &'static str,
        /// Whether the chain belongs to one incarnation of a data directory.
        per_incarnation: bool,
    },
    /// Between two agents.
    Pair,
    /// One round of an agreement.
    Round,
}

/// What may travel beside the envelope of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companion {
    /// Nothing.
    None,
    /// The body itself: the payload is empty and the protected header holds the body's SHA-256.
    Body,
    /// The leaves of the Merkle tree that the payload commits to: see [`crate::Leaves`].
    Leaves,
}

/// Which records are reconciled together, outside groups. Those of [`Domain::Ratings`] are gossiped with the ledger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// Identities, groups, cards and leases.
    Directory,
    /// Proposals, ballots, checkpoints and evidence.
    Ledger,
    /// Attestations, which nodes without the ledger of ratings do not hold.
    Ratings,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Self; 3] = [Self::Directory, Self::Ledger, Self::Ratings];

    /// The domain's name in the API and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Ledger => "ledger",
            Self::Ratings => "ratings",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $placement:expr, $companion:ident, $domain:expr, $bytes_max:expr;)*) => {
        /// What a record is about. Numbers are never reused; docs/spec/records.md lists the reserved ones.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name = $code,)*
        }

        impl Kind {
            /// Every kind that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind with this number, if this version knows it.
            #[must_use]
            pub fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The kind's number.
            #[must_use]
            pub fn code(self) -> u16 {
                self as u16
            }

            /// The kind's name, for logs and metrics.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The kind's placement rule.
            #[must_use]
            pub fn placement(self) -> PlacementRule {
                match self {
                    $(Self::$name => $placement,)*
                }
            }

            /// What travels beside the envelope.
            #[must_use]
            pub fn companion(self) -> Companion {
                match self {
                    $(Self::$name => Companion::$companion,)*
                }
            }

            /// Where the kind is synced; none for pair and round placements.
            #[must_use]
            pub fn domain(self) -> Option<Domain> {
                match self {
                    $(Self::$name => $domain,)*
                }
            }

            /// The longest envelope in bytes.
            #[must_use]
            pub fn envelope_bytes_max(self) -> usize {
                match self {
                    $(Self::$name => $bytes_max,)*
                }
            }
        }
    };
}

const DAY: u64 = 24 * 60 * Millis::MINUTE;
const KIB: usize = 1_024;

const fn chain(stream: &'static str) -> PlacementRule {
    PlacementRule::Chain { stream, per_incarnation: true }
}

kinds! {
    /// The first record of an agent's identity chain.
    Inception = 1, PlacementRule::Chain { stream: "identity", per_incarnation: false }, None, Some(Domain::Directory), KIB;
    /// A change of an agent's key.
    Rotation = 2, PlacementRule::Chain { stream: "identity", per_incarnation: false }, None, Some(Domain::Directory), KIB;
    /// The start of a group; its id is the group's.
    Founding = 8, chain("group"), None, Some(Domain::Directory), 16 * KIB;
    /// One change to a group's members.
    Membership = 9, chain("group"), None, Some(Domain::Directory), 64 * KIB;
    /// That an invited agent joins a group, or that a member leaves it.
    Joining = 10, chain("group"), None, Some(Domain::Directory), KIB;
    /// An agent's self-description.
    Card = 16, PlacementRule::Slot { lifetime_ms_max: 90 * DAY }, None, Some(Domain::Directory), 16 * KIB;
    /// "This agent is served at this node now."
    Lease = 17, PlacementRule::Slot { lifetime_ms_max: 15 * Millis::MINUTE }, None, Some(Domain::Directory), 4 * KIB;
    /// A question with its electorate and rule.
    Proposal = 24, chain("vote"), None, Some(Domain::Ledger), 64 * KIB;
    /// Signed ballots, one or many under one Merkle root.
    BallotBatch = 25, chain("vote"), Leaves, Some(Domain::Ledger), 2 * KIB;
    /// Many questions to one electorate, under one Merkle root.
    ProposalBatch = 26, chain("vote"), Leaves, Some(Domain::Ledger), 2 * KIB;
    /// Ballots that a closer promises to report.
    BallotAck = 27, chain("vote"), None, Some(Domain::Ledger), 64 * KIB;
    /// The ballots that a closer holds for a proposal.
    CloseReport = 28, chain("vote"), None, Some(Domain::Ledger), 64 * KIB;
    /// A closer's part in the agreement on the reports of a proposal.
    Agreement = 30, chain("vote"), None, Some(Domain::Ledger), 16 * KIB;
    /// The key under which voters seal their ballots for a trustee of one proposal.
    TrusteeKey = 31, chain("vote"), None, Some(Domain::Ledger), KIB;
    /// How one rater's calls of one rating epoch went.
    Attestations = 32, chain("trust"), None, Some(Domain::Ratings), 64 * KIB;
    /// Which attestations count up to a rating epoch, and the scores that follow.
    Checkpoint = 33, chain("trust"), None, Some(Domain::Ledger), 64 * KIB;
    /// Two statements by which an agent contradicts itself, for everybody to see.
    Evidence = 35, chain("trust"), None, Some(Domain::Ledger), 4 * KIB;
    /// The secret of such a key.
    Opening = 36, chain("vote"), None, Some(Domain::Ledger), KIB;
    /// A message from one agent to another.
    Message = 40, PlacementRule::Pair, Body, None, 4 * KIB;
}
