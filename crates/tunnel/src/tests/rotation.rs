//! Calls between agents whose keys were replaced.

use althing_testkit::{identity, rotation};

use super::*;

fn key(seed: u8) -> Arc<AgentKey> {
    Arc::new(AgentKey::from_seed(&[seed; 32]))
}

/// The identity of an agent with each of these keys, one after the other.
fn records(keys: &[u8]) -> Vec<Record> {
    let (network, recovery) = (Network::builtin(), AgentKey::from_seed(&[99; 32]));
    let mut records = vec![identity(&key(keys[0]), &recovery).sign(&key(keys[0]), &network).unwrap()];
    for next in &keys[1..] {
        let last = records.last().unwrap();
        records.push(rotation(last, Some(last.id()), &key(*next)).sign(&recovery, &network).unwrap());
    }
    records
}

fn signer(keys: &[u8]) -> Arc<Signer> {
    let records = records(keys);
    Arc::new(Signer::rotated(&key(*keys.last().unwrap()), records.iter().map(Record::bytes)))
}

impl Pair {
    /// The caller is agent 1, and signs with the last of these.
    fn caller_signs(&self, keys: &[u8]) {
        self.by.replace(key(*keys.last().unwrap()), signer(keys));
    }

    /// The callee is agent 2, and what signs its Accepts is this.
    fn callee_signs(&self, signer: Arc<Signer>) {
        let exposure = self.exposures.of(self.callee.agent()).unwrap();
        self.exposures.insert(Exposure { signer, ..exposure.as_ref().clone() });
    }

    /// What both nodes know.
    fn knows(&self, keys: &[u8]) {
        self.known.lock().unwrap().extend(records(keys));
    }
}

fn headers(request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>> {
    let names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
    async move { Ok(Response::new(full(names.join(" ")))) }.boxed()
}

#[tokio::test]
async fn both_sides_go_on_with_new_keys_before_anybody_heard_of_them() {
    let mut pair = pair(Limits::default(), false, echo);
    let caller = pair.by.agent;
    pair.caller_signs(&[1, 11, 12]);
    pair.callee_signs(signer(&[2, 21]));
    let (status, said) = pair.post("/", "hello").await.unwrap();
    assert_eq!((status, said), (200, format!("POST /rpc?assistant=7 {caller} hello")));
    for evidence in [pair.evidence.recv().await.unwrap(), pair.evidence_there.recv().await.unwrap()] {
        assert_eq!((evidence.call.caller, evidence.call.key), (caller, Some(key(12).public())));
        assert_eq!(evidence.accept.callee, pair.callee.agent());
        assert_eq!(evidence.accept.key, Some(key(21).public()));
    }
    // Whom this node chose to call, and not whoever calls.
    assert_eq!(*pair.learnt.lock().unwrap(), [pair.callee.agent()]);
}

#[tokio::test]
async fn what_shows_a_key_is_not_for_the_agent() {
    let pair = pair(Limits::default(), false, headers);
    pair.caller_signs(&[1, 11]);
    let (_, names) = pair.post("/", "hello").await.unwrap();
    assert!(names.contains("althing-caller") && !names.contains("lineage"), "{names}");
}

#[tokio::test]
async fn a_long_identity_needs_records_on_the_other_side() {
    let keys: Vec<u8> = [1].into_iter().chain(100..120).collect();
    let refused = pair(Limits::default(), false, echo);
    refused.caller_signs(&keys);
    let refused = refused.post("/", "hello").await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { refusal: Refusal::WrongAgent, .. }), "{refused}");
    let taken = pair(Limits::default(), false, echo);
    taken.caller_signs(&keys);
    taken.knows(&keys);
    assert_eq!(taken.post("/", "hello").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_callers_former_key_is_refused_by_name() {
    let pair = pair(Limits::default(), false, echo);
    pair.knows(&[1, 11]);
    let refused = pair.post("/", "hello").await.unwrap_err();
    let CallError::Refused { refusal, reason, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*refusal, Refusal::ReplacedKey);
    assert!(reason.as_str().contains("is no longer the key of"), "{reason:?}");
    assert!(refused.is_undelivered());
    // Its own lineage up to there does not help it.
    pair.by.replace(key(1), signer(&[1]));
    assert!(pair.post("/", "hello").await.is_err());
    pair.caller_signs(&[1, 11]);
    assert_eq!(pair.post("/", "hello").await.unwrap().0, 200);
}

#[tokio::test]
async fn an_answer_under_a_key_that_does_not_speak_for_the_callee_is_not_used() {
    for (known, signer) in [
        // One that was never its key.
        (vec![], Arc::new(Signer::of(&key(66)))),
        // One that shows another agent's identity.
        (vec![], signer(&[7, 8])),
        // Its former key, of which this node knows.
        (vec![2, 21], Arc::new(Signer::of(&key(2)))),
        (vec![2, 21, 22], signer(&[2, 21])),
    ] {
        let pair = pair(Limits::default(), false, echo);
        if !known.is_empty() {
            pair.knows(&known);
        }
        pair.callee_signs(signer);
        let unused = pair.post("/", "hello").await.unwrap_err();
        assert!(matches!(unused, CallError::Nonsense { .. }), "{unused}");
        assert!(!unused.is_undelivered());
    }
}
