//! What passing something on does to a peer's score: the real engine gives the verdicts, real swarms keep the score.

use althing_engine::{Config, Effect, Engine, GuardStatus, Input, MessageNo, Now, Output, Timing};
use althing_net::{Event, MessageRef, NetState, Topic};
use althing_record::{Domain, NodeId, Verdict};
use althing_store::{CommitNo, Guard, Memory};
use althing_testkit::node;

use super::swarm::Swarm;
use super::*;

/// A swarm with an engine above it that says what is to become of each message.
struct Judge {
    swarm: Swarm,
    engine: Engine<Memory>,
}

impl Judge {
    async fn up() -> Self {
        let config = Config {
            network: network(),
            node_key: node(1),
            agents: Vec::new(),
            guard: GuardStatus::Ready(Guard::default()),
            last_commit: CommitNo(0),
            expects_peers: false,
            keeps_ledger: true,
            timing: Timing::default(),
        };
        let engine = Engine::new(config, Memory::default(), [7; 32], Now { wall: now(), ticks: 0 }).unwrap();
        Self { swarm: Swarm::start(None).await, engine }
    }

    fn weigh(&mut self, from: NodeId, bytes: &[u8]) -> Verdict {
        let record = match Record::verify(bytes, &network()) {
            Ok(record) if record.kind().domain() == Some(Domain::Directory) => record,
            Ok(_) => return Verdict::Reject,
            Err(error) => return error.verdict(),
        };
        self.engine
            .handle(Now { wall: now(), ticks: 1 }, Input::Gossip { message: MessageNo(1), from, record });
        let mut verdict = None;
        while let Some(Output { effect, .. }) = self.engine.poll() {
            if let Effect::Verdict(_, of) = effect {
                verdict = Some(of);
            }
        }
        verdict.expect("a verdict")
    }

    /// Gives its verdict on the next message.
    async fn hears(&mut self) -> Verdict {
        let (message, from, bytes): (MessageRef, NodeId, Vec<u8>) = self
            .swarm
            .event(|event| {
                let Event::Gossip { message, from, bytes, .. } = event else { return None };
                Some((message, from, bytes))
            })
            .await;
        let verdict = self.weigh(from, &bytes);
        self.swarm.net.verdict(message, verdict).unwrap();
        verdict
    }

    /// Waits until what is known of its peers' scores is like that.
    async fn sees(&self, holds: impl FnMut(&NetState) -> bool) {
        let mut state = self.swarm.net.watch();
        timeout(SOON, state.wait_for(holds)).await.expect("a score").unwrap();
    }
}

/// The score of the only peer, once something of it was delivered.
fn score(state: &NetState) -> Option<f64> {
    state.peers.first().and_then(|peer| peer.score)
}

/// A judge, and a peer that it hears.
async fn pair() -> (Judge, Swarm) {
    let judge = Judge::up().await;
    let peer = Swarm::start(Some(judge.swarm.address())).await;
    let mut state = peer.net.watch();
    let meshed = state.wait_for(|state| state.mesh.get(&Topic::Directory) == Some(&1));
    timeout(SOON, meshed).await.expect("a mesh").unwrap();
    drop(state);
    (judge, peer)
}

/// A card whose labels are not those of its JSON.
fn mislabelled(key: &AgentKey) -> Vec<u8> {
    let mut body = Writer::default();
    body.map(3);
    body.entry(0, &1_u64);
    body.uint(1);
    body.bytes(br#"{"name":"x","skills":[{"id":"other"}]}"#);
    body.uint(2);
    body.array(1);
    body.text("text/translate");
    altered(&card(key, now(), 60 * Millis::MINUTE), key, |raw| raw.payload = body.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_foreign_and_mislabelled_cards_cost_who_passes_them_on() {
    let key = AgentKey::from_seed(&[80; 32]);
    let good = card(&key, now(), 60 * Millis::MINUTE);
    let foreign = card_draft(&key, r#"{"name":"x"}"#, now(), 60 * Millis::MINUTE);
    let cases = [
        ("forged", forger(&good, &AgentKey::from_seed(&[99; 32]))),
        ("foreign", foreign.sign(&key, &foreign_network()).unwrap().bytes().to_vec()),
        ("mislabelled", mislabelled(&key)),
    ];
    for (what, bytes) in cases {
        let (mut judge, peer) = pair().await;
        judge.sees(|state| score(state) >= Some(0.0)).await;
        peer.net.publish(Topic::Directory, bytes).unwrap();
        assert_eq!(judge.hears().await, Verdict::Reject, "{what}");
        judge.sees(|state| score(state) < Some(-1.0)).await;
        peer.net.shutdown().await;
        judge.swarm.net.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_honest_relay_could_not_know_costs_it_anything() {
    let (mut judge, peer) = pair().await;
    let key = AgentKey::from_seed(&[81; 32]);
    let hour = 60 * Millis::MINUTE;
    let good = card(&key, now(), hour);
    peer.net.publish(Topic::Directory, good.bytes().to_vec()).unwrap();
    assert_eq!(judge.hears().await, Verdict::Accept);
    let draft = card_draft(&AgentKey::from_seed(&[98; 32]), r#"{"name":"x"}"#, now(), hour);
    let rotated =
        Draft { agent: key.agent(), key_event: Some(althing_record::RecordId([0xee; 32])), ..draft };
    let rotated = rotated.sign(&AgentKey::from_seed(&[98; 32]), &network()).unwrap();
    let ignored = [
        ("stale", card(&key, good.made().minus(1_000), hour).bytes().to_vec()),
        ("expired", card(&key, now().minus(3 * hour), hour).bytes().to_vec()),
        ("early", card(&key, now().plus(hour), hour).bytes().to_vec()),
        ("of an unknown kind", with_header(&good, &key, |header| header.kind = 999)),
        ("of a newer version", altered(&good, &key, |raw| raw.payload = vec![0xa1, 0x00, 0x02])),
        ("with a newer entry", altered(&good, &key, |raw| raw.payload = body_with(128))),
        ("by a key that is not known yet", rotated.bytes().to_vec()),
    ];
    for (what, bytes) in ignored {
        peer.net.publish(Topic::Directory, bytes).unwrap();
        assert_eq!(judge.hears().await, Verdict::Ignore, "{what}");
    }
    // Scores are read every second; one that was hurt stays hurt for minutes. What is heard last is read after all.
    let last = card(&AgentKey::from_seed(&[82; 32]), now(), hour);
    peer.net.publish(Topic::Directory, last.bytes().to_vec()).unwrap();
    assert_eq!(judge.hears().await, Verdict::Accept);
    let mut readings = 0;
    judge
        .sees(|state| {
            assert!(score(state) >= Some(0.0), "{:?}", state.peers);
            readings += 1;
            readings == 4
        })
        .await;
    peer.net.shutdown().await;
    judge.swarm.net.shutdown().await;
}

/// A node that the directory names as a provider, and that has nothing to show for it.
#[tokio::test(flavor = "multi_thread")]
async fn announced_skill_without_a_card_is_asked_for_and_not_in_the_answer() {
    let line = Line::up();
    let honest = line.two.agent();
    let file = line.home.write("card.json", br#"{"name":"Babel","skills":[{"id":"text/claimed"}]}"#);
    let _ = line.two.run(&["card", "publish", &file.display().to_string()]).expect(0);
    let (net, mut events) = rogue(60, &line.one).await;
    let skill = "text/claimed".parse().unwrap();
    let term = althing_card::Term::Skill(skill);
    net.provide(althing_card::term_key(network().id(), &term, althing_card::Page::ROOT)).unwrap();
    let provided = async { while !matches!(events.recv().await, Some(Event::Provided { .. })) {} };
    timeout(SOON, provided).await.expect("an announcement");
    let liar = net.id();
    let responder = net.clone();
    // Answers what it is asked with no record at all, and tells when it was asked.
    let (tell, mut told) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Request { reply, bytes, .. } = event {
                let nothing =
                    althing_engine::Response::Records { served: 0, records: Vec::new(), invalid: Vec::new() };
                let _ = responder.respond(reply, nothing.to_bytes());
                if !matches!(
                    althing_engine::Request::parse(&bytes),
                    Ok(althing_engine::Request::Reconcile { .. } | althing_engine::Request::Fetch { .. })
                ) {
                    let _ = tell.try_send(());
                }
            }
        }
    });
    let found = poll("both providers are named", || {
        let found = line.one.ask("althing.find/v1", &["find", "--skill", "text/claimed"]);
        (found["providers"].as_u64()? == 2).then_some(found)
    });
    timeout(SOON, told.recv()).await.expect("the liar is asked").unwrap();
    let agents: Vec<_> = found["agents"].as_array().unwrap().iter().map(|found| &found["agent"]).collect();
    assert_eq!(agents, [honest.as_str()], "{found}");
    assert!(!found["agents"].to_string().contains(&liar.to_string()), "{found}");
    net.shutdown().await;
}
