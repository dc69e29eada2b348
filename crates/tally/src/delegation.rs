use std::collections::BTreeMap;

/// Most delegations from a voter to the ballot that speaks for them.
pub const DEPTH_MAX: usize = 8;

/// What a voter has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice<V, B> {
    /// The voter's own ballot, which overrides a delegation.
    pub ballot: Option<B>,
    /// Who votes for them.
    pub delegate: Option<V>,
}

/// Why a delegation ends in an abstention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It leads back to itself.
    Cycle,
    /// It is longer than [`DEPTH_MAX`].
    TooLong,
    /// It ends with somebody who has no voice.
    NoBallot,
}

/// Whose ballot speaks for each voter who has said anything. Each voter's weight stays their own: a ballot counts once
/// with the weight of each voter whom it speaks for.
#[must_use]
pub fn delegated<V: Ord + Clone, B>(voices: &BTreeMap<V, Voice<V, B>>) -> BTreeMap<&V, Result<&B, Silence>> {
    voices.iter().map(|(voter, voice)| (voter, follow(voices, voter, voice))).collect()
}

fn follow<'a, V: Ord + Clone, B>(
    voices: &'a BTreeMap<V, Voice<V, B>>,
    voter: &'a V,
    mut voice: &'a Voice<V, B>,
) -> Result<&'a B, Silence> {
    let mut passed = vec![voter];
    loop {
        if let Some(ballot) = &voice.ballot {
            return Ok(ballot);
        }
        let delegate = voice.delegate.as_ref().ok_or(Silence::NoBallot)?;
        if passed.contains(&delegate) {
            return Err(Silence::Cycle);
        }
        if passed.len() > DEPTH_MAX {
            return Err(Silence::TooLong);
        }
        voice = voices.get(delegate).ok_or(Silence::NoBallot)?;
        passed.push(delegate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1=x` votes x, `1>2` delegates, `1=x>2` does both.
    fn voices(text: &str) -> BTreeMap<u32, Voice<u32, char>> {
        text.split(' ')
            .map(|word| {
                let (said, delegate) =
                    word.split_once('>').map_or((word, None), |(said, to)| (said, to.parse().ok()));
                let (voter, ballot) =
                    said.split_once('=').map_or((said, None), |(v, b)| (v, b.chars().next()));
                (voter.parse().unwrap(), Voice { ballot, delegate })
            })
            .collect()
    }

    fn said(text: &str, voter: u32) -> Result<char, Silence> {
        delegated(&voices(text))[&voter].copied()
    }

    #[test]
    fn a_delegation_is_followed_to_a_ballot() {
        assert_eq!(said("1>2 2>3 3=x", 1), Ok('x'));
        assert_eq!(said("1>2 2>3 3=x", 2), Ok('x'));
    }

    #[test]
    fn a_direct_vote_overrides_a_delegation() {
        assert_eq!(said("1=y>2 2=x", 1), Ok('y'));
        assert_eq!(said("0>1 1=y>2 2=x", 0), Ok('y'));
    }

    #[test]
    fn a_cycle_abstains_and_so_does_who_leads_into_it() {
        assert_eq!(said("1>2 2>1", 1), Err(Silence::Cycle));
        assert_eq!(said("1>1", 1), Err(Silence::Cycle));
        assert_eq!(said("0>1 1>2 2>1 3=x", 0), Err(Silence::Cycle));
    }

    #[test]
    fn eight_delegations_are_followed_and_nine_abstain() {
        let chain = "1>2 2>3 3>4 4>5 5>6 6>7 7>8 8>9 9>10 10=x";
        assert_eq!(said(chain, 2), Ok('x'));
        assert_eq!(said(chain, 1), Err(Silence::TooLong));
    }

    #[test]
    fn who_delegates_to_nobody_with_a_voice_abstains() {
        assert_eq!(said("1>2", 1), Err(Silence::NoBallot));
        assert_eq!(said("1>2 2", 1), Err(Silence::NoBallot));
    }
}
