//! Receipts, attestations, what proves them, and what contradicts them.
//! `ALTHING_BLESS=1 cargo test -p althing-trust golden` rewrites the fixtures; a change of them is a commit of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use althing_record::cbor::{self, Blob, Text, Writer};
use althing_record::{AgentId, AgentKey, Content, Digest, Draft, KeyHistory, Kind, Millis, Record, RecordId};
use althing_testkit::{MADE, agent, chain, identity, network, sign};
use althing_trust::{
    Accept, AcceptBody, Attestations, AttestationsBody, AttestationsError, CHANGES_MAX, Checkpoint,
    CheckpointBody, CheckpointChanges, CheckpointError, Contradiction, ContradictionError, CountsError,
    DoubleAccept, Outcome, Params, ProvenReceipt, RatingEpoch, Receipt, ReceiptBody, ReceiptError,
    ReceiptProof, Row, RowProof, Slash, StatementError, Summary, TAKEN_MAX, TaskId, Unproved, Unproven,
};

const DAY: u64 = 24 * 60 * Millis::MINUTE;
const EPOCH: RatingEpoch = RatingEpoch(0);

/// The rater is agent 1 everywhere.
fn accept(callee: u8, index: u64, skill: &str) -> Accept {
    let task = [callee, u8::try_from(index).unwrap(), u8::try_from(skill.len()).unwrap()];
    let mut id = [0; 16];
    id[..3].copy_from_slice(&task);
    let body = AcceptBody {
        network: network().id(),
        task: TaskId(id),
        caller: agent(1).agent(),
        callee: agent(callee).agent(),
        skill: skill.try_into().unwrap(),
        request_head_hash: Digest([3; 32]),
        sla_ms: 2_000,
        index,
        made: MADE.plus(index),
        key: None,
    };
    Accept::sign(body, &agent(callee)).unwrap()
}

fn receipt_body(accept: &Accept) -> ReceiptBody {
    ReceiptBody {
        outcome: Outcome::Ok,
        quality: 90,
        latency_ms: 1_200,
        response_hash: Some(Digest([4; 32])),
        ..ReceiptBody::timeout(accept, 0, accept.made.plus(1_200))
    }
}

fn proven(accept: Accept, change: impl FnOnce(&mut ReceiptBody)) -> ProvenReceipt {
    let mut body = receipt_body(&accept);
    change(&mut body);
    ProvenReceipt::new(accept, Receipt::sign(body, &agent(1)).unwrap()).unwrap()
}

/// Twenty calls to agent 2 for two skills, three to agent 3 for none.
fn receipts() -> Vec<ProvenReceipt> {
    let mut all: Vec<_> = (1..=20)
        .map(|index| accept(2, index, if index % 3 == 0 { "text" } else { "text/translate" }))
        .map(|accept| {
            let index = accept.index;
            proven(accept, |body| match index {
                5 => *body = ReceiptBody { outcome: Outcome::Timeout, quality: 0, ..body.clone() },
                6 => body.latency_ms = 2_001,
                7 => body.outcome = Outcome::Bad,
                _ => {}
            })
        })
        .collect();
    all.extend((1..=3).map(|index| proven(accept(3, index, ""), |_| {})));
    all
}

fn summary() -> Summary {
    Summary::new(agent(1).agent(), EPOCH, &receipts(), network().genesis())
}

fn signed(body: &AttestationsBody) -> Record {
    let draft = chain(&agent(1), Kind::Attestations, None, cbor::to_vec(body));
    sign(Draft { made: MADE.plus(DAY), ..draft }, &agent(1))
}

fn read(body: &AttestationsBody) -> Result<Attestations, AttestationsError> {
    Attestations::from_record(&signed(body), network().genesis())
}

fn wrapped(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    lines.join("\n") + "\n"
}

/// Compares with the fixture, or writes it when ALTHING_BLESS=1.
fn golden(name: &str, built: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.hex"));
    if std::env::var("ALTHING_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(&path, wrapped(built)).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, wrapped(built), "the bytes of {name} changed");
}

#[test]
fn golden_receipts_attestations_and_proofs_are_rebuilt_to_the_byte() {
    let receipt = &receipts()[0];
    golden("receipt", receipt.receipt().bytes());
    golden("receipt-leaf", &receipt.leaf());
    golden("attestations", &cbor::to_vec(&summary().body));
    let two = [accept(2, 1, ""), accept(2, 1, "text")];
    let proof = Contradiction::of_accepts(&two[0], &two[1], &network()).unwrap();
    golden("contradiction", &proof.to_bytes());
    golden("evidence", &cbor::to_vec(&DoubleAccept::new(&two[0], &two[1], &network()).unwrap().body()));
    let checkpoint = checkpoint_body();
    golden("checkpoint", &cbor::to_vec(&checkpoint));
}

fn checkpoint_body() -> CheckpointBody {
    let changes = CheckpointChanges {
        taken: vec![(RatingEpoch(6), RecordId([9; 32])), (RatingEpoch(7), RecordId([1; 32]))],
        slashed: vec![agent(4).agent()],
        cleared: vec![],
        unproved: vec![Unproved { rater: agent(1).agent(), epoch: RatingEpoch(5), row: 2 }],
    };
    let scores = (Digest([3; 32]), 12);
    changes.body(RatingEpoch(7), Some(RecordId([1; 32])), scores, Params::default().hash()).unwrap()
}

fn checkpoint(body: &CheckpointBody) -> Result<Checkpoint, CheckpointError> {
    let draft = chain(&agent(1), Kind::Checkpoint, None, cbor::to_vec(body));
    Checkpoint::from_record(&sign(draft, &agent(1)))
}

#[test]
fn a_checkpoint_is_read_as_it_was_written_and_its_lists_are_in_order() {
    let body = checkpoint_body();
    let read = checkpoint(&body).unwrap();
    assert_eq!((read.epoch, read.prev, read.agents), (RatingEpoch(7), Some(RecordId([1; 32])), 12));
    let again = read.changes.body(read.epoch, read.prev, (read.score_root, 12), read.params_hash);
    assert_eq!(again, Some(body.clone()));
    let reversed: Vec<u8> = body.taken.rchunks(40).flatten().copied().collect();
    let wrong = CheckpointBody { taken: reversed.try_into().unwrap(), ..body.clone() };
    assert_eq!(checkpoint(&wrong), Err(CheckpointError::Order("takes")));
    let twice = [&body.slashed[..], &body.slashed[..]].concat().try_into().unwrap();
    let wrong = CheckpointBody { slashed: twice, ..body.clone() };
    assert_eq!(checkpoint(&wrong), Err(CheckpointError::Order("slashes")));
    let cut = body.unproved[..43].to_vec().try_into().unwrap();
    let wrong = CheckpointBody { unproved: cut, ..body.clone() };
    assert_eq!(checkpoint(&wrong), Err(CheckpointError::Order("strikes out")));
    let wrong = CheckpointBody { epoch: 6, ..body };
    let (of, found) = (RatingEpoch(6), RatingEpoch(7));
    assert_eq!(checkpoint(&wrong), Err(CheckpointError::Future { of, found }));
}

#[test]
fn the_largest_checkpoint_fits_into_a_record() {
    let id = |n: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        id
    };
    let agents: Vec<_> = (0..CHANGES_MAX).map(|n| AgentId(id(n))).collect();
    let unproved = agents.iter().map(|rater| Unproved { rater: *rater, epoch: RatingEpoch(1), row: 1 });
    let changes = CheckpointChanges {
        taken: (0..TAKEN_MAX).map(|n| (RatingEpoch(u64::MAX), RecordId(id(n)))).collect(),
        slashed: agents.clone(),
        cleared: agents.clone(),
        unproved: unproved.collect(),
    };
    let root = Digest([3; 32]);
    let body = changes.body(RatingEpoch(u64::MAX), Some(RecordId([1; 32])), (root, u32::MAX), root).unwrap();
    let read = checkpoint(&body).unwrap();
    assert!(read.is_full() && read.changes == changes);
    let mut more = changes;
    more.taken.push((RatingEpoch(u64::MAX), RecordId([255; 32])));
    assert_eq!(more.body(RatingEpoch(u64::MAX), None, (root, 1), root), None);
}

#[test]
fn a_summary_counts_what_its_receipts_say() {
    let summary = summary();
    assert_eq!((summary.left_out, summary.leaves.len()), (0, 23));
    let attestations = read(&summary.body).unwrap();
    assert_eq!((attestations.rater, attestations.epoch), (agent(1).agent(), EPOCH));
    let of = |target: u8, skill: &str| {
        let is_it = |row: &&Row| (row.target, &*row.skill) == (agent(target).agent(), skill);
        let row = attestations.rows.iter().find(is_it).unwrap();
        let counts = row.counts;
        (counts.count(), counts.ok(), counts.quality_sum(), counts.in_time())
    };
    assert_eq!(of(2, "text/translate"), (14, 12, 13 * 90, 13));
    assert_eq!(of(2, "text"), (6, 6, 540, 5));
    assert_eq!(of(3, ""), (3, 3, 270, 3));
    assert_eq!(attestations.receipts(), 23);
    let top = attestations.top(agent(2).agent()).unwrap();
    assert_eq!((top.index, top.accept), (20, accept(2, 20, "text/translate").id()));
    assert_eq!(attestations.ratings().len(), 3);
}

fn target_number(target: AgentId) -> u8 {
    (1..9).find(|number| agent(*number).agent() == target).unwrap()
}

#[test]
fn receipts_of_others_and_of_other_epochs_are_left_out() {
    let genesis = network().genesis().clone();
    let of = |rater: u8, epoch| Summary::new(agent(rater).agent(), epoch, &receipts(), &genesis).left_out;
    assert_eq!((of(1, EPOCH), of(2, EPOCH), of(1, RatingEpoch(1))), (0, 23, 23));
}

#[test]
fn a_row_with_an_agent_of_its_own_takes_76_bytes() {
    let body = |callees: u16| {
        let mut receipts = Vec::new();
        for callee in 0..callees {
            let mut seed = [200; 32];
            seed[..2].copy_from_slice(&callee.to_be_bytes());
            let key = AgentKey::from_seed(&seed);
            let body = AcceptBody { callee: key.agent(), ..(*accept(2, 200, "text/translate")).clone() };
            let accept = Accept::sign(body, &key).unwrap();
            receipts.push(proven(accept, |_| {}));
        }
        let body = Summary::new(agent(1).agent(), EPOCH, &receipts, network().genesis()).body;
        signed(&body).bytes().len()
    };
    let each = (body(200) - body(100)) / 100;
    assert_eq!(each, 76);
}

#[test]
fn more_rows_than_fit_leave_the_smallest_out() {
    let mut receipts = Vec::new();
    for skill in 0..70_u64 {
        let name = format!("skill-{skill}");
        for index in 0..=u64::from(skill > 9) {
            let body = AcceptBody {
                index: 2 * skill + index + 1,
                skill: Text::try_from(name.as_str()).unwrap(),
                ..(*accept(2, 1, "")).clone()
            };
            receipts.push(proven(Accept::sign(body, &agent(2)).unwrap(), |_| {}));
        }
    }
    let summary = Summary::new(agent(1).agent(), EPOCH, &receipts, network().genesis());
    assert_eq!(summary.left_out, 6);
    let attestations = read(&summary.body).unwrap();
    assert_eq!(attestations.rows.len(), 64);
    assert!(attestations.rows.iter().filter(|row| row.counts.count() == 1).count() == 4);
}

#[test]
fn an_index_that_a_callee_gave_twice_for_two_skills_proves_one_call() {
    let mut receipts = receipts();
    receipts.extend(["a", "b"].map(|skill| proven(accept(4, 1, skill), |_| {})));
    let summary = Summary::new(agent(1).agent(), EPOCH, &receipts, network().genesis());
    assert_eq!((summary.left_out, summary.leaves.len()), (1, receipts.len() - 1));
    let attestations = read(&summary.body).expect("what others say is told of all the same");
    let of_it = attestations.rows.iter().filter(|row| row.target == agent(4).agent());
    assert_eq!(of_it.map(|row| row.counts.count()).sum::<u64>(), 1);
}

#[test]
fn bodies_that_break_a_rule_are_refused_by_name() {
    let good = summary().body;
    let rows = |numbers: &[u64]| {
        let mut to = Writer::default();
        numbers.iter().for_each(|number| to.uint(*number));
        Blob::try_from(to.into_bytes()).unwrap()
    };
    let refused = |change: &dyn Fn(&mut AttestationsBody)| {
        let mut body = good.clone();
        change(&mut body);
        read(&body).unwrap_err().to_string()
    };
    let agents = |numbers: &[u8]| {
        let mut ids: Vec<_> = numbers.iter().map(|number| agent(*number).agent()).collect();
        ids.sort_unstable();
        Blob::try_from(ids.iter().flat_map(|id| id.0).collect::<Vec<_>>()).unwrap()
    };
    let epoch = refused(&|body| body.rating_epoch = 1);
    assert!(epoch.contains("come from the future"), "{epoch}");
    assert!(refused(&|body| body.agents = agents(&[1, 2])).contains("about their own rater"));
    assert!(refused(&|body| body.agents = agents(&[2, 3, 4])).contains("an agent has no row"));
    assert!(refused(&|body| body.agents = agents(&[2])).contains("not listed"));
    let reversed = |body: &mut AttestationsBody| {
        let mut ids = body.agents.clone().into_inner();
        ids.rotate_left(32);
        body.agents = ids.try_into().unwrap();
    };
    assert!(refused(&reversed).contains("agents are not in order"));
    assert!(
        refused(&|body| body.skills = vec!["text".try_into().unwrap()].try_into().unwrap())
            .contains("not listed")
    );
    let skills = |names: [&str; 3]| {
        let names: Vec<Text<128>> = names.map(|name| name.try_into().unwrap()).to_vec();
        names.try_into().unwrap()
    };
    assert!(
        refused(&|body| body.skills = skills(["text", "text/translate", "zeta"]))
            .contains("a skill has no row")
    );
    assert!(
        refused(&|body| body.skills = skills(["text", "text", "zeta"])).contains("skills are not in order")
    );
    assert!(
        refused(&|body| body.skills = skills(["Text", "text", "zeta"])).contains("a skill is not a path")
    );
    let one_row = |numbers: &[u64]| {
        let (row, numbers) = (rows(numbers), agents(&[2]));
        refused(&|body| {
            body.agents = numbers.clone();
            body.skills = Vec::new().try_into().unwrap();
            body.rows = row.clone();
        })
    };
    let counts = |error: CountsError| AttestationsError::Counts { row: 0, error }.to_string();
    assert_eq!(one_row(&[0, 0, 0, 0, 0, 0]), counts(CountsError::Calls(0)));
    assert_eq!(one_row(&[0, 0, 2, 2, 201, 0]), counts(CountsError::Quality { sum: 201, count: 2 }));
    assert_eq!(one_row(&[0, 0, 2, 3, 200, 0]), counts(CountsError::Ok { ok: 3, count: 2 }));
    assert_eq!(one_row(&[0, 0, 2, 2, 200, 3]), counts(CountsError::InTime { in_time: 3, count: 2 }));
    assert!(one_row(&[0, 0, 21, 2, 200, 2]).contains("21 calls to"), "above the highest accept");
    assert!(one_row(&[0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1]).contains("rows are not in order"));
    assert!(one_row(&[0, 0, 1, 1, 1]).contains("ends early"));
    assert!(refused(&|body| body.tops = Blob::default()).contains("ends early"));
    let mut more = Writer::default();
    more.raw(&good.tops);
    more.uint(1);
    let more = more.into_bytes();
    assert!(refused(&|body| body.tops = more.clone().try_into().unwrap()).contains("trailing"));
}

#[test]
fn receipts_that_do_not_hold_are_refused_by_name() {
    let id = network().id();
    let good = proven(accept(2, 1, ""), |_| {});
    assert_eq!(ProvenReceipt::verify(&good.leaf(), id), Ok(good.clone()));
    for at in 0..good.leaf().len() {
        let mut leaf = good.leaf();
        leaf[at] ^= 1;
        assert!(ProvenReceipt::verify(&leaf, id).is_err(), "byte {at}");
    }
    let receipt = |body: ReceiptBody, by: u8| Receipt::sign(body, &agent(by));
    let body = receipt_body(good.accept());
    let too_good = receipt(ReceiptBody { quality: 101, ..body.clone() }, 1).unwrap_err();
    assert_eq!(ReceiptError::from(too_good), ReceiptError::Quality);
    let itself =
        Accept::sign(AcceptBody { caller: agent(2).agent(), ..(**good.accept()).clone() }, &agent(2));
    assert_eq!(ReceiptError::from(itself.unwrap_err()), ReceiptError::SelfCall);
    let other = accept(2, 2, "");
    let (named, found) = (good.accept().id(), other.id());
    assert_eq!(
        ProvenReceipt::new(other, good.receipt().clone()),
        Err(ReceiptError::NoAccept { named, found })
    );
    let stolen = receipt(ReceiptBody { caller: agent(3).agent(), ..body }, 3).unwrap();
    let (expected, found) = (agent(1).agent(), agent(3).agent());
    assert_eq!(
        ProvenReceipt::new(good.accept().clone(), stolen),
        Err(ReceiptError::Caller { expected, found })
    );
}

/// A record, what is demanded for its first row, and what proves that.
struct Shown {
    attestations: Attestations,
    demand: althing_trust::Demand,
    proof: RowProof,
}

fn shown(summary: &Summary, row: usize, top: &Accept) -> Shown {
    let attestations = read(&summary.body).unwrap();
    let demand = attestations.demands(Digest([5; 32])).swap_remove(row);
    let proof = RowProof::new(&demand, top, &summary.leaves).unwrap();
    Shown { attestations, demand, proof }
}

impl Shown {
    fn prove(&self) -> Result<Vec<ProvenReceipt>, Unproven> {
        self.attestations.prove(&self.demand, &self.proof, &network())
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut ReceiptProof)) -> Self {
        let mut receipts = self.proof.receipts.clone().into_inner();
        change(&mut receipts[at]);
        let proof = RowProof { receipts: receipts.try_into().unwrap(), ..self.proof.clone() };
        Self { attestations: self.attestations.clone(), demand: self.demand.clone(), proof }
    }
}

#[test]
fn every_row_is_proved_by_its_demanded_receipts() {
    let summary = summary();
    let attestations = read(&summary.body).unwrap();
    let demands = attestations.demands(Digest([5; 32]));
    assert_eq!(demands.len(), 3);
    for demand in demands {
        let row = &attestations.rows[demand.row];
        let index = attestations.top(row.target).unwrap().index;
        let number = target_number(row.target);
        let top = accept(number, index, if number == 2 { "text/translate" } else { "" });
        let proof = RowProof::new(&demand, &top, &summary.leaves).unwrap();
        let carried = cbor::to_vec(&proof);
        let proof: RowProof = cbor::from_slice(&carried, cbor::Limits::RECORD).unwrap();
        let proven = attestations.prove(&demand, &proof, &network()).unwrap();
        assert_eq!(proven.len() as u64, row.counts.count().min(4));
    }
}

#[test]
fn what_does_not_prove_a_row_is_refused_by_name() {
    let summary = summary();
    let attestations = read(&summary.body).unwrap();
    let row = attestations.rows.iter().position(|row| &*row.skill == "text/translate").unwrap();
    let top = accept(2, 20, "text/translate");
    let good = shown(&summary, row, &top);
    assert!(good.prove().is_ok());
    let first = good.demand.places[0];

    let path = good.change(0, |proof| {
        let mut path = proof.path.clone().into_inner();
        path[0].0[0] ^= 1;
        proof.path = path.try_into().unwrap();
    });
    assert_eq!(path.prove(), Err(Unproven::Path { place: first }));
    let other = good.proof.receipts[1].clone();
    assert_eq!(good.change(0, |proof| *proof = other).prove(), Err(Unproven::Path { place: first }));
    let forged = good.change(0, |proof| {
        let mut leaf = proof.leaf.clone().into_inner();
        *leaf.last_mut().unwrap() ^= 1;
        proof.leaf = leaf.try_into().unwrap();
    });
    assert!(matches!(
        forged.prove(),
        Err(Unproven::Receipt {
            error: ReceiptError::Forged(StatementError::Signature { .. } | StatementError::Malformed { .. }),
            ..
        })
    ));
    let mut fewer = shown(&summary, row, &top);
    fewer.proof.receipts = good.proof.receipts[1..].to_vec().try_into().unwrap();
    assert_eq!(fewer.prove(), Err(Unproven::Missing { expected: 4, found: 3 }));
    let lower = shown(&summary, row, &accept(2, 19, "text/translate"));
    assert_eq!(lower.prove(), Err(Unproven::OtherTop));
    let mut none = shown(&summary, row, &top);
    none.proof.top = Blob::default();
    assert!(matches!(none.prove(), Err(Unproven::ForgedTop(_))));
    none.demand.row = 9;
    assert_eq!(none.prove(), Err(Unproven::NoRow(9)));
}

/// A rater's record over leaves that do not say what its one row says.
fn cheated(leaves: Vec<Vec<u8>>, top: &Accept) -> Result<Vec<ProvenReceipt>, Unproven> {
    let mut rows = Writer::default();
    for number in [0, 0, leaves.len() as u64, leaves.len() as u64, 0, 0] {
        rows.uint(number);
    }
    let mut tops = Writer::default();
    tops.uint(top.index);
    tops.bytes(&top.id().0);
    let body = AttestationsBody {
        rating_epoch: 0,
        agents: top.callee.0.to_vec().try_into().unwrap(),
        skills: Vec::new().try_into().unwrap(),
        rows: rows.into_bytes().try_into().unwrap(),
        tops: tops.into_bytes().try_into().unwrap(),
        receipts_root: althing_record::merkle::root(&leaves),
    };
    let summary = Summary { body, leaves, left_out: 0 };
    shown(&summary, 0, top).prove()
}

#[test]
fn raters_that_cheat_cannot_prove_their_rows() {
    let top = accept(2, 9, "");
    let leaf = |accept: &Accept| proven(accept.clone(), |_| {}).leaf();
    assert_eq!(cheated(vec![leaf(&accept(2, 1, "")), leaf(&top)], &top).map(|all| all.len()), Ok(2));

    let same = leaf(&accept(2, 1, ""));
    assert_eq!(cheated(vec![same.clone(), same], &top), Err(Unproven::Replayed { place: 1 }));
    assert_eq!(cheated(vec![leaf(&accept(3, 1, ""))], &top), Err(Unproven::OtherRow { place: 0 }));
    assert_eq!(cheated(vec![leaf(&accept(2, 1, "text"))], &top), Err(Unproven::OtherRow { place: 0 }));
    let above = Unproven::AboveTop { place: 0, index: 10, top: 9 };
    assert_eq!(cheated(vec![leaf(&accept(2, 10, ""))], &top), Err(above));
    let later = AcceptBody { made: MADE.plus(DAY), ..(*accept(2, 1, "")).clone() };
    let later = Accept::sign(later, &agent(2)).unwrap();
    let epoch = Unproven::Epoch { place: 0, expected: EPOCH, found: RatingEpoch(1) };
    assert_eq!(cheated(vec![leaf(&later)], &top), Err(epoch));
    let future = proven(accept(2, 1, ""), |body| body.made = MADE.plus(2 * DAY)).leaf();
    assert_eq!(cheated(vec![future], &top), Err(Unproven::Future { place: 0 }));
    assert!(matches!(cheated(vec![vec![0xa0]], &top), Err(Unproven::Receipt { .. })));
}

#[test]
fn two_accepts_with_one_index_are_evidence_against_the_callee() {
    let network = network();
    let [one, other] = [accept(2, 7, ""), accept(2, 7, "text")];
    assert_eq!(Contradiction::of_accepts(&one, &one, &network), None);
    assert_eq!(Contradiction::of_accepts(&one, &accept(2, 8, ""), &network), None);
    let proof = Contradiction::of_accepts(&one, &other, &network).unwrap();
    assert_eq!(Contradiction::of_accepts(&other, &one, &network), Some(proof.clone()));
    assert_eq!(Contradiction::verify(&proof.to_bytes(), &network), Ok(proof.clone()));
    assert_eq!(proof.agent(), agent(2).agent());
    let identity = sign(identity(&agent(2), &agent(3)), &agent(2));
    assert!(proof.binds(&KeyHistory::fold(agent(2).agent(), [&identity])));
}

#[test]
fn two_attestations_of_one_rating_epoch_are_evidence_against_the_rater() {
    let network = network();
    let fewer = Summary::new(agent(1).agent(), EPOCH, &receipts()[1..], network.genesis());
    let [one, other] = [signed(&summary().body), signed(&fewer.body)];
    assert_eq!(Contradiction::of_attestations(&one, &one, &network), None);
    let proof = Contradiction::of_attestations(&one, &other, &network).unwrap();
    assert_eq!(Contradiction::verify(&proof.to_bytes(), &network), Ok(proof.clone()));
    assert_eq!(proof.agent(), agent(1).agent());

    // One record for each of two epochs is what is asked of a rater.
    let mut later = fewer.body.clone();
    later.rating_epoch = 1;
    let draft = chain(&agent(1), Kind::Attestations, None, cbor::to_vec(&later));
    let later = sign(Draft { made: MADE.plus(2 * DAY), ..draft }, &agent(1));
    assert_eq!(Contradiction::of_attestations(&one, &later, &network), None);
    let proposal = chain(&agent(1), Kind::Proposal, None, althing_testkit::body(1));
    assert_eq!(Contradiction::of_attestations(&one, &sign(proposal, &agent(1)), &network), None);
}

#[test]
fn every_change_of_one_byte_of_evidence_is_refused() {
    let network = network();
    let [one, other] = [accept(2, 7, ""), accept(2, 7, "text")];
    let proof = Contradiction::of_accepts(&one, &other, &network).unwrap().to_bytes();
    for at in 0..proof.len() {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        assert!(Contradiction::verify(&changed, &network).is_err(), "byte {at}");
    }
    let same = cbor::to_vec(&althing_trust::ContradictionBytes {
        form: 0,
        first: one.bytes().to_vec().try_into().unwrap(),
        second: one.bytes().to_vec().try_into().unwrap(),
    });
    assert_eq!(Contradiction::verify(&same, &network), Err(ContradictionError::NoConflict));
}

#[test]
fn what_scores_depend_on_has_a_hash_of_its_own() {
    let mut params = Params::default();
    let none = params.hash();
    params.anchors.insert(agent(1).agent());
    let one = params.hash();
    params.slash.insert(agent(1).agent(), Slash::Zero);
    assert!(none != one && one != params.hash());
}

#[test]
fn attestations_travel_in_the_chain_trust_alone() {
    let body = summary().body;
    let content = Content::Body(cbor::to_vec(&body));
    let proposal = chain(&agent(1), Kind::Proposal, None, cbor::to_vec(&body));
    let wrong = Draft { kind: Kind::Attestations, content, ..proposal.clone() };
    assert!(wrong.sign(&agent(1), &network()).is_err());
    let record = sign(proposal, &agent(1));
    assert_eq!(
        Attestations::from_record(&record, network().genesis()),
        Err(AttestationsError::Kind("Proposal"))
    );
}
