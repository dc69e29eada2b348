use std::collections::BTreeMap;
use std::sync::Arc;

use althing_agree::{CommitCertificate, Instance, InstanceId, SignedStatement, Value};
use althing_record::cbor::{self, Blob, List};
use althing_record::{
    GENESIS_BYTES_MAX, Kind, Leaves, Network, NetworkId, Record, RecordId, cbor_map, merkle,
};

use super::group::{self, GroupPath};
use super::identities::{Identities, needed_identities};
use super::{CLOSED, CertificateError, LIMITS, VoteProof};
use crate::ballot::parse_any_leaf;
use crate::electorate::VOTERS_MAX;
use crate::{
    CLOSERS_MAX, Choice, CloseReport, Count, DocketProof, Manifest, Opening, Openings, Proposal, ReportSet,
    Sealed, Sealing, Unopened, ballots_of, reported,
};

/// Most openings in a certificate: one of each honest trustee opens every ballot.
const OPENINGS_MAX: usize = 64;

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
        /// The openings of sealed ballots that are needed to read them, ascending by id. Absent if ballots are not sealed.
        8 => pub openings: Option<List<Blob<1_024>, OPENINGS_MAX>>,
    }
}

/// What a valid certificate of a Closed decision proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedVerified {
    /// In which network.
    pub network: Network,
    /// The proposal.
    pub proposal: Proposal,
    /// The ballots that count; if they were sealed, opened.
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
    let closers = proposal.closing()?.closers(network);
    Instance::new(network.id(), InstanceId(proposal.id.0), closers).ok().map(Arc::new)
}

impl ClosedCertificate {
    /// Writes the certificate of a decision. `batches` holds the batches with the ballots, with their leaves; `openings` what
    /// trustees published of sealed ones; `others` the identity records of those with rotated keys, closers who signed the
    /// agreement among them, and of a group's proposal the records on the way to its state.
    ///
    /// `None` if something is missing, or the reports were not agreed on.
    #[must_use]
    pub fn write(
        network: &Network,
        proposal: &Record,
        reports: &[Record],
        batches: &[Record],
        openings: &[Record],
        others: &[Record],
        commit: &[u8],
    ) -> Option<Self> {
        Self::write_item(network, (proposal, None), reports, batches, openings, others, commit)
    }

    /// The same for a question of a docket, by its number.
    #[must_use]
    pub fn write_item(
        network: &Network,
        (proposal, item): (&Record, Option<u16>),
        reports: &[Record],
        batches: &[Record],
        openings: &[Record],
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
        let (mut ballots, mut sealed) = (Vec::new(), Vec::new());
        for batch in reported(&read).into_values().flatten() {
            let batch = by_id.get(&batch)?;
            let index = match parsed.item {
                Some(item) => usize::from(item).checked_sub(1)?,
                None => {
                    let said = ballots_of(batch).ok()?;
                    let index = said.iter().position(|ballot| ballot.proposal == parsed.id)?;
                    if let Choice::Sealed(choice) = &said[index].choice {
                        sealed.push(choice.clone());
                    }
                    index
                }
            };
            ballots.push(VoteProof::of(batch, index)?);
        }
        let openings = parsed.sealing().map(|sealing| needed_openings(sealing, &sealed, openings));
        let signed = [proposal].into_iter().chain(reports.iter().copied()).chain(by_id.values().copied());
        let signed = signed.chain(path.iter().flatten().copied());
        let signed = signed.chain(openings.iter().flatten().copied());
        let rotated = CommitCertificate::rotated(commit, &*instance(network, &parsed)?)?;
        let certificate = Self {
            mode: CLOSED,
            genesis: Blob::try_from(network.to_bytes()).ok()?,
            proposal: Blob::try_from(proposal.envelope().to_vec()).ok()?,
            reports: List::try_from(blobs(&reports)?).ok()?,
            ballots: List::try_from(ballots).ok()?,
            identities: needed_identities(signed, rotated, others)?,
            commit: Blob::try_from(commit.to_vec()).ok()?,
            docket,
            group: group::written(path.as_deref())?,
            openings: match openings {
                Some(openings) => Some(List::try_from(blobs(&openings)?).ok()?),
                None => None,
            },
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
        crate::holders::check(&proposal.electorate, proposal.made, &network)?;
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
        let commit = CommitCertificate::verify(&certificate.commit, &instance, &identities.keys(), &value)
            .map_err(|error| CertificateError::Agreement(error.to_string()))?;
        identities.need(commit.votes().iter().map(SignedStatement::statement));
        let asked = super::questions_of(&proposal_record);
        let ballots = ballots((&proposal, asked), &reports, &certificate.ballots, &mut identities, &record)?;
        let manifest = Manifest::unite(&proposal, &reports, |_, batch| ballots.get(&batch).cloned())
            .ok_or(CertificateError::Reports { found: reports.len() })?;
        let manifest = opened(&network, &proposal, manifest, &certificate, &mut identities)?;
        identities.check_all_needed()?;
        let count = Count::of(&proposal, &manifest).ok_or(CertificateError::Mode)?;
        let closers = (commit.votes().len(), closers.len());
        Ok(ClosedVerified { network, manifest, count, closers, proposal })
    }
}

/// The openings with which every sealed ballot can be read, as few as are found by taking first those that most ballots
/// need; ascending by id.
fn needed_openings<'r>(sealing: &Sealing, sealed: &[Sealed], openings: &'r [Record]) -> Vec<&'r Record> {
    let mut uses: BTreeMap<(u8, [u8; 32]), Vec<usize>> = BTreeMap::new();
    for (ballot, choice) in sealed.iter().enumerate() {
        for share in choice.shares() {
            uses.entry((share.place, share.key)).or_default().push(ballot);
        }
    }
    let of = |record: &Record| {
        let opening = Opening::from_record(record).ok()?;
        uses.get(&(sealing.place(opening.trustee)?, opening.secret.public()))
    };
    let mut useful: Vec<_> =
        openings.iter().filter_map(|record| of(record).map(|ballots| (record, ballots))).collect();
    useful.sort_by_key(|(record, ballots)| (std::cmp::Reverse(ballots.len()), record.id()));
    let mut found = vec![0; sealed.len()];
    useful.retain(|(_, ballots)| {
        let is_needed = ballots.iter().any(|ballot| found[*ballot] < sealing.threshold());
        ballots.iter().filter(|_| is_needed).for_each(|ballot| found[*ballot] += 1);
        is_needed
    });
    let mut needed: Vec<_> = useful.into_iter().map(|(record, _)| record).collect();
    needed.sort_by_key(|record| record.id());
    needed
}

/// The manifest with its sealed ballots opened by the openings of a file.
fn opened(
    network: &Network,
    proposal: &Proposal,
    manifest: Manifest,
    certificate: &ClosedCertificate,
    identities: &mut Identities,
) -> Result<Manifest, CertificateError> {
    let (sealing, blobs) = match (proposal.sealing(), &certificate.openings) {
        (None, None) => return Ok(manifest),
        (Some(sealing), Some(blobs)) => (sealing, blobs),
        (Some(_), None) | (None, Some(_)) => return Err(CertificateError::Sealed),
    };
    let (mut openings, mut last) = (Openings::default(), None);
    for (index, bytes) in blobs.iter().enumerate() {
        let fault = |cause| CertificateError::Opening { index, cause };
        let record = super::record(network, &format!("opening {index}"), bytes)?;
        identities.require_known(&record).map_err(fault)?;
        if record.group() != proposal.group {
            return Err(fault("it is of another group"));
        }
        let opening = Opening::from_record(&record)?;
        if opening.proposal != proposal.id || sealing.place(opening.trustee).is_none() {
            return Err(fault("it is not of this proposal and one of its trustees"));
        }
        if last.is_some_and(|last| last >= record.id()) {
            return Err(fault("the openings are not in ascending order"));
        }
        last = Some(record.id());
        openings.insert(sealing, &opening);
    }
    let opened = manifest.open(network.id(), proposal, &openings);
    opened.map_err(|Unopened { voter, found, needed }| CertificateError::Unopened { voter, found, needed })
}

/// The choices in the ballots of a file, which must be those that the reports name, in order. `asked`: how many questions
/// were, if there are many.
fn ballots(
    (proposal, asked): (&Proposal, u32),
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
        if !proof.stands_where_it_must(proposal, &signed, asked) {
            return Err(fault("the answers are not one for each question, in order"));
        }
        identities.require_known(&batch).map_err(fault)?;
        choices.insert(id, choice);
    }
    Ok(choices)
}

fn blobs<const MAX: usize>(records: &[&Record]) -> Option<Vec<Blob<MAX>>> {
    records.iter().map(|record| Blob::try_from(record.envelope().to_vec()).ok()).collect()
}
