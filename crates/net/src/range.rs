use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::paths::is_circuit;

/// A /24 (IPv4) or /48 (IPv6): about what one party gets to choose addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Range {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Range {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

/// The IP address that a multiaddress begins with.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.into()),
        Some(_) | None => None,
    }
}

/// Addresses kept per peer.
const ADDRESSES_MAX: usize = 8;
/// Of these, such that lead through relays.
const CIRCUITS_MAX: usize = 4;

/// The addresses out of what a peer claims that are worth dialing, given where it was seen. What it claims is not
/// proven: this only keeps out what cannot work and bounds how many there are.
pub(crate) fn dialable(claimed: &[Multiaddr], seen_at: Option<IpAddr>) -> Vec<Multiaddr> {
    let near = seen_at.is_none_or(|ip| ip.to_canonical().is_loopback());
    let dialable = claimed.iter().filter(|address| is_dialable(address, near));
    let (circuits, direct): (Vec<_>, Vec<_>) = dialable.partition(|address| is_circuit(address));
    // A machine with many interfaces is still found through its relays.
    let circuits = &circuits[..circuits.len().min(CIRCUITS_MAX)];
    let direct = direct.into_iter().take(ADDRESSES_MAX - circuits.len());
    direct.chain(circuits.iter().copied()).cloned().collect()
}

fn is_dialable(address: &Multiaddr, loopback_allowed: bool) -> bool {
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => {
            !ip.is_unspecified()
                && !ip.is_multicast()
                && !ip.is_broadcast()
                && (loopback_allowed || !ip.is_loopback())
        }
        Some(Protocol::Ip6(ip)) => {
            !ip.is_unspecified()
                && !ip.is_multicast()
                && (loopback_allowed || !ip.to_canonical().is_loopback())
        }
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
        _ => false,
    };
    let transport = match parts.next() {
        Some(Protocol::Tcp(port)) => port != 0,
        Some(Protocol::Udp(port)) => port != 0 && parts.next() == Some(Protocol::QuicV1),
        _ => false,
    };
    // Nothing, or the peer; or a relay, which is named, and perhaps the peer behind it. No relay behind a relay.
    let rest: Vec<_> = parts.take(4).collect();
    let end = match &rest[..] {
        [] | [Protocol::P2p(_)] => true,
        [Protocol::P2p(_), Protocol::P2pCircuit] => true,
        [Protocol::P2p(relay), Protocol::P2pCircuit, Protocol::P2p(peer)] => relay != peer,
        _ => false,
    };
    host && transport && end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<Multiaddr> {
        list.iter().map(|text| text.parse().expect("a multiaddress")).collect()
    }

    #[test]
    fn only_addresses_that_can_be_dialed_are_kept() {
        let claimed = addresses(&[
            "/ip4/127.0.0.1/tcp/4001",
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/224.0.0.1/udp/4001/quic-v1",
            "/ip4/198.51.100.7/tcp/0",
            "/ip4/198.51.100.7/udp/4001/quic-v1",
            "/dns/example.org/tcp/4001",
            "/ip4/198.51.100.7/tcp/4001/ws",
            "/memory/1",
        ]);
        let far = dialable(&claimed, Some("203.0.113.5".parse().expect("an address")));
        assert_eq!(far, addresses(&["/ip4/198.51.100.7/udp/4001/quic-v1", "/dns/example.org/tcp/4001"]));
        let near = dialable(&claimed, Some("127.0.0.1".parse().expect("an address")));
        assert_eq!(near.len(), 3);
        assert_eq!(dialable(&vec![claimed[5].clone(); 50], None).len(), ADDRESSES_MAX);
    }

    #[test]
    fn addresses_through_one_relay_are_kept_and_no_others_with_relays() {
        let (relay, peer) = (libp2p::PeerId::random(), libp2p::PeerId::random());
        let through = |host: u8| format!("/ip4/198.51.100.{host}/tcp/1/p2p/{relay}/p2p-circuit/p2p/{peer}");
        let good = [through(1), format!("/ip4/198.51.100.1/udp/1/quic-v1/p2p/{relay}/p2p-circuit")];
        let bad = [
            format!("/p2p/{relay}/p2p-circuit/p2p/{peer}"),
            "/ip4/198.51.100.1/tcp/1/p2p-circuit".to_owned(),
            format!("/ip4/198.51.100.1/tcp/1/p2p/{peer}/p2p-circuit/p2p/{peer}"),
            format!("{}/p2p-circuit", through(1)),
            format!("/ip4/198.51.100.1/tcp/1/p2p/{relay}/p2p-circuit/p2p/{relay}/p2p-circuit/p2p/{peer}"),
            format!("/ip4/198.51.100.1/tcp/1/p2p/{relay}/p2p-circuit/ip4/198.51.100.2/tcp/1"),
            format!("/ip4/127.0.0.1/tcp/1/p2p/{relay}/p2p-circuit/p2p/{peer}"),
        ];
        let far = Some("203.0.113.5".parse().expect("an address"));
        let all: Vec<_> = bad.iter().chain(&good).map(String::as_str).collect();
        assert_eq!(dialable(&addresses(&all), far), addresses(&[&good[0], &good[1]]));
        let many: Vec<_> =
            (0..20).map(through).chain((0..20).map(|n| format!("/ip4/198.51.100.{n}/tcp/1"))).collect();
        let kept = dialable(&addresses(&many.iter().map(String::as_str).collect::<Vec<_>>()), far);
        let circuits = kept.iter().filter(|address| is_circuit(address)).count();
        assert_eq!((kept.len(), circuits), (ADDRESSES_MAX, CIRCUITS_MAX));
    }

    #[test]
    fn ranges_join_neighbours_and_mapped_addresses() {
        let range = |text: &str| Range::of(text.parse().expect("an address"));
        assert_eq!(range("192.0.2.1"), range("192.0.2.254"));
        assert_ne!(range("192.0.2.1"), range("192.0.3.1"));
        assert_eq!(range("::ffff:192.0.2.9"), range("192.0.2.1"));
        assert_eq!(range("2001:db8:1:2::3"), range("2001:db8:1:ffff::9"));
        assert_ne!(range("2001:db8:1::"), range("2001:db8:2::"));
    }
}
