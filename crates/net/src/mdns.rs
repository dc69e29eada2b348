use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::counters::Counters;
use crate::neighbours::{Hint, is_near};
use crate::range::ip_of;

mod packet;

use packet::Packet;

/// Multicast DNS: RFC 6762, section 3.
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// Hints that wait for the swarm task; more are dropped. The next answer brings them again.
pub(crate) const HINTS_MAX: usize = 64;
/// Interfaces on which this node asks and answers.
const INTERFACES_MAX: usize = 8;
/// Datagrams read per interface and second; the kernel drops what then does not fit its buffer.
const READS_MAX: u32 = 64;
/// The largest datagram that mDNS permits: RFC 6762, section 17.
const DATAGRAM_MAX: usize = 9000;
/// Addresses that an answer names.
const ADDRESSES_MAX: usize = 8;
/// The wait after the first query; then it doubles.
const QUERY_MIN: Duration = Duration::from_secs(1);
/// The longest wait between two queries. A third of how long an answer holds.
const QUERY_MAX: Duration = Duration::from_secs(120);
/// The least time between two answers: RFC 6762, section 6.
const ANSWER_INTERVAL: Duration = Duration::from_secs(1);

/// Asks and answers on every local network that this node listens on, and tells the swarm task what it hears.
///
/// libp2p's own mDNS keeps whatever anybody announces, for as long as the announcement says; here every list has a bound
/// (`docs/adr/013-own-mdns.md`).
pub(crate) struct Mdns {
    pub(crate) peer: PeerId,
    /// Where the swarm listens.
    pub(crate) listens: watch::Receiver<Vec<Multiaddr>>,
    pub(crate) hints: mpsc::Sender<Hint>,
    pub(crate) counters: Counters,
}

impl Mdns {
    /// Runs until the swarm is gone.
    pub(crate) async fn run(mut self) {
        let mut tasks = JoinSet::new();
        let mut open = BTreeMap::new();
        let mut told = false;
        loop {
            let wanted = interfaces(&self.listens.borrow_and_update());
            open.retain(|interface, task: &mut tokio::task::AbortHandle| {
                let stays = wanted.contains(interface);
                if !stays {
                    task.abort();
                }
                stays
            });
            for interface in wanted {
                if open.contains_key(&interface) {
                    continue;
                }
                match bind(interface) {
                    Ok(socket) => {
                        let task = tasks.spawn(self.interface(interface, socket).run());
                        open.insert(interface, task);
                    }
                    Err(error) if !told => {
                        told = true;
                        tracing::info!(%error, "cannot look for nodes on the local network; --join still works");
                    }
                    Err(error) => tracing::debug!(%interface, %error, "no multicast DNS here"),
                }
            }
            while tasks.try_join_next().is_some() {}
            if self.listens.changed().await.is_err() {
                return;
            }
        }
    }

    fn interface(&self, ip: Ipv4Addr, socket: UdpSocket) -> Interface {
        Interface {
            ip,
            socket,
            peer: self.peer,
            listens: self.listens.clone(),
            hints: self.hints.clone(),
            counters: self.counters.clone(),
        }
    }
}

/// The local networks among the addresses that a swarm listens on, each by this node's address there.
fn interfaces(listens: &[Multiaddr]) -> BTreeSet<Ipv4Addr> {
    let ips = listens.iter().filter_map(|address| match ip_of(address) {
        Some(IpAddr::V4(ip)) if is_near(ip) => Some(ip),
        Some(_) | None => None,
    });
    ips.collect::<BTreeSet<_>>().into_iter().take(INTERFACES_MAX).collect()
}

/// Bound to the group's address, so that nothing sent to this machine alone gets in: routers do not forward this group,
/// hence whoever is heard is on this link.
fn bind(interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from(GROUP).into())?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_multicast_all_v4(false)?;
    socket.join_multicast_v4(&GROUP.0, &interface)?;
    socket.set_multicast_if_v4(&interface)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// One local network.
struct Interface {
    ip: Ipv4Addr,
    socket: UdpSocket,
    peer: PeerId,
    listens: watch::Receiver<Vec<Multiaddr>>,
    hints: mpsc::Sender<Hint>,
    counters: Counters,
}

impl Interface {
    async fn run(self) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let (mut reads, mut wait) = (READS_MAX, QUERY_MIN);
        let mut query = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut answer = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut asked = false;
        loop {
            tokio::select! {
                _ = second.tick() => reads = READS_MAX,
                () = &mut query => {
                    self.send(&packet::query()).await;
                    query.as_mut().reset(Instant::now() + wait);
                    wait = (wait * 2).min(QUERY_MAX);
                }
                () = &mut answer, if asked => {
                    asked = false;
                    self.answer().await;
                    answer.as_mut().reset(Instant::now() + ANSWER_INTERVAL);
                }
                received = self.socket.recv_from(&mut buffer), if reads > 0 => match received {
                    Ok((length, SocketAddr::V4(from))) => {
                        reads -= 1;
                        match Packet::read(buffer.get(..length).unwrap_or_default()) {
                            Packet::Query => asked = true,
                            Packet::Answer(found) => self.heard(found, *from.ip()),
                            Packet::Other => {}
                        }
                    }
                    Ok((_, SocketAddr::V6(_))) => reads -= 1,
                    Err(error) => {
                        tracing::debug!(interface = %self.ip, %error, "multicast DNS: nothing read");
                        reads = 0;
                    }
                },
            }
        }
    }

    fn heard(&self, found: Vec<packet::Announcement>, from: Ipv4Addr) {
        for packet::Announcement { peer, addresses, ttl } in found {
            if peer != self.peer && self.hints.try_send(Hint { peer, addresses, from, ttl }).is_err() {
                self.counters.dropped("neighbours");
            }
        }
    }

    async fn answer(&self) {
        let here = |address: &&Multiaddr| ip_of(address) == Some(self.ip.into());
        let addresses: Vec<_> = self
            .listens
            .borrow()
            .iter()
            .filter(here)
            .take(ADDRESSES_MAX)
            .map(|address| address.clone().with(Protocol::P2p(self.peer)))
            .collect();
        if !addresses.is_empty() {
            self.send(&packet::answer(&self.peer, &addresses)).await;
        }
    }

    async fn send(&self, bytes: &[u8]) {
        if let Err(error) = self.socket.send_to(bytes, SocketAddr::from(GROUP)).await {
            tracing::debug!(interface = %self.ip, %error, "multicast DNS: nothing sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &[&str]) -> Vec<Multiaddr> {
        list.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn only_local_networks_that_the_node_listens_on_are_spoken_to() {
        let listens = all(&[
            "/ip4/127.0.0.1/tcp/4001",
            "/ip4/198.51.100.7/tcp/4001",
            "/ip6/fd00::1/tcp/4001",
            "/ip4/192.168.1.7/tcp/4001",
            "/ip4/192.168.1.7/udp/4001/quic-v1",
            "/ip4/169.254.3.4/tcp/4001",
        ]);
        let expected = [Ipv4Addr::new(169, 254, 3, 4), Ipv4Addr::new(192, 168, 1, 7)];
        assert_eq!(interfaces(&listens).into_iter().collect::<Vec<_>>(), expected);
        let many: Vec<_> = (0..50).map(|host| format!("/ip4/10.0.0.{host}/tcp/1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(interfaces(&all(&many)).len(), INTERFACES_MAX);
    }

    #[tokio::test]
    async fn an_interface_that_cannot_be_opened_stops_nothing() {
        let (hints, _received) = mpsc::channel(HINTS_MAX);
        let not_ours = |host: u8| all(&[&format!("/ip4/10.255.255.{host}/tcp/1")]);
        let (listens, watched) = watch::channel(not_ours(253));
        let error = bind(Ipv4Addr::new(10, 255, 255, 253)).expect_err("not an address of this machine");
        assert!(!error.to_string().is_empty());
        let mdns = Mdns { peer: PeerId::random(), listens: watched, hints, counters: Counters::default() };
        let task = tokio::spawn(mdns.run());
        listens.send_replace(not_ours(254));
        drop(listens);
        task.await.expect("it ends with the swarm and not before");
    }

    #[tokio::test]
    async fn hints_beyond_the_queue_are_dropped_and_counted() {
        let (hints, mut received) = mpsc::channel(HINTS_MAX);
        let (_listens, watched) = watch::channel(Vec::new());
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has room");
        let counters = Counters::default();
        let mdns = Mdns { peer: PeerId::random(), listens: watched, hints, counters: counters.clone() };
        let interface = mdns.interface(Ipv4Addr::LOCALHOST, socket);
        let own = packet::Announcement { peer: mdns.peer, addresses: Vec::new(), ttl: QUERY_MAX };
        let other = || packet::Announcement { peer: PeerId::random(), ..own.clone() };
        let found = [vec![own.clone()], (0..HINTS_MAX + 7).map(|_| other()).collect()].concat();
        interface.heard(found, Ipv4Addr::new(192, 168, 1, 7));
        assert_eq!(counters.drops("neighbours"), 7, "this node does not hear itself");
        assert_eq!(received.len(), HINTS_MAX);
        assert!(received.recv().await.is_some_and(|hint| hint.peer != mdns.peer));
    }
}
