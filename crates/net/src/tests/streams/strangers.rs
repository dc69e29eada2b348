use futures::{AsyncReadExt, StreamExt};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{SwarmBuilder, identify, noise, tcp};

use super::*;
use crate::Membership;
use crate::muxer::Yamux;
use crate::streams::handler::Told;
use crate::streams::{StreamEvent, Streams};

/// A libp2p peer of no network that opens streams all the same.
#[derive(NetworkBehaviour)]
struct Stranger {
    identify: Toggle<identify::Behaviour>,
    streams: Streams,
}

fn swarm(identifies: bool, idle: Duration) -> Swarm<Stranger> {
    let names = Names::new(&NetworkId([7; 32]));
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, || Yamux::new(64, 16 << 20))
        .expect("a transport")
        .with_behaviour(|key| {
            let identify = identify::Config::new("ipfs/0.1.0".into(), key.public());
            let identify = identifies.then(|| identify::Behaviour::new(identify)).into();
            Stranger { identify, streams: Streams::new(&names, !identifies) }
        })
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(idle))
        .build()
}

/// Opens so many calls to a node. Gives what then is said on each, in the order in which they end.
fn said(mut stranger: Swarm<Stranger>, node: &Node, streams: u64) -> mpsc::Receiver<Vec<u8>> {
    stranger.dial(node.address()).expect("a dial");
    let (said, heard) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(event) = stranger.next().await {
            match event {
                SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                    let all = &mut stranger.behaviour_mut().streams;
                    (0..streams)
                        .for_each(|number| all.open(peer_id, connection_id, number, StreamKind::Call));
                }
                SwarmEvent::Behaviour(StrangerEvent::Streams(StreamEvent {
                    told: Told::Opened { ends, .. },
                    ..
                })) => {
                    let said = said.clone();
                    tokio::spawn(async move {
                        let (mut stream, mut read) = (ends.stream, Vec::new());
                        let _ = stream.read_to_end(&mut read).await;
                        said.send(read).await
                    });
                }
                _ => {}
            }
        }
    });
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_no_network_is_refused() {
    let (config, mut taken) = taking(config(1), 16);
    let ours = Node::start(config).await;
    let mut heard = said(swarm(true, DEADLINE), &ours, 3);
    for _ in 0..3 {
        assert_eq!(within("the end", heard.recv()).await.as_deref(), Some(&[][..]), "and hears nothing");
    }
    ours.metric_is(&outcome("inbound", "call", "refused_stranger"), "3").await;
    ours.state("a plain peer", |state| state.peers[0].membership == Membership::Plain).await;
    assert!(taken.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_peer_that_does_not_say_who_it_is_are_few_and_do_not_wait_long() {
    let (config, mut taken) = taking(config(1), 16);
    let ours = Node::start(config).await;
    let mut heard = said(swarm(false, DEADLINE), &ours, 12);
    for number in 0..12 {
        let busy = StreamKind::Call.busy_reply();
        assert_eq!(within("the end", heard.recv()).await.as_deref(), Some(busy), "{number}");
    }
    ours.metric_is(&outcome("inbound", "call", "busy_early"), "12").await;
    assert!(taken.try_recv().is_err());
}

// On one thread: libp2p wakes the connection of a dropped stream a moment before it counts it as gone, and in a quiet
// connection nothing else would wake it.
#[tokio::test]
async fn a_connection_stays_while_a_stream_lives_and_no_longer() {
    let mut one = swarm(false, Duration::from_millis(200));
    let [mut with, mut without] = [swarm(false, DEADLINE), swarm(false, DEADLINE)];
    for other in [&mut with, &mut without] {
        other.listen_on(TCP.parse().expect("an address")).expect("loopback has room");
        let peer = *other.local_peer_id();
        let address = within("address", async {
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = other.select_next_some().await {
                    return address;
                }
            }
        });
        one.dial(DialOpts::peer_id(peer).addresses(vec![address.await]).build()).expect("a dial");
    }
    let with_id = *with.local_peer_id();
    let others = tokio::spawn(async move {
        // Events hold their streams.
        let mut kept = Vec::new();
        loop {
            tokio::select! {
                event = with.select_next_some() => kept.push(event),
                event = without.select_next_some() => kept.push(event),
            }
        }
    });
    let (mut live, mut closed) = (None, Vec::new());
    within("two closed connections", async {
        while closed.len() < 2 {
            match one.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } if peer_id == with_id => {
                    one.behaviour_mut().streams.open(peer_id, connection_id, 1, StreamKind::Calls);
                }
                SwarmEvent::Behaviour(StrangerEvent::Streams(event)) => live = Some(event.told),
                SwarmEvent::ConnectionClosed { peer_id, .. } => {
                    closed.push(peer_id);
                    assert_eq!(live.take().is_some(), closed.len() == 1, "the stream goes after the first");
                }
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(closed[1], with_id);
    others.abort();
}
