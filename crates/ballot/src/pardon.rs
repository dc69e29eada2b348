use althing_record::cbor::{List, Text};
use althing_record::{AgentId, Digest, Genesis, cbor_map};

use crate::{BallotError, Electorate, Mode, Proposal};

/// Most cases that one proposal forgives.
pub const PARDONED_MAX: usize = 64;

cbor_map! {
    /// What a motion forgives: cases of misbehaviour that are proven, by their ids. Others of the same agent go on to count.
    pub struct Pardon {
        /// Whose.
        1 => pub agent: AgentId,
        /// Which, ascending.
        2 => pub cases: List<Digest, PARDONED_MAX>,
    }
}

impl Pardon {
    /// What must hold of it beside a proposal's other parts. Only a motion that ballots decide forgives: whoever holds the
    /// ballots can tell that it passed, and no later one takes that back.
    pub(crate) fn check(
        &self,
        options: &[Text<128>],
        against: Option<u32>,
        is_direct: bool,
    ) -> Result<(), BallotError> {
        let rule =
            |holds: bool, rule: &'static str| if holds { Ok(()) } else { Err(BallotError::Pardon(rule)) };
        rule(is_direct, "it takes a direct decision")?;
        let is_motion =
            matches!(options, [yes, no] if **yes == *"yes" && **no == *"no") && against == Some(1);
        rule(is_motion, "it takes a motion, of yes and no")?;
        rule(!self.cases.is_empty(), "it names no case")?;
        rule(self.cases.is_sorted_by(|one, other| one < other), "its cases are not in order")
    }
}

/// Who decides on pardons of an agent, each with one vote: the committee that the network's genesis names, or else its
/// anchors, without the agent itself. None where there is nobody.
#[must_use]
pub fn pardoners(genesis: &Genesis, agent: AgentId) -> Option<Electorate> {
    let entitled = if genesis.committee.is_empty() { &genesis.anchors[..] } else { &genesis.committee[..] };
    Electorate::equal(entitled.iter().copied().filter(|other| *other != agent).collect()).ok()
}

impl Proposal {
    /// What it forgives once it is decided; none if it is no pardon, or one that has no effect: it was not put by those who
    /// decide on pardons of the agent, or not to exactly those.
    #[must_use]
    pub fn grants(&self, genesis: &Genesis) -> Option<&Pardon> {
        let pardon = self.pardon.as_ref()?;
        let pardoners = pardoners(genesis, pardon.agent)?;
        let is_entitled = self.electorate == pardoners && pardoners.weight(self.proposer).is_some();
        (is_entitled && matches!(self.mode, Mode::Direct { .. })).then_some(pardon)
    }
}

#[cfg(test)]
mod tests {
    use althing_record::Millis;

    use super::*;
    use crate::{ProposalBody, Rule};

    fn agents(ids: &[u8]) -> Vec<AgentId> {
        ids.iter().map(|n| AgentId([*n; 32])).collect()
    }

    fn genesis(anchors: &[u8], committee: &[u8]) -> Genesis {
        let mut genesis = Genesis::plain("x".try_into().unwrap(), Millis(0));
        genesis.anchors = agents(anchors).try_into().unwrap();
        genesis.committee = agents(committee).try_into().unwrap();
        genesis
    }

    fn voters(genesis: &Genesis, agent: u8) -> Option<Vec<AgentId>> {
        let electorate = pardoners(genesis, AgentId([agent; 32]))?;
        Some(electorate.voters().iter().map(|voter| voter.agent).collect())
    }

    #[test]
    fn the_committee_pardons_or_else_the_anchors_and_nobody_itself() {
        assert_eq!(voters(&genesis(&[1, 2], &[3, 4, 5]), 9), Some(agents(&[3, 4, 5])));
        assert_eq!(voters(&genesis(&[1, 2], &[3, 4, 5]), 4), Some(agents(&[3, 5])));
        assert_eq!(voters(&genesis(&[1, 2], &[]), 2), Some(agents(&[1])));
        assert_eq!(voters(&genesis(&[], &[4]), 4), None);
        assert_eq!(voters(&genesis(&[], &[]), 9), None);
    }

    fn body(change: impl FnOnce(&mut ProposalBody)) -> Result<(), BallotError> {
        let electorate = Electorate::equal(agents(&[1, 2, 3])).unwrap();
        let mut body = ProposalBody::direct("q", &[], Rule::Unanimous, &electorate, 1, [0; 8]).unwrap();
        let cases = vec![Digest([1; 32]), Digest([2; 32])].try_into().unwrap();
        body.pardon = Some(Pardon { agent: AgentId([9; 32]), cases });
        change(&mut body);
        body.pardon.as_ref().unwrap().check(&body.options, body.against, body.is_direct())
    }

    #[test]
    fn only_a_direct_motion_that_names_cases_in_order_forgives() {
        assert_eq!(body(|_| {}), Ok(()));
        let cases = |of: &[u8]| -> List<Digest, PARDONED_MAX> {
            of.iter().map(|n| Digest([*n; 32])).collect::<Vec<_>>().try_into().unwrap()
        };
        let named = |of: &[u8]| body(|body| body.pardon.as_mut().unwrap().cases = cases(of));
        assert_eq!(named(&[]), Err(BallotError::Pardon("it names no case")));
        assert_eq!(named(&[2, 1]), Err(BallotError::Pardon("its cases are not in order")));
        assert_eq!(named(&[1, 1]), Err(BallotError::Pardon("its cases are not in order")));
        let motion = Err(BallotError::Pardon("it takes a motion, of yes and no"));
        assert_eq!(body(|body| body.against = None), motion);
        assert_eq!(body(|body| body.against = Some(0)), motion);
        assert_eq!(body(|body| body.mode = 2), Err(BallotError::Pardon("it takes a direct decision")));
    }
}
