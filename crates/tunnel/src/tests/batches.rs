//! Calls that are signed together, and what a peer could send instead.

use althing_record::cbor::{Reader, Writer};
use althing_record::verify_signature;
use althing_trust::{
    Accept, Answer, Call, CallBody, CallFrame, Claim, Progress, Signature, TaskId, Unsigned,
    request_head_hash,
};
use futures::future::{join_all, poll_immediate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::mux::Client;

const HEAD: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n";

fn is_shared(bytes: &[u8]) -> bool {
    let (_, signature) = split(bytes);
    signature.len() > 64
}

/// Content and signature of a carried statement.
fn split(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(bytes);
    reader.array_of(2).unwrap();
    (reader.bytes().unwrap().to_vec(), reader.bytes().unwrap().to_vec())
}

/// The same with another signature.
fn altered(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (content, mut signature) = split(bytes);
    change(&mut signature);
    let mut to = Writer::default();
    to.array(2);
    to.bytes(&content);
    to.bytes(&signature);
    to.into_bytes()
}

impl Pair {
    /// Calls that are signed together.
    fn batch(&self, tasks: std::ops::Range<u8>) -> Vec<Vec<u8>> {
        let key = self.by.key();
        let body = |task| CallBody {
            network: Network::builtin().id(),
            caller: self.by.agent,
            callee: self.callee.agent(),
            task: TaskId([task; 16]),
            caller_node: self.pipes.from,
            request_head_hash: request_head_hash(HEAD.as_bytes()),
            made: NOW,
            key: None,
        };
        let unsigned = tasks.map(|task| Unsigned::new(body(task), key.public()).unwrap());
        let unsigned: Vec<_> = unsigned.collect();
        let messages: Vec<_> = unsigned.iter().map(Unsigned::message).collect();
        let signatures = Signature::of_all(&messages, |message| key.sign(message));
        let signed = unsigned.into_iter().zip(&signatures);
        signed.map(|(unsigned, signature)| unsigned.signed(signature).unwrap().bytes().to_vec()).collect()
    }

    /// A session with the callee.
    async fn session(&self) -> Client {
        let place = Place { node: self.node, addresses: Vec::new() };
        let io = self.pipes.dial(place, Line::Calls).await.unwrap();
        Client::begin(io).await.unwrap()
    }
}

/// What is answered to a call in a session.
async fn answer(session: &Client, call: &[u8]) -> Answer {
    let mut stream = session.open().await.unwrap();
    let bytes = [CallFrame(call.to_vec()).encode().as_slice(), HEAD.as_bytes(), b"hi"].concat();
    stream.write_all(&bytes).await.unwrap();
    let mut came = Vec::new();
    loop {
        match Answer::decode(&came).unwrap() {
            Progress::Done { frame, .. } => return frame,
            Progress::Needs(_) => {
                assert!(timeout(SOON, stream.read_buf(&mut came)).await.unwrap().unwrap() > 0);
            }
        }
    }
}

fn refused_as(answer: Answer) -> Option<Refusal> {
    match answer {
        Answer::Refused { refusal, .. } => Some(refusal),
        Answer::Accepted(_) | Answer::Ahead(_) | Answer::Lineage(_) | Answer::Busy => None,
    }
}

#[tokio::test]
async fn calls_at_once_are_signed_together_and_each_proves_itself() {
    let mut pair = pair(Limits::default(), false, echo);
    assert_eq!(pair.post("/", "alone").await.unwrap().0, 200);
    let first = pair.evidence.recv().await.unwrap();
    assert!(!is_shared(first.call.bytes()) && !is_shared(first.accept.bytes()), "alone");
    let answers = join_all((0..200).map(|_| pair.post("/", "hi"))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().0 == 200));
    let network = Network::builtin().id();
    let mut roots = Vec::new();
    let mut claim = |claim: &Claim<'_>| {
        roots.push(claim.message.to_vec());
        verify_signature(claim.key, claim.message, claim.signature)
    };
    for _ in 0..200 {
        let kept = pair.evidence.recv().await.unwrap();
        assert_eq!(Call::verify_with(kept.call.bytes(), network, &mut claim).as_ref(), Ok(&*kept.call));
        assert_eq!(Accept::verify_with(kept.accept.bytes(), network, &mut claim).as_ref(), Ok(&*kept.accept));
    }
    roots.sort();
    roots.dedup();
    // Of 400 statements at the very best 8 batches, and one or another alone.
    assert!((8..100).contains(&roots.len()), "{}", roots.len());
}

#[tokio::test]
async fn a_batch_that_was_taken_does_not_vouch_for_what_is_not_in_it() {
    let (pair, asked) = {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let agent = move |request| {
            count.fetch_add(1, Ordering::Relaxed);
            echo(request)
        };
        (pair(Limits::default(), false, agent), asked)
    };
    let session = pair.session().await;
    let (calls, others) = (pair.batch(0..8), pair.batch(10..18));
    // What was refused vouches for nothing either.
    let (_, theirs) = split(&others[0]);
    let forged = altered(&calls[0], |signature| signature[..64].copy_from_slice(&theirs[..64]));
    assert_eq!(refused_as(answer(&session, &forged).await), Some(Refusal::Malformed));
    assert_eq!(refused_as(answer(&session, &forged).await), Some(Refusal::Malformed));
    assert_eq!(refused_as(answer(&session, &calls[0]).await), None);
    // Now its root is known.
    let forgeries: [(&str, Vec<u8>); 8] = [
        ("another signature", altered(&calls[1], |bytes| bytes[..64].copy_from_slice(&theirs[..64]))),
        ("no signature", altered(&calls[1], |bytes| bytes[..64].fill(0))),
        ("one bit", altered(&calls[1], |bytes| bytes[63] ^= 1)),
        ("another place", altered(&calls[1], |bytes| bytes[64] = 2)),
        ("another number", altered(&calls[1], |bytes| bytes[65] = 6)),
        ("another path", altered(&calls[1], |bytes| bytes[66] ^= 1)),
        ("another's place and path", altered(&others[1], |bytes| bytes.clone_from(&split(&calls[1]).1))),
        ("the root's own signature", altered(&calls[1], |bytes| bytes.truncate(64))),
    ];
    for (what, forged) in forgeries {
        assert_eq!(refused_as(answer(&session, &forged).await), Some(Refusal::Malformed), "{what}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for call in &calls[1..] {
        assert_eq!(refused_as(answer(&session, call).await), None);
    }
    // A second time it is a call that was taken before, as ever.
    assert_eq!(refused_as(answer(&session, &calls[1]).await), Some(Refusal::Repeated));
}

#[tokio::test]
async fn a_signature_that_is_given_up_holds_up_no_other() {
    let pair = pair(Limits::default(), false, echo);
    let signer = pair.by.signer();
    let body = |task: u16| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&task.to_be_bytes());
        let call = Call::verify(&pair.batch(0..1)[0], Network::builtin().id()).unwrap();
        CallBody { task: TaskId(id), ..(*call).clone() }
    };
    // Each is begun and dropped before its turn; what waits does not pile up.
    let mut signed = 0;
    for task in 0..300 {
        let mut signing = signer.sign(body(task), false);
        signed += usize::from(poll_immediate(&mut signing).await.is_some());
    }
    assert_eq!(signed, 300 / 64, "as often as there was no more room");
    let (one, other) = (signer.sign(body(1), false), signer.sign(body(2), false));
    let mut given_up = signer.sign(body(3), false);
    assert!(poll_immediate(&mut given_up).await.is_none());
    drop(given_up);
    let (one, other) = tokio::join!(one, other);
    for (call, task) in [(one, 1), (other, 2)] {
        let call = call.unwrap();
        assert_eq!(*call, body(task));
        assert_eq!(Call::verify(call.bytes(), call.network), Ok(call));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_on_several_threads_is_signed_once_and_right() {
    let pair = pair(Limits::default(), false, echo);
    let signer = pair.by.signer();
    let call = Call::verify(&pair.batch(0..1)[0], Network::builtin().id()).unwrap();
    let signing = (0..500_u16).map(|task| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&task.to_be_bytes());
        let body = CallBody { task: TaskId(id), ..(*call).clone() };
        let signer = Arc::clone(&signer);
        tokio::spawn(async move { (body.clone(), signer.sign(body, false).await.unwrap()) })
    });
    for signed in join_all(signing.collect::<Vec<_>>()).await {
        let (body, call) = signed.unwrap();
        assert_eq!(*call, body);
        assert_eq!(Call::verify(call.bytes(), call.network), Ok(call));
    }
}

#[test]
fn a_batch_with_a_fault_is_refused_in_words() {
    let bytes = {
        let key = AgentKey::from_seed(&[1; 32]);
        let signature = Signature::of_all(&[b"one", b"two"], |message| key.sign(message)).remove(0);
        [signature.bytes(), &[0]].concat()
    };
    let mut to = Writer::default();
    to.array(2);
    to.bytes(&[0xa0]);
    to.bytes(&bytes);
    let error = Call::verify(&to.into_bytes(), Network::builtin().id()).unwrap_err().to_string();
    assert_eq!(
        error,
        "call is malformed: signature length is out of bounds: 99, expected 64, or 66 and 1 to 8 times 32"
    );
}
