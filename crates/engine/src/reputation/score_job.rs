//! The work of computing scores, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use althing_record::{AgentId, merkle};
use althing_trust::{Ledger, Params, RatingEpoch, Scores, Slash, Standing};

use crate::checkpoint::Step;
use crate::masses::Later;

/// What scores are computed from. [`ScoreJob::run`] takes time, depends on nothing else, and may run on any thread.
#[derive(Clone)]
pub struct ScoreJob {
    pub(super) ledger: Arc<Ledger>,
    pub(super) later: Later,
    pub(super) epoch: RatingEpoch,
    pub(super) params: Params,
    pub(super) viewer: Option<AgentId>,
    pub(super) told: BTreeSet<RatingEpoch>,
    /// Whether the scores are those of a checkpoint, of which a tree is made.
    pub(super) is_checkpoint: bool,
    /// What is done to the ledger before, for a checkpoint that is not decided.
    pub(super) step: Option<Step>,
}

impl fmt::Debug for ScoreJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relations = self.ledger.relations();
        f.debug_struct("ScoreJob").field("epoch", &self.epoch).field("relations", &relations).finish()
    }
}

/// Scores of one rating epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreTable {
    pub(super) epoch: RatingEpoch,
    pub(super) network: Option<Scores>,
    pub(super) seen: Option<Scores>,
    /// Rating epochs of which the viewer's own calls are in the ledger.
    pub(super) told: BTreeSet<RatingEpoch>,
    pub(super) slash: BTreeMap<AgentId, Slash>,
    /// Over the leaves of the first, of a job for a checkpoint.
    pub(super) tree: Option<merkle::Tree>,
}

impl ScoreJob {
    /// Scores for everybody, without what is said on later rating epochs.
    pub(crate) fn of(ledger: Arc<Ledger>, later: Later, epoch: RatingEpoch, params: Params) -> Self {
        Self {
            ledger,
            later,
            epoch,
            params,
            viewer: None,
            told: BTreeSet::new(),
            is_checkpoint: false,
            step: None,
        }
    }

    /// The scores of a checkpoint: of what those before it took, and of what it does to that.
    pub(crate) fn of_checkpoint(
        ledger: Arc<Ledger>,
        epoch: RatingEpoch,
        params: Params,
        step: Option<Step>,
    ) -> Self {
        Self {
            ledger,
            later: Later::default(),
            epoch,
            params,
            viewer: None,
            told: BTreeSet::new(),
            is_checkpoint: true,
            step,
        }
    }

    /// Computes the scores.
    #[must_use]
    pub fn run(&self) -> ScoreTable {
        let ledger = self.later.left_out_of(&self.ledger);
        let stepped = self.step.as_ref().map(|step| {
            let mut ledger = (*ledger).clone();
            step.apply(&mut ledger);
            ledger
        });
        let view = stepped.as_ref().unwrap_or(&ledger).settled_view(self.epoch);
        let network = view.scores(&self.params);
        ScoreTable {
            epoch: self.epoch,
            tree: network.as_ref().filter(|_| self.is_checkpoint).map(Scores::tree),
            network,
            seen: self.viewer.map(|agent| view.seen_by(agent, &self.params)),
            told: self.told.clone(),
            slash: self.params.slash.clone(),
        }
    }
}

impl ScoreTable {
    /// The rating epoch at whose end they are so.
    #[must_use]
    pub fn epoch(&self) -> RatingEpoch {
        self.epoch
    }

    /// Those that every node computes from the same attestations; none if the genesis names no anchors.
    #[must_use]
    pub fn network(&self) -> Option<&Scores> {
        self.network.as_ref()
    }

    /// The tree over [`ScoreTable::network`], if the scores are those of a checkpoint.
    pub(crate) fn tree(&self) -> Option<&merkle::Tree> {
        self.tree.as_ref()
    }

    /// Those that the node's first agent sees.
    #[must_use]
    pub fn seen(&self) -> Option<&Scores> {
        self.seen.as_ref()
    }

    /// What is known of an agent here, if anything is.
    pub(super) fn standing(&self, agent: AgentId) -> Option<Standing> {
        let known = self.seen.as_ref().or(self.network.as_ref()).and_then(|scores| scores.of(agent));
        known.or_else(|| self.slash.get(&agent).map(|slash| Standing::unknown(slash.factor())))
    }
}
