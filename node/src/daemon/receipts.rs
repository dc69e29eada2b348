//! What this node's agents can prove of their calls: rows beside the commits, the newest ones.

use std::collections::BTreeMap;
use std::time::Duration;

use althing_a2a::Ending;
use althing_engine::{Answer, Ask, Refusal, RefusalKind, is_attested};
use althing_gateway::Asked;
use althing_gateway::api::{CallProof, RateRequest, Rated};
use althing_record::cbor::{self, Encode as _, Limits, Writer};
use althing_record::{AgentId, Millis, Network, NetworkId};
use althing_rocks::{Aside, Rocks};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::{
    Accept, Comment, KeptCall, ProvenCall, ProvenReceipt, QUALITY_MAX, RatingEpoch, Receipt, ReceiptBody,
    TaskId,
};
use althing_tunnel::{Evidence, Identity, Outcome, Side};
use tokio::sync::{mpsc, oneshot};

use super::Clock;
use super::experience::Experience;
use super::places::{self, Places};

/// Most calls that a node keeps.
pub(super) const CALLS_MAX: u64 = 200_000;

/// After so many calls that are no longer kept, the space of them is given back.
const FORGOTTEN_AT_ONCE: u64 = 4_096;

/// Most calls that are written at once.
const BATCH_MAX: usize = 1_024;

/// Room in a row for what is not signed.
const ROW_REST_BYTES: usize = 96;

/// How long a call waits for others to be written with it.
const GATHER: Duration = Duration::from_millis(20);

/// How long before a start calls may have ended that are looked at again, in milliseconds.
const RESUMED_MS: u64 = 3_600_000;

/// Most calls that are looked at to find those to one agent, the newest.
const CALLS_READ_MAX: usize = 50_000;

/// Where the numbers of the oldest and the next call are.
const HEAD: &[u8] = b"h";

/// Before the number of each call.
const CALL: u8 = b'c';

/// Where the call with this number is.
pub(super) fn call_key(number: u64) -> Vec<u8> {
    [&[CALL][..], &number.to_be_bytes()].concat()
}

/// The numbers of the oldest call and of the next one.
fn head(rocks: &impl Snapshot) -> Result<(u64, u64), ReadError> {
    let row = rocks.get(Table::CallIndex, HEAD)?.unwrap_or_default();
    let number =
        |at: usize| row.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(1, u64::from_be_bytes);
    Ok((number(0), number(8)))
}

/// What calls are kept with.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) rocks: Rocks,
    pub(super) network: Network,
    /// The agent that calls from here, and signs what it says of that.
    pub(super) rater: Option<Identity>,
    pub(super) experience: Experience,
    pub(super) clock: Clock,
    /// Most calls that are kept; of more, the oldest go.
    pub(super) calls_max: u64,
    pub(super) asks: mpsc::Sender<Asked>,
}

/// What some calls that ended make of the table.
struct Gathered {
    rows: Vec<Aside>,
    head: (u64, u64),
    conflicts: Vec<[Accept; 2]>,
}

/// Writes what both sides of the tunnel hand over, until they are gone, with a receipt where the rater called. A callee
/// that gave one place to two calls is accused before the second is written, so that a crash leaves it to be found again.
pub(super) async fn keep(keeper: Keeper, mut evidence: mpsc::Receiver<Evidence>) {
    let mut ends = match head(&keeper.rocks) {
        Ok(head) => head,
        Err(error) => {
            tracing::warn!(%error, "calls are not kept");
            return;
        }
    };
    let resuming = keeper.clone();
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || resuming.resume()).await {
        tracing::warn!(%error, "calls before this start are not chosen by");
    }
    let mut batch = Vec::new();
    while evidence.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (gathering, ended) = (keeper.clone(), std::mem::take(&mut batch));
        let gathered = tokio::task::spawn_blocking(move || gathering.gather(&ended, ends)).await;
        let gathered = match gathered {
            Ok(Ok(gathered)) => gathered,
            Ok(Err(error)) => {
                tracing::warn!(%error, "calls are not kept");
                return;
            }
            Err(_) => return,
        };
        for conflict in gathered.conflicts {
            keeper.accuse(conflict).await;
        }
        let (rocks, before) = (keeper.rocks.clone(), std::mem::replace(&mut ends, gathered.head));
        let written = tokio::task::spawn_blocking(move || {
            rocks.keep_calls(gathered.rows)?;
            forget(&rocks, before.0, ends.0)
        })
        .await;
        if let Ok(Err(error)) = written {
            // A disk that is full is told of elsewhere. The calls themselves are done.
            tracing::debug!(%error, "calls were not kept");
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Gives back space when the oldest call that is kept has become another one, now and then.
fn forget(rocks: &Rocks, before: u64, first: u64) -> Result<(), ReadError> {
    if before / FORGOTTEN_AT_ONCE == first / FORGOTTEN_AT_ONCE {
        return Ok(());
    }
    rocks.forget_calls(&call_key(first - 1))
}

impl Keeper {
    /// What was learned from calls that ended lately and is not published.
    fn resume(&self) -> Result<(), ReadError> {
        let Some(rater) = &self.rater else { return Ok(()) };
        let since = self.clock.now().wall.minus(RESUMED_MS);
        for (epoch, calls) in own_since(&self.rocks, &self.network, rater.agent, since)? {
            if !is_attested(&self.rocks, rater.agent, epoch)? {
                calls.iter().for_each(|call| self.experience.add(call, self.network.genesis()));
            }
        }
        Ok(())
    }

    fn gather(&self, ended: &[Evidence], (mut first, mut next): (u64, u64)) -> Result<Gathered, ReadError> {
        let mut rows: Vec<Aside> = Vec::new();
        let mut places = Places::new(&self.rocks, &self.network);
        for (evidence, receipt) in ended.iter().zip(self.receipts(ended)) {
            if let Some(row) = row(evidence, receipt.as_ref()) {
                if evidence.side == Side::Caller {
                    places.take(&evidence.accept, next)?;
                }
                rows.push((Table::Calls, call_key(next), Some(row)));
                next += 1;
            }
            if let Some(Ok(call)) =
                receipt.map(|receipt| ProvenReceipt::new((*evidence.accept).clone(), receipt))
            {
                self.experience.add(&call, self.network.genesis());
            }
        }
        while next - first > self.calls_max {
            if let Some(row) = self.rocks.get(Table::Calls, &call_key(first))? {
                let place = places::forgotten(&row, &self.network);
                rows.extend(place.map(|place| (Table::CallIndex, place, None)));
            }
            first += 1;
        }
        let (head, conflicts) =
            ([first.to_be_bytes(), next.to_be_bytes()], std::mem::take(&mut places.conflicts));
        rows.extend(places.rows());
        rows.push((Table::CallIndex, HEAD.to_vec(), Some(head.concat())));
        Ok(Gathered { rows, head: (first, next), conflicts })
    }

    /// The receipts of calls that ended, signed together.
    fn receipts(&self, ended: &[Evidence]) -> Vec<Option<Receipt>> {
        let Some(rater) = &self.rater else { return vec![None; ended.len()] };
        let bodies: Vec<_> = ended.iter().map(|evidence| receipt(evidence, rater)).collect();
        let mut signed = rater.sign_all(bodies.iter().flatten().cloned().collect()).into_iter();
        bodies.iter().map(|body| body.as_ref().and_then(|_| signed.next().flatten())).collect()
    }

    /// Has the node tell everybody that a callee contradicts itself.
    async fn accuse(&self, accepts: [Accept; 2]) {
        let Some(rater) = &self.rater else { return };
        let callee = accepts[0].callee;
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Accuse { agent: rater.agent, accepts: Box::new(accepts) };
        if self.asks.send((ask, reply)).await.is_err() {
            return;
        }
        match answer.await {
            Ok(Answer::Accused(record)) => {
                let told = record.map_or("known already".to_owned(), |record| record.to_string());
                tracing::warn!(%callee, evidence = told, "a callee gave two calls one index");
            }
            Ok(Answer::Refused(refusal)) => {
                tracing::warn!(%callee, cause = refusal.cause, "a callee gave two calls one index, and nobody is told");
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn row(evidence: &Evidence, receipt: Option<&Receipt>) -> Option<Vec<u8>> {
    let (outcome, status) = match evidence.outcome {
        Outcome::Answered(status) => (0, status),
        Outcome::Timeout => (1, 0),
        Outcome::Broken => (2, 0),
    };
    let kept = KeptCall {
        side: match evidence.side {
            Side::Caller => 0,
            Side::Callee => 1,
        },
        outcome,
        status,
        latency_ms: evidence.latency_ms,
        response_hash: evidence.response_hash,
        made: evidence.made,
        call: evidence.call.bytes().to_vec().try_into().ok()?,
        accept: evidence.accept.bytes().to_vec().try_into().ok()?,
        receipt: receipt.and_then(|receipt| receipt.bytes().to_vec().try_into().ok()),
        comment: None,
    };
    let signed =
        kept.call.len() + kept.accept.len() + kept.receipt.as_ref().map_or(0, |receipt| receipt.len());
    let mut row = Writer::with_capacity(signed + ROW_REST_BYTES);
    kept.encode(&mut row);
    Some(row.into_bytes())
}

/// What the caller says of a call. Nothing if the answer is no end, or says that the request was at fault.
fn receipt(evidence: &Evidence, rater: &Identity) -> Option<ReceiptBody> {
    if evidence.side != Side::Caller || evidence.accept.caller != rater.agent {
        return None;
    }
    let latency_ms = u32::try_from(evidence.latency_ms).unwrap_or(u32::MAX);
    let missed = ReceiptBody::timeout(&evidence.accept, latency_ms, evidence.made);
    let (outcome, quality) = match (evidence.outcome, evidence.ending) {
        (Outcome::Answered(_), Some(Ending::Open | Ending::Refused) | None) => return None,
        (Outcome::Answered(_), Some(Ending::Done)) => (althing_trust::Outcome::Ok, QUALITY_MAX),
        (Outcome::Answered(_), Some(Ending::Failed)) => (althing_trust::Outcome::Bad, 0),
        (Outcome::Timeout | Outcome::Broken, _) => (missed.outcome, 0),
    };
    Some(ReceiptBody { outcome, quality, response_hash: evidence.response_hash, ..missed })
}

/// The receipts of an agent for calls that ended since then, by the rating epoch of their Accepts.
pub(super) fn own_since(
    rocks: &impl Snapshot,
    network: &Network,
    agent: AgentId,
    since: Millis,
) -> Result<BTreeMap<RatingEpoch, Vec<ProvenReceipt>>, ReadError> {
    let (first, next) = head(rocks)?;
    let mut receipts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for number in (first..next).rev() {
        let Some(row) = rocks.get(Table::Calls, &call_key(number))? else { continue };
        let Ok(kept) = cbor::from_slice::<KeptCall>(&row, Limits::RECORD) else { continue };
        // Rows are in the order in which calls ended.
        if kept.made < since {
            break;
        }
        if kept.receipt.is_none() {
            continue;
        }
        let Ok(ProvenCall { accept, receipt: Some(receipt), .. }) = KeptCall::prove(&row, network.id())
        else {
            continue;
        };
        let epoch = RatingEpoch::of(accept.made, network.genesis());
        if let Ok(proven) = ProvenReceipt::new(accept, receipt)
            && proven.receipt().caller == agent
        {
            receipts.entry(epoch).or_default().push(proven);
        }
    }
    Ok(receipts)
}

/// Changes how good the answer to a call of `rater` was, unless that was published. An answer that was worth nothing is a
/// bad one; whoever gave none in time did so whatever is said later. What is noted with it is kept in the row alone.
pub(super) fn rate(
    rocks: &Rocks,
    network: &Network,
    (rater, experience): (&Identity, &Experience),
    (task, wish): (TaskId, &RateRequest),
    now: Millis,
) -> Result<Rated, Refusal> {
    let refused = |kind, cause: String, hint: &str| Refusal { kind, cause, hint: Some(hint.to_owned()) };
    let unreadable = |error: ReadError| Refusal {
        kind: RefusalKind::Internal,
        cause: format!("store: {error}"),
        hint: Some("stop the node and run `althing store check`: it names the damaged file".to_owned()),
    };
    let quality = wish.quality;
    let noted = wish.comment.as_deref().map(str::parse::<Comment>).transpose();
    let noted = noted.map_err(|error| Refusal {
        kind: RefusalKind::Invalid,
        cause: format!("comment: {error}"),
        hint: None,
    })?;
    let found = find(rocks, network.id(), rater.agent, task).map_err(unreadable)?;
    let Some((number, ProvenCall { kept, accept, receipt, .. })) = found else {
        let cause = format!("no call {task} of this node's agent is kept here");
        return Err(refused(RefusalKind::NotFound, cause, "`althing rep receipts` lists the calls"));
    };
    let Some(receipt) = receipt else {
        let cause = format!(
            "call {task} has no receipt: its answer is no end, or says that the request was at fault"
        );
        return Err(refused(RefusalKind::Conflict, cause, "calls that were answered have one"));
    };
    let epoch = RatingEpoch::of(accept.made, network.genesis());
    if is_attested(rocks, rater.agent, epoch).map_err(unreadable)? {
        let cause = format!("how calls of rating epoch {epoch} went is published");
        return Err(refused(RefusalKind::Conflict, cause, "rate a call before its rating epoch is over"));
    }
    let outcome = match receipt.outcome {
        althing_trust::Outcome::Ok | althing_trust::Outcome::Bad if quality == 0 => {
            althing_trust::Outcome::Bad
        }
        althing_trust::Outcome::Ok | althing_trust::Outcome::Bad => althing_trust::Outcome::Ok,
        other @ (althing_trust::Outcome::Timeout | althing_trust::Outcome::Invalid) => other,
    };
    let before = receipt.quality;
    let body = ReceiptBody { outcome, quality, made: now, ..(*receipt).clone() };
    let signed = Receipt::sign(body, &rater.key()).map_err(|error| Refusal {
        kind: RefusalKind::Internal,
        cause: format!("the receipt cannot be signed: {error}"),
        hint: None,
    })?;
    let (callee, bytes) = (accept.callee, signed.bytes().to_vec().try_into().ok());
    let comment = match noted {
        None => kept.comment.clone(),
        Some(noted) => Some(noted.into_text()).filter(|text| !text.is_empty()),
    };
    let said = comment.as_ref().map(ToString::to_string);
    let row = cbor::to_vec(&KeptCall { receipt: bytes, comment, ..kept });
    rocks.keep_calls([(Table::Calls, call_key(number), Some(row))]).map_err(unreadable)?;
    if let (Ok(old), Ok(call)) =
        (ProvenReceipt::new(accept.clone(), receipt), ProvenReceipt::new(accept, signed))
    {
        experience.replace(&old, &call, network.genesis());
    }
    Ok(Rated {
        schema: "althing.rated/v1".to_owned(),
        task: task.to_string(),
        callee: callee.to_string(),
        quality,
        before,
        epoch: epoch.0,
        comment: said,
    })
}

/// The newest call of this agent with this task, and its number.
fn find(
    rocks: &impl Snapshot,
    network: NetworkId,
    caller: AgentId,
    task: TaskId,
) -> Result<Option<(u64, ProvenCall)>, ReadError> {
    let (first, next) = head(rocks)?;
    for number in (first..next).rev() {
        let Some(row) = rocks.get(Table::Calls, &call_key(number))? else { continue };
        // Most rows need no signature verified to be passed over.
        if !row.windows(task.0.len()).any(|bytes| bytes == task.0) {
            continue;
        }
        if let Ok(proven) = KeptCall::prove(&row, network)
            && (proven.call.task, proven.call.caller, proven.kept.side) == (task, caller, 0)
        {
            return Ok(Some((number, proven)));
        }
    }
    Ok(None)
}

/// The newest calls, newest first, each with its signatures verified. One that does not hold is left out.
pub(super) fn newest(
    rocks: &impl Snapshot,
    network: &Network,
    limit: usize,
) -> Result<Vec<CallProof>, ReadError> {
    let (first, next) = head(rocks)?;
    let mut proofs = Vec::new();
    for number in (first..next).rev().take(limit) {
        let Some(row) = rocks.get(Table::Calls, &call_key(number))? else { continue };
        if let Ok(proven) = KeptCall::prove(&row, network.id()) {
            proofs.push(shown(rocks, network, &proven)?);
        }
    }
    Ok(proofs)
}

/// The newest calls of an agent to another one that have a receipt, newest first.
pub(super) fn newest_to(
    rocks: &impl Snapshot,
    network: &Network,
    (caller, callee): (AgentId, AgentId),
    limit: usize,
) -> Result<Vec<CallProof>, ReadError> {
    let (first, next) = head(rocks)?;
    let mut proofs = Vec::new();
    for number in (first..next).rev().take(CALLS_READ_MAX) {
        if proofs.len() == limit {
            break;
        }
        let Some(row) = rocks.get(Table::Calls, &call_key(number))? else { continue };
        // Most rows need no signature verified to be passed over.
        if !row.windows(callee.0.len()).any(|bytes| bytes == callee.0) {
            continue;
        }
        if let Ok(proven) = KeptCall::prove(&row, network.id())
            && (proven.kept.side, proven.call.caller, proven.call.callee) == (0, caller, callee)
            && proven.receipt.is_some()
        {
            proofs.push(shown(rocks, network, &proven)?);
        }
    }
    Ok(proofs)
}

fn shown(rocks: &impl Snapshot, network: &Network, proven: &ProvenCall) -> Result<CallProof, ReadError> {
    let ProvenCall { kept, call, accept, receipt } = proven;
    let epoch = RatingEpoch::of(accept.made, network.genesis());
    let published = receipt.as_ref().map(|receipt| is_attested(rocks, receipt.caller, epoch)).transpose()?;
    Ok(CallProof {
        task: call.task.to_string(),
        side: if kept.side == 0 { "caller" } else { "callee" }.to_owned(),
        caller: call.caller.to_string(),
        callee: call.callee.to_string(),
        skill: accept.skill.to_string(),
        index: accept.index,
        outcome: match kept.outcome {
            0 => "answered",
            1 => "timeout",
            _ => "broken",
        }
        .to_owned(),
        status: kept.status,
        latency_ms: kept.latency_ms,
        quality: receipt.as_ref().map(|receipt| receipt.quality),
        response_hash: kept.response_hash.map(|hash| hash.to_string()),
        made: althing_gateway::api::rfc3339(kept.made),
        published,
        comment: kept.comment.as_ref().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use althing_record::{AgentKey, Millis, Network, NodeKey};
    use althing_store::CommitNo;
    use althing_trust::{Accept, AcceptBody, Call, CallBody, TaskId, request_head_hash};
    use althing_tunnel::Signer;

    use super::*;

    fn evidence(number: u8, index: u64) -> Evidence {
        let network = Network::builtin().id();
        let (caller, callee) = (AgentKey::from_seed(&[1; 32]), AgentKey::from_seed(&[2; 32]));
        let body = CallBody {
            network,
            caller: caller.agent(),
            callee: callee.agent(),
            task: TaskId([number; 16]),
            caller_node: NodeKey::from_seed(&[3; 32]).node(),
            request_head_hash: request_head_hash(b""),
            made: Millis(1),
            key: None,
        };
        let call = Call::sign(body, &caller).unwrap();
        let accept = Accept::sign(AcceptBody::to(&call, index, Millis(2)), &callee).unwrap();
        Evidence {
            side: Side::Caller,
            call: Box::new(call),
            accept: Box::new(accept),
            outcome: Outcome::Answered(200),
            latency_ms: u64::from(number),
            ending: Some(Ending::Done),
            response_hash: None,
            made: Millis(3),
        }
    }

    /// Keeps what ended, on a node whose event loop answers every accusation; gives these.
    async fn kept(rocks: &Rocks, ended: Vec<Evidence>) -> Vec<[Accept; 2]> {
        kept_up_to(rocks, ended, CALLS_MAX).await
    }

    async fn kept_up_to(rocks: &Rocks, ended: Vec<Evidence>, calls_max: u64) -> Vec<[Accept; 2]> {
        let key = AgentKey::from_seed(&[1; 32]);
        let rater = Some(Identity::new(
            key.agent(),
            std::sync::Arc::new(key.clone()),
            std::sync::Arc::new(Signer::of(&key)),
        ));
        let (asks, mut asked) = mpsc::channel::<Asked>(1);
        let (send, receive) = mpsc::channel(8);
        let (experience, clock) = (Experience::default(), Clock::start());
        let network = Network::builtin();
        let keeper = Keeper { rocks: rocks.clone(), network, rater, experience, clock, calls_max, asks };
        let keeping = tokio::spawn(keep(keeper, receive));
        let answering = tokio::spawn(async move {
            let mut accused = Vec::new();
            while let Some((ask, reply)) = asked.recv().await {
                let Ask::Accuse { accepts, .. } = ask else { panic!("{ask:?}") };
                accused.push(*accepts);
                reply.send(Answer::Accused(None)).unwrap();
            }
            accused
        });
        for one in ended {
            send.send(one).await.unwrap();
        }
        drop(send);
        keeping.await.unwrap();
        answering.await.unwrap()
    }

    #[tokio::test]
    async fn calls_are_kept_over_restarts_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::builtin();
        for start in 0..2_u8 {
            let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
            assert_eq!(opened.commit, CommitNo(0));
            let ended = (3 * start..3 * start + 3).map(|number| evidence(number, u64::from(number) + 1));
            assert!(kept(&opened.rocks, ended.collect()).await.is_empty());
            let found = newest(&opened.rocks, &network, 4).unwrap();
            let latencies: Vec<_> = found.iter().map(|proof| proof.latency_ms).collect();
            let expected: Vec<u64> = (0..=3 * u64::from(start) + 2).rev().take(4).collect();
            assert_eq!(latencies, expected);
            let _ = opened.committer.close();
        }
    }

    #[tokio::test]
    async fn of_too_many_calls_the_oldest_are_forgotten_with_their_places() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::builtin();
        let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
        for number in 1..=5 {
            let ended = vec![evidence(number, u64::from(number))];
            assert!(kept_up_to(&opened.rocks, ended, 2).await.is_empty());
        }
        let found = newest(&opened.rocks, &network, 9).unwrap();
        assert_eq!(found.iter().map(|proof| proof.index).collect::<Vec<_>>(), [5, 4]);
        let places = opened.rocks.scan_prefix(Table::CallIndex, b"i", 9).unwrap();
        assert_eq!(places.len(), 2);
        let _ = opened.committer.close();
    }

    #[tokio::test]
    async fn calls_to_one_agent_are_found_with_what_is_noted_about_them() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::builtin();
        let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
        let without = Evidence { ending: Some(Ending::Open), ..evidence(2, 2) };
        let other = Evidence { side: Side::Callee, ..evidence(3, 3) };
        let ended = vec![evidence(1, 1), without, other, evidence(4, 4), evidence(5, 5)];
        assert!(kept(&opened.rocks, ended).await.is_empty());
        let key = AgentKey::from_seed(&[1; 32]);
        let rater = Identity::new(
            key.agent(),
            std::sync::Arc::new(key.clone()),
            std::sync::Arc::new(Signer::of(&key)),
        );
        let say = |number: u8, quality: u8, comment: Option<&str>| {
            let wish = RateRequest { quality, comment: comment.map(ToOwned::to_owned) };
            let of = (TaskId([number; 16]), &wish);
            rate(&opened.rocks, &network, (&rater, &Experience::default()), of, Millis(9))
        };
        assert_eq!(say(4, 40, Some("too short")).unwrap().comment.as_deref(), Some("too short"));
        let long = "x".repeat(513);
        for wrong in ["a\u{1b}[2J", &*long] {
            assert_eq!(say(4, 10, Some(wrong)).unwrap_err().kind, RefusalKind::Invalid);
        }
        // A further rating leaves the comment as it is; an empty one takes it away.
        assert_eq!(say(4, 50, None).unwrap().comment.as_deref(), Some("too short"));
        let callee = AgentKey::from_seed(&[2; 32]).agent();
        let found = |limit| newest_to(&opened.rocks, &network, (rater.agent, callee), limit).unwrap();
        let of = |proof: &CallProof| (proof.latency_ms, proof.quality, proof.comment.clone());
        let note = Some("too short".to_owned());
        let all = [(5, Some(100), None), (4, Some(50), note), (1, Some(100), None)];
        assert_eq!(found(20).iter().map(of).collect::<Vec<_>>(), all);
        assert!(found(20).iter().all(|proof| proof.published == Some(false)));
        assert_eq!(found(2).len(), 2);
        assert_eq!(say(4, 50, Some("")).unwrap().comment, None);
        assert!(newest_to(&opened.rocks, &network, (callee, rater.agent), 20).unwrap().is_empty());
        let _ = opened.committer.close();
    }

    #[tokio::test]
    async fn a_callee_that_gives_one_place_twice_is_noticed_at_once_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let pair = |one: &Evidence, other: &Evidence| [(*one.accept).clone(), (*other.accept).clone()];
        let (first, second, third) = (evidence(1, 7), evidence(2, 7), evidence(3, 7));
        let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
        let accused = kept(&opened.rocks, vec![first.clone(), evidence(9, 8), second.clone()]).await;
        assert_eq!(accused, [pair(&first, &second)]);
        let _ = opened.committer.close();
        drop(opened.rocks);
        let opened = Rocks::open(dir.path(), althing_rocks::Options::default()).unwrap();
        assert!(kept(&opened.rocks, vec![first.clone()]).await.is_empty(), "the same Accept again");
        assert_eq!(kept(&opened.rocks, vec![third.clone()]).await, [pair(&first, &third)]);
        // The callee's side of a call is this node's own book.
        let own = Evidence { side: Side::Callee, ..evidence(4, 7) };
        assert!(kept(&opened.rocks, vec![own]).await.is_empty());
        let _ = opened.committer.close();
    }
}
