use althing_record::cbor::{Blob, Decode, DecodeError, Encode, List, Reader, Writer};
use althing_record::{AgentId, Digest, GroupId, RecordId, cbor_map, merkle};

use crate::{BallotError, HolderTerms, Holders};

/// Most voters of a named list.
pub const VOTERS_MAX: usize = 1_000;

/// A voter and how much their ballot counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    /// Who.
    pub agent: AgentId,
    /// How much, at least 1.
    pub weight: u64,
}

/// A group as it was after one of its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The group.
    pub group: GroupId,
    /// The record that made the state: the group's Founding, or a change.
    pub head: RecordId,
}

/// Who may vote: a list, ascending by agent, and what it says to be a list of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate {
    voters: Vec<Voter>,
    total: u64,
    origin: Origin,
}

/// What the voters of an electorate are said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// Those whom the proposer names.
    List,
    /// The members of a group.
    Group(GroupState),
    /// Holders of a skill.
    Holders(Box<Holders>),
}

cbor_map! {
    /// The form of an electorate in a proposal: a commitment and where the list comes from.
    pub struct Snapshot {
        /// RFC 9162 root over voter ‖ weight (8 bytes, big-endian), in order.
        1 => pub root: Digest,
        /// How many voters.
        2 => pub count: u32,
        /// The sum of all weights.
        3 => pub total: u64,
        /// Where the list comes from.
        4 => pub source: Source,
    }
}

/// Where an electorate's list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It stands here: the voters' 32-byte ids one after the other; weights follow unless all are 1.
    List {
        /// The ids.
        voters: Blob<32_000>,
        /// The weights, as many as voters; empty if all are 1.
        weights: List<u64, VOTERS_MAX>,
    },
    /// The members of a group, each with one vote. They stand here too, so that a ballot can be judged without the group.
    Group {
        /// Which group, and after which change.
        state: GroupState,
        /// The members' ids, as in a list.
        voters: Blob<32_000>,
    },
    /// Holders of a skill, weighed by reputation. Their masses stand here; the weights follow from them.
    Holders {
        /// Which.
        terms: HolderTerms,
        /// Their ids, as in a list.
        voters: Blob<32_000>,
        /// Their masses, as many.
        masses: List<u64, VOTERS_MAX>,
    },
}

impl Encode for Source {
    fn encode(&self, to: &mut Writer) {
        match self {
            Self::List { voters, weights } => {
                to.array(3);
                to.uint(0);
                voters.encode(to);
                weights.encode(to);
            }
            Self::Group { state, voters } => {
                to.array(4);
                to.uint(1);
                state.group.encode(to);
                state.head.encode(to);
                voters.encode(to);
            }
            Self::Holders { terms, voters, masses } => {
                to.array(6);
                to.uint(2);
                terms.skill.encode(to);
                to.uint(terms.score_min);
                to.uint(terms.epoch);
                voters.encode(to);
                masses.encode(to);
            }
        }
    }
}

impl Decode for Source {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        match (from.uint()?, len) {
            (0, 3) => Ok(Self::List { voters: Decode::decode(from)?, weights: Decode::decode(from)? }),
            (1, 4) => {
                let state = GroupState { group: Decode::decode(from)?, head: Decode::decode(from)? };
                Ok(Self::Group { state, voters: Decode::decode(from)? })
            }
            (2, 6) => {
                let skill = Decode::decode(from)?;
                let terms = HolderTerms { skill, score_min: from.uint()?, epoch: from.uint()? };
                Ok(Self::Holders { terms, voters: Decode::decode(from)?, masses: Decode::decode(from)? })
            }
            (0, _) => Err(DecodeError::Invalid(format!("a voter list has 3 parts, found {len}"))),
            (1, _) => Err(DecodeError::Invalid(format!("a group's electorate has 4 parts, found {len}"))),
            (2, _) => Err(DecodeError::Invalid(format!("an electorate of holders has 6 parts, found {len}"))),
            (value, _) => Err(DecodeError::Newer { of: "electorate", what: "source", value }),
        }
    }
}

impl Electorate {
    /// A list in which every ballot counts 1.
    ///
    /// # Errors
    /// When it is empty, too long, or names somebody twice.
    pub fn equal(agents: Vec<AgentId>) -> Result<Self, BallotError> {
        Self::weighted(agents.into_iter().map(|agent| Voter { agent, weight: 1 }).collect())
    }

    /// The members of a group after one of its changes, each with one vote.
    ///
    /// # Errors
    /// When there are none, or too many, or one is named twice.
    pub fn of_group(state: GroupState, members: Vec<AgentId>) -> Result<Self, BallotError> {
        Ok(Self { origin: Origin::Group(state), ..Self::equal(members)? })
    }

    /// Holders of a skill with their masses as weights: each weighs its mass, and at most a tenth of all.
    ///
    /// # Errors
    /// When they are fewer than [`crate::HOLDERS_MIN`] or too many, one is named twice or has no mass, or the terms or the
    /// masses are out of bounds.
    pub fn of_holders(terms: HolderTerms, masses: Vec<Voter>) -> Result<Self, BallotError> {
        let listed = listed(masses)?;
        let (voters, holders) = Holders::weigh(terms, listed)?;
        Ok(Self { origin: Origin::Holders(Box::new(holders)), ..Self::weighted(voters)? })
    }

    /// A list with weights.
    ///
    /// # Errors
    /// When it is empty, too long, names somebody twice, has a weight of zero, or weights that sum above 2^64 − 1.
    pub fn weighted(voters: Vec<Voter>) -> Result<Self, BallotError> {
        let voters = listed(voters)?;
        if let Some(voter) = voters.iter().find(|voter| voter.weight == 0) {
            return Err(BallotError::Weights(format!("{} has weight 0", voter.agent)));
        }
        let sum: u128 = voters.iter().map(|voter| u128::from(voter.weight)).sum();
        let total = u64::try_from(sum).map_err(|_| {
            BallotError::Weights(format!("they sum to {sum}, at most {} is allowed", u64::MAX))
        })?;
        Ok(Self { voters, total, origin: Origin::List })
    }

    /// Reads the list of a proposal and holds it against its commitment.
    ///
    /// # Errors
    /// When it does not match.
    pub fn from_snapshot(snapshot: &Snapshot) -> Result<Self, BallotError> {
        let (voters, weights) = match &snapshot.source {
            Source::List { voters, weights } | Source::Holders { voters, masses: weights, .. } => {
                (voters, &weights[..])
            }
            Source::Group { voters, .. } => (voters, &[][..]),
        };
        let agents: Vec<AgentId> = voters
            .chunks(32)
            .map(AgentId::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| BallotError::Electorate)?;
        let is_left_out = weights.is_empty() && !matches!(snapshot.source, Source::Holders { .. });
        if !(is_left_out || weights.len() == agents.len()) {
            return Err(BallotError::Electorate);
        }
        let weight = |index: usize| weights.get(index).copied().unwrap_or(1);
        let listed: Vec<Voter> = agents
            .iter()
            .enumerate()
            .map(|(index, agent)| Voter { agent: *agent, weight: weight(index) })
            .collect();
        let electorate = match &snapshot.source {
            Source::List { .. } => Self::weighted(listed)?,
            Source::Group { state, .. } => Self::of_group(*state, agents.clone())?,
            Source::Holders { terms, .. } => Self::of_holders(terms.clone(), listed)?,
        };
        // One electorate has one form: in order, and with weights only where they differ from 1.
        let in_order = electorate.voters.iter().map(|voter| voter.agent).eq(agents);
        let same = in_order && electorate.snapshot() == *snapshot;
        if same { Ok(electorate) } else { Err(BallotError::Electorate) }
    }

    /// The form of this electorate in a proposal.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let leaves: Vec<_> = self
            .voters
            .iter()
            .map(|voter| [&voter.agent.0[..], &voter.weight.to_be_bytes()].concat())
            .collect();
        let ids: Vec<u8> = self.voters.iter().flat_map(|voter| voter.agent.0).collect();
        let equal = self.voters.iter().all(|voter| voter.weight == 1);
        let weights = if equal { Vec::new() } else { self.voters.iter().map(|voter| voter.weight).collect() };
        let voters = Blob::try_from(ids).unwrap_or_default();
        Snapshot {
            root: merkle::root(&leaves),
            count: u32::try_from(self.voters.len()).unwrap_or(u32::MAX),
            total: self.total,
            source: match &self.origin {
                Origin::List => Source::List { voters, weights: List::try_from(weights).unwrap_or_default() },
                Origin::Group(state) => Source::Group { state: *state, voters },
                Origin::Holders(holders) => {
                    let masses = List::try_from(holders.masses.clone()).unwrap_or_default();
                    Source::Holders { terms: holders.terms.clone(), voters, masses }
                }
            },
        }
    }

    /// The voters, ascending by agent.
    #[must_use]
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// The group whose members they say to be. Whether they are is for whoever knows the group's records.
    #[must_use]
    pub fn group(&self) -> Option<GroupState> {
        match &self.origin {
            Origin::Group(state) => Some(*state),
            Origin::List | Origin::Holders(_) => None,
        }
    }

    /// The holders of a skill that they say to be. Whether they are, and have these masses, is for whoever knows cards and
    /// attestations.
    #[must_use]
    pub fn holders(&self) -> Option<&Holders> {
        match &self.origin {
            Origin::Holders(holders) => Some(holders),
            Origin::List | Origin::Group(_) => None,
        }
    }

    /// How much an agent's ballot counts; none if it may not vote.
    #[must_use]
    pub fn weight(&self, agent: AgentId) -> Option<u64> {
        let at = self.voters.binary_search_by_key(&agent, |voter| voter.agent).ok()?;
        Some(self.voters[at].weight)
    }

    /// The sum of all weights, W.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// F = ⌊(W − 1)/3⌋: the weight of cheating voters that a Direct decision survives.
    #[must_use]
    pub fn tolerates(&self) -> u64 {
        (self.total - 1) / 3
    }

    /// Whether all ballots count 1.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.total == self.voters.len() as u64
    }
}

/// Voters ascending by agent, each once.
fn listed(mut voters: Vec<Voter>) -> Result<Vec<Voter>, BallotError> {
    if voters.is_empty() {
        return Err(BallotError::NoVoters);
    }
    if voters.len() > VOTERS_MAX {
        return Err(BallotError::TooManyVoters(voters.len()));
    }
    voters.sort_unstable();
    match voters.windows(2).find(|pair| pair[0].agent == pair[1].agent) {
        Some(pair) => Err(BallotError::Twice(pair[0].agent)),
        None => Ok(voters),
    }
}

#[cfg(test)]
mod tests {
    use althing_record::cbor::{self, Limits};

    use super::*;

    fn agents(count: u8) -> Vec<AgentId> {
        (0..count).map(|n| AgentId([n; 32])).collect()
    }

    #[test]
    fn a_list_round_trips_through_its_commitment_whatever_its_order() {
        let mut shuffled = agents(5);
        shuffled.reverse();
        let electorate = Electorate::equal(shuffled).unwrap();
        assert_eq!(Electorate::from_snapshot(&electorate.snapshot()), Ok(electorate.clone()));
        assert_eq!(electorate.weight(AgentId([3; 32])), Some(1));
        assert_eq!(electorate.weight(AgentId([9; 32])), None);
    }

    #[test]
    fn a_list_that_differs_from_its_commitment_is_refused() {
        let electorate = Electorate::equal(agents(3)).unwrap();
        let mut wrong = electorate.snapshot();
        wrong.total = 4;
        assert_eq!(Electorate::from_snapshot(&wrong), Err(BallotError::Electorate));
        let mut wrong = electorate.snapshot();
        wrong.root = Digest([0; 32]);
        assert_eq!(Electorate::from_snapshot(&wrong), Err(BallotError::Electorate));
        let mut wrong = electorate.snapshot();
        let Source::List { weights, .. } = &mut wrong.source else { panic!("a list") };
        *weights = vec![1, 1, 1].try_into().unwrap();
        assert_eq!(Electorate::from_snapshot(&wrong), Err(BallotError::Electorate));
        let mut wrong = electorate.snapshot();
        let Source::List { voters, .. } = &mut wrong.source else { panic!("a list") };
        *voters = voters[..40].to_vec().try_into().unwrap();
        assert_eq!(Electorate::from_snapshot(&wrong), Err(BallotError::Electorate));
    }

    #[test]
    fn a_groups_electorate_round_trips_with_the_state_that_it_is_of() {
        let state = GroupState { group: GroupId([5; 32]), head: RecordId([6; 32]) };
        let electorate = Electorate::of_group(state, agents(3)).unwrap();
        let read = cbor::from_slice(&cbor::to_vec(&electorate.snapshot()), Limits::RECORD).unwrap();
        assert_eq!(Electorate::from_snapshot(&read), Ok(electorate.clone()));
        assert_eq!((electorate.group(), electorate.is_equal()), (Some(state), true));
        assert_ne!(
            Ok(electorate),
            Electorate::equal(agents(3)),
            "the same voters by name are another electorate"
        );
    }

    #[test]
    fn unusable_lists_are_refused_by_name() {
        assert_eq!(Electorate::equal(vec![]), Err(BallotError::NoVoters));
        assert_eq!(Electorate::equal(vec![AgentId([1; 32]); 2]), Err(BallotError::Twice(AgentId([1; 32]))));
        let huge = |weight| agents(2).into_iter().map(|agent| Voter { agent, weight }).collect::<Vec<_>>();
        assert!(matches!(Electorate::weighted(huge(u64::MAX)), Err(BallotError::Weights(_))));
        assert!(matches!(Electorate::weighted(huge(0)), Err(BallotError::Weights(_))));
        let crowd = (0..=VOTERS_MAX as u16).map(|n| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            AgentId(id)
        });
        assert_eq!(Electorate::equal(crowd.collect()), Err(BallotError::TooManyVoters(VOTERS_MAX + 1)));
    }
}
