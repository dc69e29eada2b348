//! The receipts behind what this node published, kept apart from calls: a root is over them as they were when it was signed,
//! whatever ends, is rated or is forgotten later.

use std::sync::Arc;

use althing_engine::{ReceiptsDemanded, Response};
use althing_net::{Net, ReplyTo};
use althing_record::cbor;
use althing_record::{Digest, Network, merkle};
use althing_rocks::{Aside, Rocks};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::{Attestations, Demand, ProvenReceipt, RatingEpoch, ReceiptProof, RowProof};
use tokio::sync::Semaphore;

/// For how many rating epochs after its own a record's receipts are kept.
const EPOCHS_KEPT: u64 = 32;

/// Most receipts that are kept; of more, those of the oldest rating epochs go.
const LEAVES_MAX: usize = 400_000;

/// Most rows that are written at once.
const BATCH_MAX: usize = 4_096;

/// Before rating epoch and place: a leaf.
const LEAF: u8 = b'l';

/// Before a rating epoch: the hashes of its leaves.
const HASHES: u8 = b't';

fn leaf_key(epoch: RatingEpoch, place: u64) -> Vec<u8> {
    [&[LEAF][..], &epoch.0.to_be_bytes(), &place.to_be_bytes()].concat()
}

fn hashes_key(epoch: RatingEpoch) -> Vec<u8> {
    [&[HASHES][..], &epoch.0.to_be_bytes()].concat()
}

/// Keeps the leaves of a record that is about to be signed. They are on disk when the record is: both go through one log.
pub(super) fn keep(rocks: &Rocks, epoch: RatingEpoch, leaves: &[Vec<u8>]) -> Result<(), ReadError> {
    let mut rows: Vec<Aside> = Vec::new();
    for (old, count) in surplus(&kept(rocks)?, epoch, leaves.len()) {
        rows.push((Table::CallIndex, hashes_key(old), None));
        rows.extend((0..count as u64).map(|place| (Table::CallIndex, leaf_key(old, place), None)));
    }
    let leaf_row =
        |(place, leaf): (u64, &Vec<u8>)| (Table::CallIndex, leaf_key(epoch, place), Some(leaf.clone()));
    rows.extend((0..).zip(leaves).map(leaf_row));
    let hashes = leaves.iter().flat_map(|leaf| merkle::leaf_hash(leaf).0).collect();
    // Last: without it nothing is shown.
    rows.push((Table::CallIndex, hashes_key(epoch), Some(hashes)));
    rows.chunks(BATCH_MAX).try_for_each(|rows| rocks.keep_calls(rows.to_vec()))
}

/// The rating epochs of which leaves are kept, and how many.
fn kept(store: &impl Snapshot) -> Result<Vec<(RatingEpoch, usize)>, ReadError> {
    let rows = store.scan_prefix(Table::CallIndex, &[HASHES], usize::MAX)?;
    let epoch = |key: &[u8]| Some(RatingEpoch(u64::from_be_bytes(key.get(1..)?.try_into().ok()?)));
    Ok(rows.iter().filter_map(|(key, hashes)| Some((epoch(key)?, hashes.len() / 32))).collect())
}

/// Which of those that are kept go, ascending, when so many more come of a rating epoch: an earlier try for the same one,
/// what is too old, and what there is no room for.
fn surplus(kept: &[(RatingEpoch, usize)], epoch: RatingEpoch, more: usize) -> Vec<(RatingEpoch, usize)> {
    let mut left: usize = more + kept.iter().map(|(_, count)| count).sum::<usize>();
    let goes = |(old, count): &(RatingEpoch, usize)| {
        let is_stale = *old == epoch || old.0 + EPOCHS_KEPT < epoch.0;
        let goes = is_stale || left > LEAVES_MAX;
        left -= if goes { *count } else { 0 };
        goes
    };
    kept.iter().copied().filter(goes).collect()
}

/// Shows peers what they demand, off the event loop, one demand at a time: a tree of 200,000 receipts is 6 MB of hashes.
pub(super) struct Shower {
    rocks: Rocks,
    network: Network,
    net: Net,
    one: Arc<Semaphore>,
}

impl Shower {
    pub(super) fn new(rocks: Rocks, network: Network, net: Net) -> Self {
        Self { rocks, network, net, one: Arc::new(Semaphore::new(1)) }
    }

    pub(super) fn show(&self, reply: ReplyTo, demanded: ReceiptsDemanded) {
        let (rocks, network, net) = (self.rocks.clone(), self.network.clone(), self.net.clone());
        let Ok(permit) = self.one.clone().try_acquire_owned() else {
            // The swarm is too busy to say even that: the peer asks again.
            let _ = net.respond(reply, Response::Busy.to_bytes());
            return;
        };
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let shown = show(&rocks, &demanded, &network)
                .inspect_err(|error| tracing::warn!(%error, "receipts cannot be shown"));
            let response = shown.map_or(Response::Busy, |proofs| Response::Proofs { proofs });
            let _ = net.respond(reply, response.to_bytes());
        });
    }
}

/// What is shown for each demand: a [`RowProof`]; none where the receipts are not here.
pub(super) fn show(
    store: &impl Snapshot,
    demanded: &ReceiptsDemanded,
    network: &Network,
) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let said = &demanded.said;
    let hashes = store.get(Table::CallIndex, &hashes_key(said.epoch))?.unwrap_or_default();
    let tree = merkle::Tree::new(hashes.as_chunks().0.iter().copied().map(Digest).collect());
    if tree.root() != said.receipts_root {
        return Ok(vec![None; demanded.demands.len()]);
    }
    demanded.demands.iter().map(|demand| row_proof(store, said, demand, &tree, network)).collect()
}

fn row_proof(
    store: &impl Snapshot,
    said: &Attestations,
    demand: &Demand,
    tree: &merkle::Tree,
    network: &Network,
) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(top) = top(store, said, demand.row, network)? else { return Ok(None) };
    let mut receipts = Vec::with_capacity(demand.places.len());
    for place in &demand.places {
        let leaf =
            store.get(Table::CallIndex, &leaf_key(said.epoch, *place))?.and_then(|leaf| leaf.try_into().ok());
        let path = usize::try_from(*place).ok().and_then(|place| tree.path(place)?.try_into().ok());
        let (Some(leaf), Some(path)) = (leaf, path) else { return Ok(None) };
        receipts.push(ReceiptProof { leaf, path });
    }
    let proof = top.try_into().ok().zip(receipts.try_into().ok());
    Ok(proof.map(|(top, receipts)| cbor::to_vec(&RowProof { top, receipts })))
}

/// The highest Accept of a row's callee: that of the last receipt in one of the callee's rows.
fn top(
    store: &impl Snapshot,
    said: &Attestations,
    row: usize,
    network: &Network,
) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(named) = said.rows.get(row).and_then(|row| said.top(row.target)) else { return Ok(None) };
    let mut end = 0;
    for row in &said.rows {
        end += row.counts.count();
        if row.target != named.callee {
            continue;
        }
        let leaf = store.get(Table::CallIndex, &leaf_key(said.epoch, end - 1))?.unwrap_or_default();
        if let Ok(proven) = ProvenReceipt::verify(&leaf, network.id())
            && proven.accept().id() == named.accept
        {
            return Ok(Some(proven.accept().bytes().to_vec()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use althing_record::{AgentKey, Millis, NodeKey, RecordId};
    use althing_trust::{
        Accept, AcceptBody, Attestations, Call, CallBody, Receipt, ReceiptBody, Summary, TaskId,
        request_head_hash,
    };

    use super::*;

    const EPOCH: RatingEpoch = RatingEpoch(0);

    /// Calls of one agent to two others for two skills, some of each.
    fn receipts(network: &Network) -> Vec<ProvenReceipt> {
        let caller = AgentKey::from_seed(&[1; 32]);
        let made = network.genesis().created.plus(1);
        let one = |number: u8| {
            let callee = AgentKey::from_seed(&[2 + number % 2; 32]);
            let body = CallBody {
                network: network.id(),
                caller: caller.agent(),
                callee: callee.agent(),
                task: TaskId([number; 16]),
                caller_node: NodeKey::from_seed(&[3; 32]).node(),
                request_head_hash: request_head_hash(b""),
                made,
                key: None,
            };
            let call = Call::sign(body, &caller).unwrap();
            let skill = if number.is_multiple_of(3) { "text" } else { "" }.try_into().unwrap();
            let accept = AcceptBody { skill, ..AcceptBody::to(&call, u64::from(number) + 1, made) };
            let accept = Accept::sign(accept, &callee).unwrap();
            let receipt = Receipt::sign(ReceiptBody::timeout(&accept, 1, made), &caller).unwrap();
            ProvenReceipt::new(accept, receipt).unwrap()
        };
        (0..23).map(one).collect()
    }

    fn said(network: &Network, summary: &Summary) -> Attestations {
        let receipts: Vec<_> =
            summary.leaves.iter().map(|leaf| ProvenReceipt::verify(leaf, network.id())).collect();
        let mut rows: Vec<althing_trust::Row> = Vec::new();
        let mut tops: std::collections::BTreeMap<_, (u64, Digest)> = std::collections::BTreeMap::new();
        for proven in receipts.into_iter().map(Result::unwrap) {
            let accept = proven.accept();
            let top = tops.entry(accept.callee).or_insert((accept.index, accept.id()));
            *top = (*top).max((accept.index, accept.id()));
            let count = match rows.last_mut() {
                Some(row) if (row.target, &row.skill) == (accept.callee, &accept.skill) => {
                    row.counts.count() + 1
                }
                Some(_) | None => 1,
            };
            if count > 1 {
                rows.pop();
            }
            let counts = althing_engine::Counts::new(count, 0, 0, 0).unwrap();
            rows.push(althing_trust::Row { target: accept.callee, skill: accept.skill.clone(), counts });
        }
        let tops =
            tops.into_iter().map(|(callee, (index, accept))| althing_trust::Top { callee, index, accept });
        Attestations {
            id: RecordId([7; 32]),
            rater: AgentKey::from_seed(&[1; 32]).agent(),
            epoch: EPOCH,
            made: Millis(u64::MAX),
            rows,
            tops: tops.collect(),
            receipts_root: summary.body.receipts_root,
        }
    }

    #[tokio::test]
    async fn what_a_root_was_made_of_is_shown_and_proves_every_row_after_a_restart() {
        let network = Network::builtin();
        let dir = tempfile::tempdir().unwrap();
        let agent = AgentKey::from_seed(&[1; 32]).agent();
        let summary = Summary::new(agent, EPOCH, &receipts(&network), network.genesis());
        let said = said(&network, &summary);
        assert_eq!((summary.leaves.len(), said.rows.len()), (23, 4));
        let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
        // An earlier try, with fewer receipts.
        keep(&opened.rocks, EPOCH, &summary.leaves[1..]).unwrap();
        let demands = said.demands(Digest([9; 32]));
        let demanded = ReceiptsDemanded { said: said.clone(), demands: demands.clone() };
        assert_eq!(show(&opened.rocks, &demanded, &network).unwrap(), vec![None; 4], "another root");
        keep(&opened.rocks, EPOCH, &summary.leaves).unwrap();
        let _ = opened.committer.close();
        drop(opened.rocks);
        let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
        for (demand, shown) in demands.iter().zip(show(&opened.rocks, &demanded, &network).unwrap()) {
            let proof: RowProof = cbor::from_slice(&shown.unwrap(), cbor::Limits::RECORD).unwrap();
            let proven = said.prove(demand, &proof, &network).unwrap();
            assert_eq!(proven.len(), demand.places.len());
        }
        let _ = opened.committer.close();
    }

    #[test]
    fn what_can_no_longer_be_demanded_goes_and_the_oldest_when_there_is_no_room() {
        let (old, kept, newest) = (RatingEpoch(7), RatingEpoch(8), RatingEpoch(8 + EPOCHS_KEPT));
        let goes = |kept: &[(RatingEpoch, usize)], more| -> Vec<u64> {
            surplus(kept, newest, more).into_iter().map(|(epoch, _)| epoch.0).collect()
        };
        assert_eq!(goes(&[(old, 1), (kept, 1), (newest, 1)], 1), [old.0, newest.0]);
        let full = [(kept, LEAVES_MAX / 2), (RatingEpoch(9), LEAVES_MAX / 2)];
        assert_eq!(goes(&full, 1), [kept.0]);
        assert!(goes(&full, 0).is_empty());
        assert_eq!(goes(&full, LEAVES_MAX), [kept.0, 9]);
    }
}
