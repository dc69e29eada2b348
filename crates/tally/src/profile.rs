/// Most weight of one count. Sums of weights times any rule's fraction, value or score stay below 2^128.
pub const WEIGHT_MAX: u128 = 1 << 95;

/// Most different ballots of one count.
pub const KINDS_MAX: usize = 1 << 22;

/// How many ballots wait before equal ones are put together.
const UNSORTED_MIN: usize = 1 << 16;

/// The ballots of a count, equal ones as one with the sum of their weights. Neither the order in which they came nor
/// how they were split shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile<B> {
    kinds: Vec<(B, u128)>,
    weight: u128,
}

/// Collects ballots. It holds at most twice as many as there are different ones, or 65,536.
#[derive(Clone, Debug)]
pub struct Pile<B> {
    /// Sorted up to `merged`, then as they came.
    ballots: Vec<(B, u128)>,
    merged: usize,
    weight: u128,
    kinds_max: usize,
}

/// Why a ballot cannot be counted with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PileError {
    /// The sum of the weights is beyond [`WEIGHT_MAX`].
    #[error("the weights sum up to more than 2^95")]
    Weight,
    /// There are more different ballots than [`KINDS_MAX`].
    #[error("there are more than {KINDS_MAX} different ballots")]
    Kinds,
}

impl<B> Default for Pile<B> {
    fn default() -> Self {
        Self { ballots: Vec::new(), merged: 0, weight: 0, kinds_max: KINDS_MAX }
    }
}

impl<B: Ord> Pile<B> {
    /// Adds a ballot; one without weight changes nothing.
    ///
    /// # Errors
    /// When there is too much weight or too many kinds of ballots.
    pub fn add(&mut self, ballot: B, weight: u64) -> Result<(), PileError> {
        if weight == 0 {
            return Ok(());
        }
        let weight = u128::from(weight);
        // Below 2^95 + 2^64.
        let sum = self.weight + weight;
        if sum > WEIGHT_MAX {
            return Err(PileError::Weight);
        }
        self.weight = sum;
        self.ballots.push((ballot, weight));
        if self.ballots.len() - self.merged >= UNSORTED_MIN.max(self.merged) {
            self.merge();
            if self.merged > self.kinds_max {
                return Err(PileError::Kinds);
            }
        }
        Ok(())
    }

    /// The ballots, ready to be counted.
    ///
    /// # Errors
    /// When there are too many kinds of ballots.
    pub fn profile(mut self) -> Result<Profile<B>, PileError> {
        self.merge();
        if self.merged > self.kinds_max {
            return Err(PileError::Kinds);
        }
        Ok(Profile { kinds: self.ballots, weight: self.weight })
    }

    fn merge(&mut self) {
        merge(&mut self.ballots);
        self.merged = self.ballots.len();
    }
}

impl<B: Ord> Profile<B> {
    /// The profile of a few ballots.
    ///
    /// # Errors
    /// As [`Pile::add`].
    pub fn new(ballots: impl IntoIterator<Item = (B, u64)>) -> Result<Self, PileError> {
        let mut pile = Pile::default();
        for (ballot, weight) in ballots {
            pile.add(ballot, weight)?;
        }
        pile.profile()
    }

    /// The different ballots with their weights, in the ballots' own order.
    pub fn kinds(&self) -> &[(B, u128)] {
        &self.kinds
    }

    /// The sum of all weights.
    pub fn weight(&self) -> u128 {
        self.weight
    }

    /// The same weights on ballots that are read in another way; ballots that become equal become one.
    pub fn map<C: Ord>(&self, to: impl Fn(&B) -> C) -> Profile<C> {
        let mut kinds: Vec<(C, u128)> =
            self.kinds.iter().map(|(ballot, weight)| (to(ballot), *weight)).collect();
        merge(&mut kinds);
        Profile { kinds, weight: self.weight }
    }
}

/// Sorts ballots and makes equal ones one. What is sorted already is only merged.
fn merge<B: Ord>(ballots: &mut Vec<(B, u128)>) {
    ballots.sort_by(|(one, _), (other, _)| one.cmp(other));
    ballots.dedup_by(|(next, weight), (kept, sum)| {
        let is_equal = next == kept;
        if is_equal {
            *sum += *weight;
        }
        is_equal
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ballots_become_one_in_whatever_order_they_come() {
        let one = Profile::new([("b", 2), ("a", 1), ("b", 3), ("c", 0)]).unwrap();
        assert_eq!(one.kinds(), [("a", 1), ("b", 5)]);
        assert_eq!(one, Profile::new([("b", 5), ("a", 1)]).unwrap());
        assert_eq!(one.map(|_| ()).kinds(), [((), 6)]);
    }

    #[test]
    fn a_pile_holds_few_ballots_however_many_come() {
        let mut pile = Pile::default();
        for number in 0..1_000_000_u32 {
            pile.add(number % 100, 1).unwrap();
            assert!(pile.ballots.len() < UNSORTED_MIN + 101);
        }
        let profile = pile.profile().unwrap();
        assert_eq!(profile.kinds().len(), 100);
        assert!(profile.kinds().iter().all(|(_, weight)| *weight == 10_000));
    }

    #[test]
    fn too_much_weight_is_refused() {
        let mut pile = Pile { ballots: Vec::new(), merged: 0, weight: WEIGHT_MAX - 1, kinds_max: KINDS_MAX };
        assert_eq!(pile.add((), 1), Ok(()));
        assert_eq!(pile.add((), 1), Err(PileError::Weight));
        assert_eq!(pile.add((), u64::MAX), Err(PileError::Weight));
    }

    #[test]
    fn too_many_kinds_are_refused() {
        let mut pile = Pile { kinds_max: 100_000, ..Pile::default() };
        let refused = (0..).find_map(|number: u64| pile.add(number, 1).err());
        assert_eq!(refused, Some(PileError::Kinds));
        assert!(pile.ballots.len() <= 200_000);
        let mut few = Pile { kinds_max: 1, ..Pile::default() };
        few.add(1, 1).unwrap();
        few.add(2, 1).unwrap();
        assert_eq!(few.profile(), Err(PileError::Kinds));
    }
}
