use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{PTR, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use libp2p::{Multiaddr, PeerId};
use sha2::{Digest, Sha256};

use crate::bootstrap::peer_in;

/// The service that every libp2p peer asks for, whatever its network.
const SERVICE: &str = "_p2p._udp.local.";
/// How long others may keep what this node says.
const TTL_SECONDS: u32 = 360;
/// What precedes an address in a TXT string.
const ADDRESS: &[u8] = b"dnsaddr=";
/// Addresses read out of one packet; a packet has hardly more room.
const ADDRESSES_MAX: usize = 32;

/// A DNS message, as far as finding libp2p peers goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Somebody asks who is there.
    Query,
    /// Somebody says who is there.
    Answer(Vec<Announcement>),
    /// Printers, screens, garbage.
    Other,
}

/// A peer, and where it claims to listen. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) peer: PeerId,
    /// They end in `/p2p/<peer>`.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) ttl: Duration,
}

impl Packet {
    /// Reads a datagram.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let Ok(message) = Message::from_vec(bytes) else { return Self::Other };
        match message.metadata.message_type {
            MessageType::Query if message.queries.iter().any(asks) => Self::Query,
            MessageType::Query => Self::Other,
            MessageType::Response => Self::Answer(announcements(&message)),
        }
    }
}

/// "Who is there?"
pub(crate) fn query() -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(service(), RecordType::PTR));
    encode(&message)
}

/// "This node is, here." The addresses end in `/p2p/<peer>`; those that do not fit a TXT string are left out.
pub(crate) fn answer(peer: &PeerId, addresses: &[Multiaddr]) -> Vec<u8> {
    let label: String =
        Sha256::digest(peer.to_bytes()).iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    let name = service().prepend_label(label.as_str()).expect("40 characters before 16 are a name");
    let strings: Vec<_> = addresses
        .iter()
        .map(|address| format!("dnsaddr={address}"))
        .filter(|text| text.len() <= 255)
        .collect();
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_answer(Record::from_rdata(service(), TTL_SECONDS, RData::PTR(PTR(name.clone()))));
    message.add_additional(Record::from_rdata(name, TTL_SECONDS, RData::TXT(TXT::new(strings))));
    encode(&message)
}

fn service() -> Name {
    Name::from_ascii(SERVICE).expect("the service's name is a name")
}

fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a few short strings fit a DNS message")
}

fn asks(query: &Query) -> bool {
    query.name() == &service() && matches!(query.query_type(), RecordType::PTR | RecordType::ANY)
}

/// The TXT records name peers by themselves, so the PTR records that point at them are not needed.
fn announcements(message: &Message) -> Vec<Announcement> {
    let service = service();
    let mut found: Vec<Announcement> = Vec::new();
    let records = message.answers.iter().chain(&message.additionals);
    let strings = records.filter(|record| record.name.base_name() == service).filter_map(|record| {
        if let RData::TXT(txt) = &record.data { Some((record.ttl, &txt.txt_data)) } else { None }
    });
    let addresses = strings.flat_map(|(ttl, texts)| {
        texts.iter().filter_map(move |text| {
            let address: Multiaddr = str::from_utf8(text.strip_prefix(ADDRESS)?).ok()?.parse().ok()?;
            Some((ttl, peer_in(&address)?, address))
        })
    });
    for (ttl, peer, address) in addresses.take(ADDRESSES_MAX) {
        match found.iter_mut().find(|other| other.peer == peer) {
            Some(known) => known.addresses.push(address),
            None => found.push(Announcement {
                peer,
                addresses: vec![address],
                ttl: Duration::from_secs(u64::from(ttl)),
            }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(peer: &PeerId, count: usize) -> Vec<Multiaddr> {
        (1..=count)
            .map(|port| format!("/ip4/192.168.1.7/tcp/{port}/p2p/{peer}").parse().expect("an address"))
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let peer = PeerId::random();
        let addresses = addresses(&peer, 3);
        let said = Announcement { peer, addresses: addresses.clone(), ttl: Duration::from_secs(360) };
        assert_eq!(Packet::read(&query()), Packet::Query);
        assert_eq!(Packet::read(&answer(&peer, &addresses)), Packet::Answer(vec![said]));
    }

    #[test]
    fn a_query_has_the_bytes_that_other_libp2p_implementations_send() {
        let expected = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01";
        assert_eq!(query(), expected);
    }

    #[test]
    fn other_services_and_garbage_are_nothing() {
        let mut printer = query();
        printer[14] = b'q';
        assert_eq!(Packet::read(&printer), Packet::Other);
        let full = answer(&PeerId::random(), &addresses(&PeerId::random(), 2));
        for end in 0..full.len() {
            assert!(!matches!(Packet::read(&full[..end]), Packet::Answer(found) if !found.is_empty()));
        }
        assert_eq!(Packet::read(&[0xff; 64]), Packet::Other);
    }

    #[test]
    fn one_packet_names_a_bounded_number_of_addresses() {
        let peer = PeerId::random();
        let Packet::Answer(found) = Packet::read(&answer(&peer, &addresses(&peer, 100))) else {
            panic!("expected an answer")
        };
        assert_eq!(found[0].addresses.len(), ADDRESSES_MAX);
    }
}
