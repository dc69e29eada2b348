use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use althing_record::cbor::{self, Blob, DecodeError, Limits, List};
use althing_record::{
    AgentId, Digest, GENESIS_BYTES_MAX, GenesisError, Kind, Leaves, Network, NetworkId, Record, VerifyError,
    cbor_map, merkle,
};

use self::group::GroupPath;
pub(crate) use self::identities::{Identities, needed_identities};
use crate::ballot::{LEAF_BYTES_MAX, parse_any_leaf};
use crate::electorate::VOTERS_MAX;
use crate::{BallotError, Choice, DocketProof, Outcome, Proposal, Tally};

/// Longest certificate file in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// A certificate of 1,000 voters has ten digests a path and five entries a vote; a Closed one may have two ballots of
/// each.
const LIMITS: Limits = Limits { depth: 8, items: 128_000 };

/// Types of certificates on the wire.
const DIRECT: u64 = 1;
const CLOSED: u64 = 2;

cbor_map! {
    /// A Direct certificate: the proposal and the signed ballots that decide it, checkable with nothing else.
    pub struct Certificate: version 1 {
        /// 1 Direct.
        1 => pub mode: u64,
        /// The network's genesis.
        2 => pub genesis: Blob<GENESIS_BYTES_MAX>,
        /// The envelope of the proposal.
        3 => pub proposal: Blob<65_536>,
        /// The index of the option that won.
        4 => pub option: u32,
        /// The ballots for it, ascending by voter.
        5 => pub votes: List<VoteProof, VOTERS_MAX>,
        /// Identity records of those who signed with a rotated key, ascending by id.
        6 => pub identities: List<Blob<1_024>, 4_096>,
        /// Which question of a docket, where the record of the proposal is one.
        11 => pub docket: Option<DocketProof>,
        /// Of a group's proposal: the envelopes of its Founding and of every change up to the state of the electorate, in order.
        12 => pub group: Option<GroupPath>,
    }
}

cbor_map! {
    /// One ballot with the proof that its voter signed it.
    pub struct VoteProof {
        /// The envelope of the batch, without its leaves.
        1 => pub batch: Blob<2_048>,
        /// The ballot's position among the leaves.
        2 => pub index: u32,
        /// The leaf: proposal id and choice.
        3 => pub leaf: Blob<LEAF_BYTES_MAX>,
        /// The audit path from the leaf to the batch's root.
        4 => pub path: List<Digest, 10>,
    }
}

/// What a valid certificate proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// In which network.
    pub network: Network,
    /// The proposal.
    pub proposal: Proposal,
    /// The option that won.
    pub option: String,
    /// The weight that was proved for it, at least the threshold.
    pub weight: u64,
    /// Who voted for it, ascending.
    pub voters: Vec<AgentId>,
}

/// Why a file is not a valid certificate; the first fault found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The file is too long.
    #[error("certificate has {found} bytes, at most {CERTIFICATE_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// The file is not a certificate.
    #[error("certificate is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The genesis in it is not one.
    #[error("certificate's network: {0}")]
    Genesis(#[from] GenesisError),
    /// It was made in another network than expected.
    #[error("certificate is of network {found}, expected {expected}")]
    ForeignNetwork {
        /// The certificate's.
        found: NetworkId,
        /// The expected one.
        expected: NetworkId,
    },
    /// A record in it is invalid.
    #[error("{part}: {error}")]
    Record {
        /// Which one.
        part: String,
        /// What is wrong with it.
        error: VerifyError,
    },
    /// The proposal in it is none.
    #[error("proposal: {0}")]
    Proposal(#[from] BallotError),
    /// A vote does not prove what it should.
    #[error("vote {index}: {cause}")]
    Vote {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The votes do not suffice.
    #[error("votes for the option weigh {found}, {needed} are needed")]
    TooFew {
        /// What was proved.
        found: u64,
        /// What is needed.
        needed: u64,
    },
    /// The option cannot be certified.
    #[error("option {0} cannot be certified")]
    Option(u32),
    /// The proposal asks for the other kind of decision.
    #[error("certificate and proposal are of different modes")]
    Mode,
    /// A record's key is not proved to be its agent's.
    #[error("proposal: {0}")]
    Signer(&'static str),
    /// A close report is wrong.
    #[error("report {index}: {cause}")]
    Report {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// Not as many reports as the closers must give, or not in order.
    #[error("{found} close reports are not what the closers can have agreed on")]
    Reports {
        /// How many there are.
        found: usize,
    },
    /// The ballots are not those that the reports name.
    #[error("{found} ballots, but the reports name {needed}")]
    Ballots {
        /// How many there are.
        found: usize,
        /// How many are named.
        needed: usize,
    },
    /// Openings are there and ballots are not sealed, or the other way round.
    #[error("certificate and proposal do not agree on whether ballots are sealed")]
    Sealed,
    /// An opening of sealed ballots is wrong.
    #[error("opening {index}: {cause}")]
    Opening {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A sealed ballot cannot be opened with what is in the file.
    #[error("the ballot of {voter} is sealed: {needed} openings are needed, {found} are there")]
    Unopened {
        /// Whose.
        voter: AgentId,
        /// How many fit it.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The network has no committee, or a closer cannot sign.
    #[error("the proposal has no closers who can decide")]
    NoClosers,
    /// The signatures of the agreement are wrong.
    #[error("agreement: {0}")]
    Agreement(String),
    /// The electorate is not what the group's records come to.
    #[error("group: {0}")]
    Group(String),
    /// Something in it proves nothing.
    #[error("certificate holds an identity record that no vote needs")]
    Surplus,
}

impl Certificate {
    /// Writes the certificate of a decided proposal from the batches that hold ballots for it (with their leaves), and
    /// the `others`: identity records of those with rotated keys, and of a group's proposal the records on the way to
    /// its state. `None` if the ballots do not decide it, or conflict, or one of the others is missing.
    #[must_use]
    pub fn write(
        network: &Network,
        proposal: &Record,
        batches: &[Record],
        others: &[Record],
    ) -> Option<Self> {
        Self::write_item(network, proposal, None, batches, others)
    }

    /// The same for a question of a docket, by its number.
    #[must_use]
    pub fn write_item(
        network: &Network,
        proposal: &Record,
        item: Option<u16>,
        batches: &[Record],
        others: &[Record],
    ) -> Option<Self> {
        let (parsed, docket) = put(proposal, item)?;
        let path = group::path(&parsed, others)?;
        let mut cast = Vec::new();
        for record in batches {
            for (index, leaf) in record.leaves()?.into_iter().enumerate() {
                let (of, item, choice) = parse_any_leaf(leaf).ok()?;
                if (of, item) == (parsed.id, parsed.item) {
                    cast.push((record, index, choice));
                }
            }
        }
        let ballots = cast.iter().map(|(record, _, choice)| (record.agent(), choice.clone()));
        let Outcome::Decided(option) = Tally::count(&parsed, ballots).outcome(&parsed) else { return None };
        let winning = cast.into_iter().filter(|(record, _, choice)| {
            *choice == Choice::Option(option) && parsed.electorate.weight(record.agent()).is_some()
        });
        let (mut proofs, mut chosen) = (BTreeMap::new(), Vec::new());
        for (record, index, _) in winning {
            if let Entry::Vacant(vacant) = proofs.entry(record.agent()) {
                vacant.insert(VoteProof::of(record, index)?);
                chosen.push(record);
            }
        }
        let signed = [proposal].into_iter().chain(chosen).chain(path.iter().flatten().copied());
        Some(Self {
            mode: DIRECT,
            genesis: Blob::try_from(network.to_bytes()).ok()?,
            proposal: Blob::try_from(proposal.envelope().to_vec()).ok()?,
            option,
            votes: List::try_from(proofs.into_values().collect::<Vec<_>>()).ok()?,
            identities: needed_identities(signed, [], others)?,
            docket,
            group: group::written(path.as_deref())?,
        })
    }

    /// The certificate file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Checks a certificate file and recounts it. `expected`: the network that it must be of, if that is known.
    ///
    /// # Errors
    /// When anything in it is wrong; the error names the first fault.
    pub fn verify(bytes: &[u8], expected: Option<NetworkId>) -> Result<Verified, CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong { found: bytes.len() });
        }
        let certificate: Self = cbor::from_slice(bytes, LIMITS)?;
        if certificate.mode != DIRECT {
            let (of, what) = ("certificate", "mode");
            return Err(DecodeError::Newer { of, what, value: certificate.mode }.into());
        }
        let network = network_of(&certificate.genesis, expected)?;
        let record = |part: &str, bytes: &[u8]| record(&network, part, bytes);
        let proposal_record = record("proposal", &certificate.proposal)?;
        let proposal = read_proposal(&proposal_record, certificate.docket.as_ref())?;
        let asked = questions_of(&proposal_record);
        let option = certificate.option;
        let certifiable = (option as usize) < proposal.options.len() && proposal.against != Some(option);
        if !certifiable {
            return Err(CertificateError::Option(option));
        }
        let mut identities = Identities::read(&network, &certificate.identities)?;
        let voters = voters((&network, &proposal, asked), option, &certificate.votes, |batch| {
            identities.require(batch)
        })?;
        identities.require(&proposal_record).map_err(CertificateError::Signer)?;
        group::check(&network, &proposal, certificate.group.as_ref(), |record| {
            identities.require_known(record)
        })?;
        identities.check_all_needed()?;
        let weight = weigh(&proposal, option, &voters)?;
        let option = proposal.options[option as usize].clone();
        Ok(Verified { network, option, weight, voters, proposal })
    }
}

/// The voters whose ballots for an option are proved, who must stand in order. `asked`: how many questions were, if there are
/// many. `require` says whether the key that signed a record is its agent's.
pub(crate) fn voters(
    (network, proposal, asked): (&Network, &Proposal, u32),
    option: u32,
    votes: &[VoteProof],
    mut require: impl FnMut(&Record) -> Result<(), &'static str>,
) -> Result<Vec<AgentId>, CertificateError> {
    let mut voters: Vec<AgentId> = Vec::with_capacity(votes.len());
    for (index, vote) in votes.iter().enumerate() {
        let fault = |cause| CertificateError::Vote { index, cause };
        let batch = record(network, &format!("vote {index}"), &vote.batch)?;
        if batch.kind() != Kind::BallotBatch {
            return Err(fault("the record is not a batch of ballots"));
        }
        if batch.group() != proposal.group {
            return Err(fault("the ballot is of another group"));
        }
        let signed: Leaves = batch.body()?;
        if !merkle::verify(&vote.leaf, vote.index.into(), signed.count.into(), &vote.path, signed.root) {
            return Err(fault("the ballot is not among those that were signed"));
        }
        if parse_any_leaf(&vote.leaf)? != (proposal.id, proposal.item, Choice::Option(option)) {
            return Err(fault("the ballot is not for this option of this proposal"));
        }
        if !vote.stands_where_it_must(proposal, &signed, asked) {
            return Err(fault("the answers are not one for each question, in order"));
        }
        let voter = batch.agent();
        if proposal.electorate.weight(voter).is_none() {
            return Err(fault("the voter is not in the electorate"));
        }
        if voters.last().is_some_and(|last| *last >= voter) {
            return Err(fault("the voters are not in ascending order"));
        }
        require(&batch).map_err(fault)?;
        voters.push(voter);
    }
    Ok(voters)
}

/// What voters for an option weigh, which must be enough for it.
pub(crate) fn weigh(proposal: &Proposal, option: u32, voters: &[AgentId]) -> Result<u64, CertificateError> {
    let ballots = voters.iter().map(|voter| (*voter, Choice::Option(option)));
    let found = Tally::count(proposal, ballots).weights[option as usize];
    let needed = proposal.threshold().ok_or(CertificateError::Option(option))?;
    if found < needed { Err(CertificateError::TooFew { found, needed }) } else { Ok(found) }
}

/// A certificate file of either kind, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedFile {
    /// Of a Direct decision.
    Direct(Box<Verified>),
    /// Of a Closed one.
    Closed(Box<ClosedVerified>),
}

/// Checks a certificate file of either kind.
///
/// # Errors
/// When anything in it is wrong; the error names the first fault.
pub fn verify_file(bytes: &[u8], expected: Option<NetworkId>) -> Result<VerifiedFile, CertificateError> {
    if bytes.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLong { found: bytes.len() });
    }
    if mode_of(bytes)? == CLOSED {
        return ClosedCertificate::verify(bytes, expected).map(Box::new).map(VerifiedFile::Closed);
    }
    Certificate::verify(bytes, expected).map(Box::new).map(VerifiedFile::Direct)
}

/// The mode that a file says it has: the second entry of its map.
fn mode_of(bytes: &[u8]) -> Result<u64, DecodeError> {
    cbor::scan(bytes, LIMITS)?;
    let mut from = cbor::Reader::new(bytes);
    let mut entries = from.entries("certificate")?;
    let _version: u64 = entries.take(0, "version")?;
    entries.take(1, "mode")
}

/// A proposal that stands alone, or the question of a docket that the proof shows.
fn read_proposal(record: &Record, docket: Option<&DocketProof>) -> Result<Proposal, BallotError> {
    match docket {
        None => Proposal::from_record(record),
        Some(proof) => proof.proposal(record),
    }
}

/// How many questions a docket has, the first leaf being its terms; 0 for other records.
fn questions_of(record: &Record) -> u32 {
    match record.body::<Leaves>() {
        Ok(leaves) if record.kind() == Kind::ProposalBatch => leaves.count.saturating_sub(1),
        Ok(_) | Err(_) => 0,
    }
}

/// A proposal from a record that has its leaves, and the proof that it is a docket's question.
fn put(record: &Record, item: Option<u16>) -> Option<(Proposal, Option<DocketProof>)> {
    let docket = match item {
        None => None,
        Some(item) => Some(DocketProof::of(record, item)?),
    };
    Some((read_proposal(record, docket.as_ref()).ok()?, docket))
}

fn network_of(genesis: &[u8], expected: Option<NetworkId>) -> Result<Network, CertificateError> {
    let network = Network::from_bytes(genesis)?;
    match expected.filter(|expected| *expected != network.id()) {
        Some(expected) => Err(CertificateError::ForeignNetwork { found: network.id(), expected }),
        None => Ok(network),
    }
}

pub(crate) fn record(network: &Network, part: &str, bytes: &[u8]) -> Result<Record, CertificateError> {
    Record::verify(bytes, network).map_err(|error| CertificateError::Record { part: part.to_owned(), error })
}

impl VoteProof {
    /// Answers to a docket are as many as its questions and stand in their order, so nobody has two for one.
    fn stands_where_it_must(&self, proposal: &Proposal, signed: &Leaves, asked: u32) -> bool {
        proposal.item.is_none_or(|item| u32::from(item) == self.index + 1 && signed.count == asked)
    }

    /// The proof for leaf `index` of a batch that has its leaves.
    pub(crate) fn of(batch: &Record, index: usize) -> Option<Self> {
        let leaves = batch.leaves()?;
        Some(Self {
            batch: Blob::try_from(batch.envelope().to_vec()).ok()?,
            index: u32::try_from(index).ok()?,
            leaf: Blob::try_from(leaves.get(index)?.to_vec()).ok()?,
            path: List::try_from(merkle::path(&leaves, index)?).ok()?,
        })
    }
}

mod closed;
mod group;
mod identities;

pub use self::closed::{ClosedCertificate, ClosedVerified, instance};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::golden;
