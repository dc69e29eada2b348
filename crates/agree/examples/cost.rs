//! What one decision costs each of its closers in processor time: `cargo run --release -p althing-agree --example cost`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use althing_agree::{Agreement, FIRST_KEYS, Instance, InstanceId, Message, Output, Value};
use althing_record::{AgentKey, Millis, Network};

const DECISIONS: u32 = 1_000;

/// One decision without faults, every message read by every other closer. Returns how many messages were sent.
fn decide(keys: &[AgentKey], id: u32) -> usize {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&id.to_be_bytes());
    let closers = keys.iter().map(AgentKey::agent).collect();
    let instance = Instance::new(Network::builtin().id(), InstanceId(bytes), closers).expect("closers");
    let instance = Arc::new(instance);
    let value = Value::new(&[7; 1_024]).expect("a short value");
    let mut sent: Vec<(usize, Arc<[u8]>)> = Vec::new();
    let mut decided = 0;
    let mut closers: Vec<_> = keys
        .iter()
        .map(|key| (key, Agreement::new(instance.clone(), Some(key.agent()), Millis(0))))
        .collect();
    let mut drain =
        |at: usize, key: &AgentKey, closer: &mut Agreement, sent: &mut Vec<(usize, Arc<[u8]>)>| {
            while let Some(output) = closer.poll() {
                match output {
                    Output::Keep(entry) => sent.push((at, entry.message().bytes().clone())),
                    Output::Judge(value) => {
                        closer.judge(Millis(0), value.id(), true, key);
                    }
                    Output::Decided { .. } => decided += 1,
                    Output::Send(_)
                    | Output::Answer(_)
                    | Output::WakeAt(_)
                    | Output::Evidence(_)
                    | Output::Doubled(_) => {}
                }
            }
        };
    for (at, (key, closer)) in closers.iter_mut().enumerate() {
        closer.offer(Millis(0), value.clone(), key);
        drain(at, key, closer, &mut sent);
    }
    let mut next = 0;
    while next < sent.len() {
        let (from, bytes) = sent[next].clone();
        next += 1;
        for (at, (key, closer)) in closers.iter_mut().enumerate().filter(|(at, _)| *at != from) {
            let message = Message::verify(&bytes, &instance, FIRST_KEYS).expect("a valid message");
            closer.handle(Millis(0), &message, key);
            drain(at, key, closer, &mut sent);
        }
    }
    assert_eq!(decided, keys.len(), "everybody decides");
    sent.len()
}

#[expect(clippy::disallowed_methods, reason = "an example that measures")]
fn measure(closers: u8) -> (Duration, usize) {
    let keys: Vec<_> = (1..=closers).map(|n| AgentKey::from_seed(&[n; 32])).collect();
    let begin = Instant::now();
    let sent: usize = (0..DECISIONS).map(|id| decide(&keys, id)).sum();
    (begin.elapsed() / DECISIONS / u32::from(closers), sent / DECISIONS as usize)
}

fn main() {
    for closers in [4, 5, 7, 10, 31] {
        let (each, sent) = measure(closers);
        println!("{closers} closers: {} µs for each and decision, {sent} messages", each.as_micros());
    }
}
