use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use althing_ballot::{Answers, Choice, Docket, Outcome, Tally};
use althing_record::{AgentId, RecordId};
use althing_store::ReadError;

/// The weight of each option of each question of a Direct docket, by the answers that were counted.
///
/// A voter's weight is added once to every option that any of the voter's batches names, so adding one more costs as much
/// however many there were.
pub(super) struct RunningCount {
    electorate: BTreeMap<AgentId, u64>,
    named: BTreeMap<AgentId, Named>,
    tallies: Vec<Vec<u64>>,
    /// How many voters answered more than once.
    often: usize,
}

/// The options that a voter named.
enum Named {
    /// Those of this batch.
    Once(RecordId),
    /// Those of several: for each question a bit for each option.
    Often(Box<[u64]>),
}

impl RunningCount {
    pub(super) fn new(docket: &Docket) -> Self {
        let mut tallies = Vec::with_capacity(docket.len());
        docket.for_each(|_, question| tallies.push(vec![0; question.options.len()]));
        let voters = docket.terms.electorate.voters();
        let electorate = voters.iter().map(|voter| (voter.agent, voter.weight)).collect();
        Self { electorate, named: BTreeMap::new(), tallies, often: 0 }
    }

    pub(super) fn has_voter(&self, agent: AgentId) -> bool {
        self.electorate.contains_key(&agent)
    }

    pub(super) fn often(&self) -> usize {
        self.often
    }

    /// Adds answers that count. `earlier` reads the voter's first ones when these are the second.
    pub(super) fn add(
        &mut self,
        answers: &Answers,
        earlier: impl FnOnce(RecordId) -> Result<Option<Arc<Answers>>, ReadError>,
    ) -> Result<(), ReadError> {
        let Some(weight) = self.electorate.get(&answers.voter).copied() else { return Ok(()) };
        let named = match self.named.entry(answers.voter) {
            Entry::Vacant(vacant) => {
                vacant.insert(Named::Once(answers.batch));
                for (tally, choice) in self.tallies.iter_mut().zip(&answers.choices) {
                    if let Some(votes) = option(choice).and_then(|index| tally.get_mut(index)) {
                        // Each sum is at most the electorate's total, which fits.
                        *votes += weight;
                    }
                }
                return Ok(());
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if let Named::Once(first) = named {
            let Some(first) = earlier(*first)? else { return Ok(()) };
            let bits = |choice: &Choice| option(choice).map_or(0, bit);
            let bits = first.choices.iter().map(bits).chain(std::iter::repeat(0)).take(self.tallies.len());
            *named = Named::Often(bits.collect());
            self.often += 1;
        }
        let Named::Often(bits) = named else { return Ok(()) };
        for ((tally, bits), choice) in self.tallies.iter_mut().zip(bits).zip(&answers.choices) {
            let Some(index) = option(choice) else { continue };
            if let Some(votes) = tally.get_mut(index).filter(|_| *bits & bit(index) == 0) {
                *bits |= bit(index);
                *votes += weight;
            }
        }
        Ok(())
    }

    /// The weights for each question, and what they decide.
    pub(super) fn weights(&self, docket: &Docket) -> Vec<(Vec<u64>, Outcome)> {
        let (mut all, mut tallies) = (Vec::with_capacity(docket.len()), self.tallies.iter());
        docket.for_each(|_, question| {
            let weights = tallies.next().cloned().unwrap_or_default();
            let tally = Tally { weights, abstaining: 0, choices: BTreeMap::new() };
            let outcome = tally.outcome(question);
            all.push((tally.weights, outcome));
        });
        all
    }
}

fn option(choice: &Choice) -> Option<usize> {
    if let Choice::Option(index) = choice { usize::try_from(*index).ok() } else { None }
}

/// An option is one of at most 64.
fn bit(option: usize) -> u64 {
    u32::try_from(option).ok().and_then(|option| 1_u64.checked_shl(option)).unwrap_or(0)
}
