//! The engine's view of a decision. It sees positions of closers and ids of values only: keys, signatures and values are
//! checked and kept on this side.

use core::time::Duration;
use std::convert::Infallible;
use std::fmt;

use althing_record::{Digest, SIGNATURE_LEN};
use arc_malachitebft_core_types as bft;
use bft::{NilOrVal, Round, VoteType};

use crate::instance::Seat;
use crate::statement::{SignedStatement, Step};
use crate::{Instance, timeout_ms};

/// The types of one decision.
#[derive(Clone, Debug)]
pub(crate) struct Decision;

/// There is one height: the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Height(u64);

pub(crate) const HEIGHT: Height = Height(1);

/// A value by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named(pub(crate) Digest);

/// One closer, one vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voter {
    seat: Seat,
    /// The first key: the engine never checks a signature.
    key: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voters(Vec<Voter>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) seat: Seat,
    pub(crate) round: Round,
    pub(crate) valid_round: Round,
    pub(crate) value: Named,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) seat: Seat,
    pub(crate) step: VoteType,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<Digest>,
}

/// Proposals have no parts here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoPart;

/// Signatures are opaque to the engine: those it is given were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checked;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timing;

impl Voters {
    pub(crate) fn of(instance: &Instance) -> Self {
        let seats = (0..).map(Seat);
        Self(seats.zip(instance.closers()).map(|(seat, closer)| Voter { seat, key: closer.0 }).collect())
    }
}

impl Vote {
    /// A statement as the engine takes it, if it is a vote.
    pub(crate) fn of(signed: &SignedStatement) -> Option<bft::SignedVote<Decision>> {
        let statement = signed.statement();
        let step = match statement.step {
            Step::Proposal => return None,
            Step::Prevote => VoteType::Prevote,
            Step::Precommit => VoteType::Precommit,
        };
        let value = statement.value.map_or(NilOrVal::Nil, NilOrVal::Val);
        let vote = Self { seat: signed.seat(), step, round: Round::new(statement.round), value };
        Some(bft::SignedVote::new(vote, signed.signature()))
    }
}

impl bft::Context for Decision {
    type Address = Seat;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = Voter;
    type ValidatorSet = Voters;
    type Timeouts = Timing;
    type Value = Named;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Checked;

    /// The driver never asks: it is told who leads as each round begins, by [`Instance::leader`].
    fn select_proposer<'a>(&self, voters: &'a Voters, _: Height, round: Round) -> &'a Voter {
        let at = round.as_u32().map_or(0, |round| round as usize % voters.0.len());
        &voters.0[at]
    }

    fn new_proposal(
        &self,
        _: Height,
        round: Round,
        value: Named,
        valid_round: Round,
        seat: Seat,
    ) -> Proposal {
        Proposal { seat, round, valid_round, value }
    }

    fn new_prevote(&self, _: Height, round: Round, value: NilOrVal<Digest>, seat: Seat) -> Vote {
        Vote { seat, step: VoteType::Prevote, round, value }
    }

    fn new_precommit(&self, _: Height, round: Round, value: NilOrVal<Digest>, seat: Seat) -> Vote {
        Vote { seat, step: VoteType::Precommit, round, value }
    }
}

impl bft::Address for Seat {}

impl bft::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = HEIGHT;

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl bft::Value for Named {
    type Id = Digest;

    fn id(&self) -> Digest {
        self.0
    }
}

impl bft::Validator<Decision> for Voter {
    fn address(&self) -> &Seat {
        &self.seat
    }

    fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        1
    }
}

impl bft::ValidatorSet<Decision> for Voters {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.len() as u64
    }

    fn get_by_address(&self, seat: &Seat) -> Option<&Voter> {
        self.0.get(seat.index())
    }

    fn get_by_index(&self, index: usize) -> Option<&Voter> {
        self.0.get(index)
    }
}

impl bft::Proposal<Decision> for Proposal {
    fn height(&self) -> Height {
        HEIGHT
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Named {
        &self.value
    }

    fn take_value(self) -> Named {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.valid_round
    }

    fn validator_address(&self) -> &Seat {
        &self.seat
    }
}

impl bft::Vote<Decision> for Vote {
    fn height(&self) -> Height {
        HEIGHT
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<Digest> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<Digest> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.step
    }

    fn validator_address(&self) -> &Seat {
        &self.seat
    }

    fn extension(&self) -> Option<&bft::SignedExtension<Decision>> {
        None
    }

    fn take_extension(&mut self) -> Option<bft::SignedExtension<Decision>> {
        None
    }

    fn extend(self, _: bft::SignedExtension<Decision>) -> Self {
        self
    }
}

impl bft::ProposalPart<Decision> for NoPart {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

impl bft::Timeouts<Decision> for Timing {
    fn duration_for(&self, timeout: bft::Timeout) -> Duration {
        let step = step_of(timeout.kind).unwrap_or(Step::Proposal);
        Duration::from_millis(timeout_ms(step, timeout.round.as_u32().unwrap_or(0)))
    }
}

/// What a timeout waits for; none for those that the driver has no use for.
pub(crate) fn step_of(kind: bft::TimeoutKind) -> Option<Step> {
    match kind {
        bft::TimeoutKind::Propose => Some(Step::Proposal),
        bft::TimeoutKind::Prevote => Some(Step::Prevote),
        bft::TimeoutKind::Precommit => Some(Step::Precommit),
        bft::TimeoutKind::Rebroadcast | bft::TimeoutKind::FinalizeHeight(_) => None,
    }
}

impl bft::SigningScheme for Checked {
    type DecodingError = std::array::TryFromSliceError;
    type Signature = [u8; SIGNATURE_LEN];
    type PublicKey = [u8; 32];
    type PrivateKey = Infallible;

    fn decode_signature(bytes: &[u8]) -> Result<[u8; SIGNATURE_LEN], Self::DecodingError> {
        bytes.try_into()
    }

    fn encode_signature(signature: &[u8; SIGNATURE_LEN]) -> Vec<u8> {
        signature.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<[u8; 32], Self::DecodingError> {
        bytes.try_into()
    }

    fn encode_public_key(key: &[u8; 32]) -> Vec<u8> {
        key.to_vec()
    }
}
