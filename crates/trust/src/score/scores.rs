use std::collections::{BTreeMap, BTreeSet};

use althing_record::cbor::{self, Limits, Reader, Writer};
use althing_record::{AgentId, Digest, merkle};
use sha2::{Digest as _, Sha256};

use super::fixed::{ONE, Q32};
use super::standing::{Factor, Standing};
use crate::RatingEpoch;

/// The version of docs/spec/reputation.md that scores follow.
const RULES_VERSION: u64 = 1;

/// What scores depend on beside attestations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Where trust starts: the genesis names them.
    pub anchors: BTreeSet<AgentId>,
    /// Who was proven to have misbehaved.
    pub slash: BTreeMap<AgentId, Slash>,
}

impl Params {
    /// SHA-256 of all that is not the same in every network: a CBOR array of the version of the rules, the anchors by
    /// id, and pairs of agents by id and what slashing leaves of each.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut to = Writer::default();
        to.array(3);
        to.uint(RULES_VERSION);
        to.array(self.anchors.len());
        for anchor in &self.anchors {
            to.bytes(&anchor.0);
        }
        to.array(2 * self.slash.len());
        for (agent, slash) in &self.slash {
            to.bytes(&agent.0);
            to.uint(slash.factor().0);
        }
        Digest(Sha256::digest(to.into_bytes()).into())
    }
}

/// What proven misbehaviour costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slash {
    /// Half for each strike: a record that is signed and malformed.
    Halved(u32),
    /// Everything, until a vote pardons: a forked chain, a double ballot, Accepts or attestations that contradict.
    Zero,
}

impl Default for Slash {
    fn default() -> Self {
        Self::Halved(0)
    }
}

impl Slash {
    /// What is left.
    #[must_use]
    pub fn factor(self) -> Q32 {
        match self {
            Self::Halved(strikes) => Q32(ONE.checked_shr(strikes).unwrap_or(0)),
            Self::Zero => Q32(0),
        }
    }
}

/// Scores of everybody who rates or is rated, at one rating epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    epoch: RatingEpoch,
    standings: Vec<(AgentId, Standing)>,
}

impl Scores {
    /// `standings` are by id, each agent once.
    pub(super) fn new(epoch: RatingEpoch, standings: Vec<(AgentId, Standing)>) -> Self {
        Self { epoch, standings }
    }

    /// The rating epoch.
    #[must_use]
    pub fn epoch(&self) -> RatingEpoch {
        self.epoch
    }

    /// One agent's; none of one whom nobody rates and who rates nobody.
    #[must_use]
    pub fn of(&self, agent: AgentId) -> Option<Standing> {
        self.place(agent).map(|at| self.standings[at].1)
    }

    /// All, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (AgentId, &Standing)> {
        self.standings.iter().map(|(agent, standing)| (*agent, standing))
    }

    pub(super) fn standings_mut(&mut self) -> &mut [(AgentId, Standing)] {
        &mut self.standings
    }

    /// The root over the leaves of all agents, by id; a checkpoint holds it.
    #[must_use]
    pub fn root(&self) -> Digest {
        merkle::root(&self.leaves())
    }

    /// The tree over the leaves of all agents, by id.
    #[must_use]
    pub fn tree(&self) -> merkle::Tree {
        merkle::Tree::of(&self.leaves())
    }

    /// The same as [`Scores::proof`], from [`Scores::tree`].
    #[must_use]
    pub fn proof_in(&self, tree: &merkle::Tree, agent: AgentId) -> Option<ScoreProof> {
        let at = self.place(agent)?;
        let (leaf, path) = (leaf(agent, &self.standings[at].1), tree.path(at)?);
        Some(ScoreProof { leaf, index: at as u64, count: self.standings.len() as u64, path })
    }

    /// An agent's leaf with its place, the number of leaves and the path to the root.
    #[must_use]
    pub fn proof(&self, agent: AgentId) -> Option<ScoreProof> {
        let at = self.place(agent)?;
        let leaves = self.leaves();
        let path = merkle::path(&leaves, at)?;
        let leaf = leaves[at].clone();
        Some(ScoreProof { leaf, index: at as u64, count: leaves.len() as u64, path })
    }

    fn place(&self, agent: AgentId) -> Option<usize> {
        self.standings.binary_search_by_key(&agent, |(agent, _)| *agent).ok()
    }

    fn leaves(&self) -> Vec<Vec<u8>> {
        self.standings.iter().map(|(agent, standing)| leaf(*agent, standing)).collect()
    }
}

/// One agent's scores, and the path from them to a checkpoint's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreProof {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// Its place.
    pub index: u64,
    /// How many leaves there are.
    pub count: u64,
    /// From the leaf up.
    pub path: Vec<Digest>,
}

/// Why a proof is none of an agent's scores at a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreProofError {
    /// The leaf is none.
    #[error("a score's leaf is malformed")]
    Leaf,
    /// It is another agent's.
    #[error("the scores are those of {0}")]
    OtherAgent(AgentId),
    /// The tree has another number of leaves than the checkpoint says.
    #[error("a tree of {found} agents, the checkpoint has {expected}")]
    Count {
        /// What the checkpoint says.
        expected: u64,
        /// What the proof says.
        found: u64,
    },
    /// It does not lead to the checkpoint's root.
    #[error("the score has a wrong merkle path")]
    Path,
}

impl ScoreProof {
    /// The scores of an agent that it proves, under the root of a checkpoint that has so many.
    ///
    /// # Errors
    /// When it does not prove them; the error names the first fault.
    pub fn read(&self, agent: AgentId, root: Digest, count: u64) -> Result<Standing, ScoreProofError> {
        let (found, standing) = read_leaf(&self.leaf).ok_or(ScoreProofError::Leaf)?;
        if found != agent {
            return Err(ScoreProofError::OtherAgent(found));
        }
        if self.count != count {
            return Err(ScoreProofError::Count { expected: count, found: self.count });
        }
        if self.proves(agent, &standing, root) { Ok(standing) } else { Err(ScoreProofError::Path) }
    }

    /// Whether it says this of the agent, under the root.
    #[must_use]
    pub fn proves(&self, agent: AgentId, standing: &Standing, root: Digest) -> bool {
        self.leaf == leaf(agent, standing)
            && merkle::verify(&self.leaf, self.index, self.count, &self.path, root)
    }
}

/// An agent and all numbers of its standing, in the order of the specification, as one CBOR array.
fn leaf(agent: AgentId, standing: &Standing) -> Vec<u8> {
    let Standing { reliability, quality, responsiveness, honesty, slash, evidence, trust, weight } = standing;
    let mut to = Writer::default();
    to.array(15);
    to.bytes(&agent.0);
    for Factor { score, long, recent } in [reliability, quality, responsiveness] {
        for value in [score, long, recent] {
            to.uint(value.0);
        }
    }
    for value in [honesty, slash, evidence, trust, weight] {
        to.uint(value.0);
    }
    to.into_bytes()
}

/// What a leaf says, if its bytes are those of one.
fn read_leaf(bytes: &[u8]) -> Option<(AgentId, Standing)> {
    cbor::scan(bytes, Limits { depth: 2, items: 32 }).ok()?;
    let mut from = Reader::new(bytes);
    if from.array().ok()? != 15 {
        return None;
    }
    let agent = AgentId::try_from(from.bytes().ok()?).ok()?;
    let mut next = || from.uint().ok().map(Q32);
    let mut factor = || Some(Factor { score: next()?, long: next()?, recent: next()? });
    let (reliability, quality, responsiveness) = (factor()?, factor()?, factor()?);
    let (honesty, slash, evidence, trust, weight) = (next()?, next()?, next()?, next()?, next()?);
    let standing = Standing { reliability, quality, responsiveness, honesty, slash, evidence, trust, weight };
    let parts = [reliability, quality, responsiveness].map(|of| [of.score, of.long, of.recent]);
    let parts = parts.as_flattened().iter().chain([&honesty, &slash, &trust, &weight]);
    // Whoever computes with them may rely on that.
    let is_in_bounds = parts.copied().all(|part| part <= Q32::ONE) && evidence.0 < 1 << 62;
    is_in_bounds.then_some((agent, standing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_halve_and_proof_of_equivocation_leaves_nothing() {
        assert_eq!(Slash::default().factor(), Q32::ONE);
        assert_eq!(Slash::Halved(2).factor(), Q32(ONE / 4));
        assert_eq!((Slash::Halved(32).factor(), Slash::Halved(64).factor()), (Q32(1), Q32(0)));
        assert_eq!(Slash::Zero.factor(), Q32(0));
    }
}
