use std::collections::{BTreeMap, BTreeSet};

use althing_record::{AgentId, NetworkId, RecordId};

use crate::sealed::Points;
use crate::{Choice, CloseReport, Closing, Occasion, Opened, Openings, Proposal, Sealed};

/// What closers agree on: the ids of as many close reports as are needed, ascending.
///
/// The reports say which ballots count, and they are objective: nobody who proposes a value can leave a ballot out that
/// every set of so many reports contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSet(Vec<RecordId>);

impl ReportSet {
    /// The reports of a decision among so many closers; exactly n − f of them.
    #[must_use]
    pub fn new(closers: usize, reports: impl IntoIterator<Item = RecordId>) -> Option<Self> {
        let mut reports: Vec<_> = reports.into_iter().collect();
        reports.sort_unstable();
        Self::check(closers, reports)
    }

    /// Reads the value of an agreement.
    #[must_use]
    pub fn from_bytes(closers: usize, bytes: &[u8]) -> Option<Self> {
        let reports: Option<Vec<_>> = bytes.chunks(32).map(|id| RecordId::try_from(id).ok()).collect();
        Self::check(closers, reports?)
    }

    fn check(closers: usize, reports: Vec<RecordId>) -> Option<Self> {
        let in_order = reports.windows(2).all(|pair| pair[0] < pair[1]);
        (in_order && reports.len() == Closing::reports_needed(closers)).then_some(Self(reports))
    }

    /// The value of an agreement.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|id| id.0).collect()
    }

    /// The reports' ids, ascending.
    #[must_use]
    pub fn reports(&self) -> &[RecordId] {
        &self.0
    }
}

/// Which ballots were reported, by voter.
#[must_use]
pub fn reported(reports: &[CloseReport]) -> BTreeMap<u16, BTreeSet<RecordId>> {
    let mut batches: BTreeMap<u16, BTreeSet<RecordId>> = BTreeMap::new();
    for (voter, batch) in reports.iter().flat_map(|report| &report.ballots) {
        batches.entry(*voter).or_default().insert(*batch);
    }
    batches
}

/// The ballots that count in a Closed decision: the union of the reports. One choice per voter counts; whoever made two
/// has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What each voter said.
    pub choices: BTreeMap<AgentId, Choice>,
    /// Who said two things.
    pub void: BTreeSet<AgentId>,
    /// Whose sealed ballot was opened, and is none.
    pub invalid: BTreeSet<AgentId>,
}

/// A sealed ballot that too few of its trustees have opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// Whose.
    pub voter: AgentId,
    /// How many trustees have opened it.
    pub found: usize,
    /// How many are needed.
    pub needed: usize,
}

impl Manifest {
    /// The union of reports that name these ballots; `choice` gives the choice that a batch of a voter makes.
    /// `None` if a ballot cannot be had or does not answer the proposal.
    pub fn unite(
        proposal: &Proposal,
        reports: &[CloseReport],
        mut choice: impl FnMut(AgentId, RecordId) -> Option<Choice>,
    ) -> Option<Self> {
        let mut manifest = Self { choices: BTreeMap::new(), void: BTreeSet::new(), invalid: BTreeSet::new() };
        for (place, batches) in reported(reports) {
            let voter = proposal.electorate.voters().get(usize::from(place))?.agent;
            let choices: Option<BTreeSet<Choice>> = batches
                .into_iter()
                .map(|batch| choice(voter, batch).filter(|choice| choice.fits(proposal)))
                .collect();
            let mut choices = choices?.into_iter();
            match (choices.next(), choices.next()) {
                (Some(_), Some(_)) => {
                    manifest.void.insert(voter);
                }
                (Some(choice), None) => {
                    manifest.choices.insert(voter, choice);
                }
                (None, _) => {}
            }
        }
        Some(manifest)
    }

    /// The sealed ballots in it that nobody has opened yet.
    pub fn sealed(&self) -> impl Iterator<Item = (AgentId, &Sealed)> {
        self.choices.iter().filter_map(|(voter, choice)| Some((*voter, choice.sealed()?)))
    }

    /// The manifest with its sealed ballots opened. It is the same whichever trustees opened them.
    ///
    /// # Errors
    /// When a ballot cannot be opened yet.
    pub fn open(
        self,
        network: NetworkId,
        proposal: &Proposal,
        openings: &Openings,
    ) -> Result<Self, Unopened> {
        // Opening costs much, and one ballot that waits is enough for nothing to be counted.
        for (voter, sealed) in self.sealed() {
            if let Some((found, needed)) = sealed.waits(proposal, openings) {
                return Err(Unopened { voter, found, needed });
            }
        }
        let points = Points::of(self.sealed().map(|(_, sealed)| sealed));
        let mut opened = Self { choices: BTreeMap::new(), ..self };
        for (voter, choice) in self.choices {
            let Choice::Sealed(sealed) = choice else {
                opened.choices.insert(voter, choice);
                continue;
            };
            match sealed.open_among(&Occasion { network, proposal, voter }, openings, &points) {
                Opened::Waiting { found, needed } => return Err(Unopened { voter, found, needed }),
                Opened::Invalid(_) => {
                    opened.invalid.insert(voter);
                }
                Opened::Choice(choice) => {
                    opened.choices.insert(voter, choice);
                }
            }
        }
        Ok(opened)
    }
}
