use std::fmt;

use crate::{OPTIONS_MAX, OptionId};

/// Most marks of one ranking.
pub const RANKS_MAX: usize = 250;

/// What stands at one rank of a ballot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nothing.
    Skipped,
    /// One option.
    Option(OptionId),
    /// Several options. An empty list: it is not known which.
    Overvote(Vec<OptionId>),
}

/// A ballot that ranks options: the marks from the first rank to the last one that says anything.
///
/// It is packed: a million of them are counted in well under a second, and short ones need no memory of their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranking(Packed);

/// A ranking has more than [`RANKS_MAX`] marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {RANKS_MAX} ranks, found {found}")]
pub struct TooManyRanks {
    /// How many it has.
    pub found: usize,
}

const SHORT_BYTES: usize = 22;
/// A skipped rank.
const SKIPPED: u8 = 251;
/// An overvote; the number of its options follows, then they.
const OVERVOTE: u8 = 252;

const _: () = assert!(OPTIONS_MAX <= SKIPPED as usize);

/// The same bytes are always packed the same way, so comparing packs compares rankings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Packed {
    Short { len: u8, bytes: [u8; SHORT_BYTES] },
    Long(Box<[u8]>),
}

impl Ranking {
    /// The ranking with these marks, from the first rank on. The order of options within an overvote says nothing, nor
    /// does a skipped rank at the end.
    ///
    /// # Errors
    /// When there are more than [`RANKS_MAX`] marks.
    pub fn new(marks: &[Mark]) -> Result<Self, TooManyRanks> {
        if marks.len() > RANKS_MAX {
            return Err(TooManyRanks { found: marks.len() });
        }
        Ok(Self::packed(marks))
    }

    /// The ranking of options without gaps, the first one best. Those beyond [`RANKS_MAX`] are left out.
    #[must_use]
    pub fn of(options: &[OptionId]) -> Self {
        let bytes: Vec<u8> = options.iter().take(RANKS_MAX).map(|option| option.byte()).collect();
        Self(Packed::new(&bytes))
    }

    fn packed(marks: &[Mark]) -> Self {
        let used = marks.iter().rposition(|mark| *mark != Mark::Skipped).map_or(0, |last| last + 1);
        let mut bytes = Vec::with_capacity(used);
        for mark in &marks[..used] {
            match mark {
                Mark::Skipped => bytes.push(SKIPPED),
                Mark::Option(option) => bytes.push(option.byte()),
                Mark::Overvote(options) => {
                    let mut options = options.clone();
                    options.sort_unstable();
                    options.dedup();
                    let count = u8::try_from(options.len()).expect("options are fewer than 250");
                    bytes.extend([OVERVOTE, count]);
                    bytes.extend(options.iter().map(|option| option.byte()));
                }
            }
        }
        Self(Packed::new(&bytes))
    }

    /// The marks, from the first rank on.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let mut rest = self.0.bytes();
        std::iter::from_fn(move || {
            let (&first, after) = rest.split_first()?;
            rest = after;
            Some(match first {
                SKIPPED => Mark::Skipped,
                OVERVOTE => {
                    Mark::Overvote(take_group(&mut rest).iter().copied().map(OptionId::from_byte).collect())
                }
                option => Mark::Option(OptionId::from_byte(option)),
            })
        })
    }

    /// The same ranking of options that are numbered in another way.
    #[must_use]
    pub fn map(&self, mut to: impl FnMut(OptionId) -> OptionId) -> Self {
        let marks: Vec<Mark> = self
            .marks()
            .map(|mark| match mark {
                Mark::Skipped => Mark::Skipped,
                Mark::Option(option) => Mark::Option(to(option)),
                Mark::Overvote(options) => Mark::Overvote(options.into_iter().map(&mut to).collect()),
            })
            .collect();
        Self::packed(&marks)
    }

    /// The options that it names, each as often as it does.
    pub fn mentions(&self) -> impl Iterator<Item = OptionId> {
        self.marks().flat_map(|mark| match mark {
            Mark::Skipped => Vec::new(),
            Mark::Option(option) => vec![option],
            Mark::Overvote(options) => options,
        })
    }

    /// Whether it is nothing but different options, one a rank.
    pub(crate) fn is_plain(&self) -> bool {
        let bytes = self.0.bytes();
        bytes.iter().enumerate().all(|(at, byte)| *byte < SKIPPED && !bytes[..at].contains(byte))
    }

    /// The option that the ballot counts for: the first one that continues. Of an overvote, the only one that does; if
    /// several do, or it is not known which are meant, the ballot counts for none.
    pub(crate) fn first(&self, continues: &[bool]) -> Option<OptionId> {
        let mut rest = self.0.bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                SKIPPED => {}
                OVERVOTE => {
                    let group = take_group(&mut rest);
                    let mut standing = group.iter().filter(|option| continues[usize::from(**option)]);
                    match (standing.next(), standing.next()) {
                        (Some(only), None) => return Some(OptionId::from_byte(*only)),
                        (None, _) if !group.is_empty() => {}
                        (None | Some(_), _) => return None,
                    }
                }
                option if continues[usize::from(option)] => return Some(OptionId::from_byte(option)),
                _ => {}
            }
        }
        None
    }
}

/// Takes the options of an overvote off the bytes that follow its code.
fn take_group<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (&count, after) = rest.split_first().expect("an overvote's count follows its code");
    let (group, after) = after.split_at(usize::from(count));
    *rest = after;
    group
}

impl fmt::Debug for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.marks()).finish()
    }
}

impl Packed {
    fn new(bytes: &[u8]) -> Self {
        if bytes.len() > SHORT_BYTES {
            return Self::Long(bytes.into());
        }
        let mut short = [0; SHORT_BYTES];
        short[..bytes.len()].copy_from_slice(bytes);
        let len = u8::try_from(bytes.len()).expect("at most 22");
        Self::Short { len, bytes: short }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(place: usize) -> OptionId {
        OptionId::new(place).unwrap()
    }

    #[test]
    fn marks_come_back_as_they_went_in() {
        for count in [0, 1, 21, 22, 23, 200] {
            let mut marks: Vec<Mark> = (0..count).map(|place| Mark::Option(option(place))).collect();
            marks.extend([
                Mark::Skipped,
                Mark::Overvote(vec![option(3), option(249)]),
                Mark::Overvote(vec![]),
            ]);
            let ranking = Ranking::new(&marks).unwrap();
            assert_eq!(ranking.marks().collect::<Vec<_>>(), marks);
        }
    }

    #[test]
    fn what_says_nothing_makes_no_difference() {
        let one = [Mark::Overvote(vec![option(2), option(1), option(2)]), Mark::Skipped, Mark::Skipped];
        let other = [Mark::Overvote(vec![option(1), option(2)])];
        assert_eq!(Ranking::new(&one), Ranking::new(&other));
        assert_eq!(Ranking::new(&[Mark::Skipped]), Ok(Ranking::of(&[])));
    }

    #[test]
    fn too_many_ranks_are_refused() {
        assert!(Ranking::new(&vec![Mark::Skipped; RANKS_MAX]).is_ok());
        let refused = Ranking::new(&vec![Mark::Skipped; RANKS_MAX + 1]);
        assert_eq!(refused, Err(TooManyRanks { found: RANKS_MAX + 1 }));
    }

    #[test]
    fn an_overvote_counts_for_the_only_one_that_continues() {
        let both =
            Ranking::new(&[Mark::Overvote(vec![option(0), option(1)]), Mark::Option(option(2))]).unwrap();
        assert_eq!(both.first(&[true, true, true]), None);
        assert_eq!(both.first(&[false, true, true]), Some(option(1)));
        assert_eq!(both.first(&[false, false, true]), Some(option(2)));
        let unknown = Ranking::new(&[Mark::Overvote(vec![]), Mark::Option(option(2))]).unwrap();
        assert_eq!(unknown.first(&[true, true, true]), None);
    }
}
