use std::collections::BTreeMap;
use std::sync::Arc;

use althing_agree::{Closer, CommitCertificate, Instance, InstanceId, Value};
use althing_record::cbor::{self, Blob, List};
use althing_record::{
    GENESIS_BYTES_MAX, Kind, Leaves, Network, NetworkId, Record, RecordId, cbor_map, merkle,
};

use super::group::{self, GroupPath};
use super::{CLOSED, CertificateError, Identities, LIMITS, VoteProof};
use crate::ballot::parse_any_leaf;
use crate::electorate::VOTERS_MAX;
use crate::{
    CLOSERS_MAX, Choice, CloseReport, Count, DocketProof, Manifest, Proposal, ReportSet, ballots_of, reported,
};

cbor_map! {
    /// A Closed certificate: the proposal, the reports that the closers agreed on, the ballots that these name, and the
    /// signatures of the agreement. Checkable with nothing else, and whoever checks it counts again.
    pub struct ClosedCertificate: version 1 {
        /// 2 Closed.
        1 => pub mode: u64,
        /// The network's genesis.
        2 => pub genesis: Blob<GENESIS_BYTES_MAX>,
        /// The envelope of the proposal.
        3 => pub proposal: Blob<65_536>,
        /// The envelopes of the close reports, ascending by id.
        4 => pub reports: List<Blob<65_536>, CLOSERS_MAX>,
        /// The ballots that the reports name, ascending by voter and batch.
        5 => pub ballots: List<VoteProof, { VOTERS_MAX * 2 }>,
        /// Identity records of those who signed with a rotated key, ascending by id.
        6 => pub identities: List<Blob<1_024>, 4_096>,
        /// The signatures of the agreement.
        7 => pub commit: Blob<65_536>,
        /// Which question of a docket, where the record of the proposal is one.
        11 => pub docket: Option<DocketProof>,
        /// Of a group's proposal: the envelopes of its Founding and of every change up to the state of the electorate, in order.
        12 => pub group: Option<GroupPath>,
    }
}

/// What a valid certificate of a Closed decision proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedVerified {
    /// In which network.
    pub network: Network,
    /// The proposal.
    pub proposal: Proposal,
    /// The ballots that count.
    pub manifest: Manifest,
    /// What they come to.
    pub count: Count,
    /// How many closers signed the agreement, of how many.
    pub closers: (usize, usize),
}

/// The decision that the agreement on a proposal makes: its id, and who has a vote.
///
/// `None` if the closers cannot agree on anything: there are none, or one has a key that cannot sign.
#[must_use]
pub fn instance(network: &Network, proposal: &Proposal) -> Option<Arc<Instance>> {
    let closers = proposal.closing()?.closers(network).into_iter().map(Closer::from).collect();
    Instance::new(network.id(), InstanceId(proposal.id.0), closers).ok().map(Arc::new)
}

impl ClosedCertificate {
    /// Writes the certificate of a decision. `batches` holds the batches with the ballots, with their leaves; `others`
    /// the identity records of those with rotated keys, and of a group's proposal the records on the way to its state.
    ///
    /// `None` if something is missing, or the reports were not agreed on.
    #[must_use]
    pub fn write(
        network: &Network,
        proposal: &Record,
        reports: &[Record],
        batches: &[Record],
        others: &[Record],
        commit: &[u8],
    ) -> Option<Self> {
        Self::write_item(network, (proposal, None), reports, batches, others, commit)
    }

    /// The same for a question of a docket, by its number.
    #[must_use]
    pub fn write_item(
        network: &Network,
        (proposal, item): (&Record, Option<u16>),
        reports: &[Record],
        batches: &[Record],
        others: &[Record],
        commit: &[u8],
    ) -> Option<Self> {
        let (parsed, docket) = super::put(proposal, item)?;
        let path = group::path(&parsed, others)?;
        let mut reports: Vec<&Record> = reports.iter().collect();
        reports.sort_by_key(|report| report.id());
        let read: Vec<_> =
            reports.iter().map(|report| CloseReport::from_record(report)).collect::<Result<_, _>>().ok()?;
        let by_id: BTreeMap<RecordId, &Record> = batches.iter().map(|batch| (batch.id(), batch)).collect();
        let mut ballots = Vec::new();
        for batch in reported(&read).into_values().flatten() {
            let batch = by_id.get(&batch)?;
            let index = match parsed.item {
                Some(item) => usize::from(item).checked_sub(1)?,
                None => ballots_of(batch).ok()?.iter().position(|ballot| ballot.proposal == parsed.id)?,
            };
            ballots.push(VoteProof::of(batch, index)?);
        }
        let signed = [proposal].into_iter().chain(reports.iter().copied()).chain(by_id.values().copied());
        let signed = signed.chain(path.iter().flatten().copied());
        let certificate = Self {
            mode: CLOSED,
            genesis: Blob::try_from(network.to_bytes()).ok()?,
            proposal: Blob::try_from(proposal.envelope().to_vec()).ok()?,
            reports: List::try_from(blobs(&reports)?).ok()?,
            ballots: List::try_from(ballots).ok()?,
            identities: super::needed_identities(signed, others)?,
            commit: Blob::try_from(commit.to_vec()).ok()?,
            docket,
            group: group::written(path.as_deref())?,
        };
        Self::verify(&certificate.to_bytes(), Some(network.id())).is_ok().then_some(certificate)
    }

    /// The certificate file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Checks a certificate file and counts again. `expected`: the network that it must be of, if that is known.
    ///
    /// # Errors
    /// When anything in it is wrong; the error names the first fault.
    pub fn verify(bytes: &[u8], expected: Option<NetworkId>) -> Result<ClosedVerified, CertificateError> {
        let certificate: Self = cbor::from_slice(bytes, LIMITS)?;
        let network = super::network_of(&certificate.genesis, expected)?;
        let record = |part: &str, bytes: &[u8]| super::record(&network, part, bytes);
        let proposal_record = record("proposal", &certificate.proposal)?;
        let proposal = super::read_proposal(&proposal_record, certificate.docket.as_ref())?;
        let Some(closing) = proposal.closing() else { return Err(CertificateError::Mode) };
        let mut identities = Identities::read(&network, &certificate.identities)?;
        identities.require_known(&proposal_record).map_err(CertificateError::Signer)?;
        group::check(&network, &proposal, certificate.group.as_ref(), |record| {
            identities.require_known(record)
        })?;
        let closers = closing.closers(&network);
        let mut reports = Vec::with_capacity(certificate.reports.len());
        for (index, bytes) in certificate.reports.iter().enumerate() {
            let fault = |cause| CertificateError::Report { index, cause };
            let report = record(&format!("report {index}"), bytes)?;
            identities.require_known(&report).map_err(fault)?;
            if report.group() != proposal.group {
                return Err(fault("it is of another group"));
            }
            let report = CloseReport::from_record(&report)?;
            if !report.fits(&proposal, &closers) {
                return Err(fault("it is not of this proposal and one of its closers"));
            }
            if reports.iter().any(|other: &CloseReport| other.closer == report.closer) {
                return Err(fault("its closer has another one in the file"));
            }
            reports.push(report);
        }
        let set = ReportSet::new(closers.len(), reports.iter().map(|report| report.id))
            .filter(|set| set.reports().iter().copied().eq(reports.iter().map(|report| report.id)));
        let set = set.ok_or(CertificateError::Reports { found: reports.len() })?;
        let instance = instance(&network, &proposal).ok_or(CertificateError::NoClosers)?;
        let value =
            Value::new(&set.to_bytes()).map_err(|error| CertificateError::Agreement(error.to_string()))?;
        let commit = CommitCertificate::verify(&certificate.commit, &instance, &value)
            .map_err(|error| CertificateError::Agreement(error.to_string()))?;
        let ballots = ballots(&proposal, &reports, &certificate.ballots, &mut identities, &record)?;
        let manifest = Manifest::unite(&proposal, &reports, |_, batch| ballots.get(&batch).cloned())
            .ok_or(CertificateError::Reports { found: reports.len() })?;
        identities.check_all_needed()?;
        let count = Count::of(&proposal, &manifest).ok_or(CertificateError::Mode)?;
        let closers = (commit.votes().len(), closers.len());
        Ok(ClosedVerified { network, manifest, count, closers, proposal })
    }
}

/// The choices in the ballots of a file, which must be those that the reports name, in order.
fn ballots(
    proposal: &Proposal,
    reports: &[CloseReport],
    proofs: &[VoteProof],
    identities: &mut Identities,
    record: &impl Fn(&str, &[u8]) -> Result<Record, CertificateError>,
) -> Result<BTreeMap<RecordId, Choice>, CertificateError> {
    let named: Vec<_> = reported(reports)
        .into_iter()
        .flat_map(|(voter, batches)| batches.into_iter().map(move |batch| (voter, batch)))
        .collect();
    if named.len() != proofs.len() {
        return Err(CertificateError::Ballots { found: proofs.len(), needed: named.len() });
    }
    let mut choices = BTreeMap::new();
    for (index, (proof, (voter, id))) in proofs.iter().zip(named).enumerate() {
        let fault = |cause| CertificateError::Vote { index, cause };
        let batch = record(&format!("vote {index}"), &proof.batch)?;
        if batch.id() != id || batch.kind() != Kind::BallotBatch {
            return Err(fault("the record is not the batch of ballots that was reported"));
        }
        if batch.group() != proposal.group {
            return Err(fault("the ballot is of another group"));
        }
        let listed = proposal.electorate.voters().get(usize::from(voter));
        if listed.is_none_or(|listed| listed.agent != batch.agent()) {
            return Err(fault("the ballot is not of the voter that was reported"));
        }
        let signed: Leaves = batch.body()?;
        if !merkle::verify(&proof.leaf, proof.index.into(), signed.count.into(), &proof.path, signed.root) {
            return Err(fault("the ballot is not among those that were signed"));
        }
        let (of, item, choice) = parse_any_leaf(&proof.leaf)?;
        if (of, item) != (proposal.id, proposal.item) || !choice.fits(proposal) {
            return Err(fault("the ballot does not answer this proposal"));
        }
        if !proof.stands_where_it_must(proposal) {
            return Err(fault("the answer stands at another question's place"));
        }
        identities.require_known(&batch).map_err(fault)?;
        choices.insert(id, choice);
    }
    Ok(choices)
}

fn blobs<const MAX: usize>(records: &[&Record]) -> Option<Vec<Blob<MAX>>> {
    records.iter().map(|record| Blob::try_from(record.envelope().to_vec()).ok()).collect()
}
