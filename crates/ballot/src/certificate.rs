use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use althing_record::cbor::{self, Blob, DecodeError, Limits, List};
use althing_record::{
    AgentId, Digest, Domain, GENESIS_BYTES_MAX, GenesisError, KeyHistory, Kind, Leaves, Network, NetworkId,
    Record, VerifyError, cbor_map, merkle,
};

use crate::ballot::parse_leaf;
use crate::electorate::VOTERS_MAX;
use crate::{BallotError, Choice, Outcome, Proposal, Tally};

/// Longest certificate file in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// A certificate of 1,000 voters has ten digests a path and five entries a vote.
const LIMITS: Limits = Limits { depth: 8, items: 64_000 };

/// Certificate type "Direct" on the wire.
const DIRECT: u64 = 1;

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
        3 => pub leaf: Blob<64>,
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
    /// Something in it proves nothing.
    #[error("certificate holds an identity record that no vote needs")]
    Surplus,
}

impl Certificate {
    /// Writes the certificate of a decided proposal from the batches that hold ballots for it (with their leaves), and
    /// the identity records of voters with rotated keys. `None` if the ballots do not decide it, or conflict.
    #[must_use]
    pub fn write(
        network: &Network,
        proposal: &Record,
        batches: &[Record],
        identities: &[Record],
    ) -> Option<Self> {
        let parsed = Proposal::from_record(proposal).ok()?;
        let mut cast = Vec::new();
        for record in batches {
            for (index, leaf) in record.leaves()?.into_iter().enumerate() {
                let (of, choice) = parse_leaf(leaf).ok()?;
                if of == parsed.id {
                    cast.push((record, index, choice));
                }
            }
        }
        let ballots = cast.iter().map(|(record, _, choice)| (record.agent(), *choice));
        let Outcome::Decided(option) = Tally::count(&parsed, ballots).outcome(&parsed) else { return None };
        let winning = cast.into_iter().filter(|(record, _, choice)| {
            *choice == Choice::Option(option) && parsed.electorate.weight(record.agent()).is_some()
        });
        let mut proofs = BTreeMap::new();
        let mut rotated = BTreeSet::from_iter(proposal.header().key.map(|_| proposal.agent()));
        for (record, index, _) in winning {
            if let Entry::Vacant(vacant) = proofs.entry(record.agent()) {
                vacant.insert(VoteProof::of(record, index)?);
                rotated.extend(record.header().key.map(|_| record.agent()));
            }
        }
        let mut identities: Vec<&Record> =
            identities.iter().filter(|record| rotated.contains(&record.agent())).collect();
        identities.sort_by_key(|record| record.id());
        identities.dedup_by_key(|record| record.id());
        let blobs: Result<Vec<_>, _> =
            identities.iter().map(|record| Blob::try_from(record.envelope().to_vec())).collect();
        Some(Self {
            mode: DIRECT,
            genesis: Blob::try_from(network.to_bytes()).ok()?,
            proposal: Blob::try_from(proposal.envelope().to_vec()).ok()?,
            option,
            votes: List::try_from(proofs.into_values().collect::<Vec<_>>()).ok()?,
            identities: List::try_from(blobs.ok()?).ok()?,
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
        let network = Network::from_bytes(&certificate.genesis)?;
        if let Some(expected) = expected.filter(|expected| *expected != network.id()) {
            return Err(CertificateError::ForeignNetwork { found: network.id(), expected });
        }
        let record = |part: &str, bytes: &[u8]| {
            Record::verify(bytes, &network)
                .map_err(|error| CertificateError::Record { part: part.to_owned(), error })
        };
        let proposal_record = record("proposal", &certificate.proposal)?;
        let proposal = Proposal::from_record(&proposal_record)?;
        let option = certificate.option;
        let certifiable = (option as usize) < proposal.options.len() && proposal.against != Some(option);
        if !certifiable {
            return Err(CertificateError::Option(option));
        }
        let identities = certificate
            .identities
            .iter()
            .map(|bytes| record("identity record", bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let mut needed = BTreeSet::new();
        let mut voters: Vec<AgentId> = Vec::new();
        let mut ballots = Vec::new();
        for (index, vote) in certificate.votes.iter().enumerate() {
            let fault = |cause| CertificateError::Vote { index, cause };
            let batch = record(&format!("vote {index}"), &vote.batch)?;
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
            if parse_leaf(&vote.leaf)? != (proposal.id, Choice::Option(option)) {
                return Err(fault("the ballot is not for this option of this proposal"));
            }
            let voter = batch.agent();
            if proposal.electorate.weight(voter).is_none() {
                return Err(fault("the voter is not in the electorate"));
            }
            if voters.last().is_some_and(|last| *last >= voter) {
                return Err(fault("the voters are not in ascending order"));
            }
            if batch.header().key.is_some() {
                needed.insert(voter);
                KeyHistory::fold(voter, &identities)
                    .rank(&batch)
                    .ok_or_else(|| fault("the signing key is not proved to be the voter's"))?;
            }
            voters.push(voter);
            ballots.push((voter, Choice::Option(option)));
        }
        if proposal_record.header().key.is_some() {
            needed.insert(proposal.proposer);
            KeyHistory::fold(proposal.proposer, &identities).rank(&proposal_record).ok_or(
                CertificateError::Proposal(BallotError::Rule("its signing key is not proved".into())),
            )?;
        }
        let in_order = identities.windows(2).all(|pair| pair[0].id() < pair[1].id());
        if !in_order
            || identities.iter().any(|record| {
                record.kind().domain() != Some(Domain::Directory) || !needed.contains(&record.agent())
            })
        {
            return Err(CertificateError::Surplus);
        }
        let weight = Tally::count(&proposal, ballots).weights[option as usize];
        if weight < proposal.threshold {
            return Err(CertificateError::TooFew { found: weight, needed: proposal.threshold });
        }
        let option = proposal.options[option as usize].clone();
        Ok(Verified { network, option, weight, voters, proposal })
    }
}

impl VoteProof {
    /// The proof for leaf `index` of a batch that has its leaves.
    fn of(batch: &Record, index: usize) -> Option<Self> {
        let leaves = batch.leaves()?;
        Some(Self {
            batch: Blob::try_from(batch.envelope().to_vec()).ok()?,
            index: u32::try_from(index).ok()?,
            leaf: Blob::try_from(leaves.get(index)?.to_vec()).ok()?,
            path: List::try_from(merkle::path(&leaves, index)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
