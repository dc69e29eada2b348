//! What can be said about a running node's network.

use althing_gateway::api::{Peer, Reach, Reachability};

use super::check::Check;
use super::facts::Running;
use crate::cli::node::elsewhere;

/// How far the peers' clocks may be away, in milliseconds. The engine warns at the same figure.
const OFFSET_MAX_MS: u64 = 60_000;
/// Peers that are named.
const NAMED_MAX: usize = 3;

const FORWARD: &str = "forward the port to this machine on the router, or switch UPnP on there";

pub(super) fn listening(node: &Running) -> Check {
    const NAME: &str = "listening";
    let listen = &node.reach.listen;
    let loopback = |address: &String| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
    if listen.is_empty() {
        return Check::fail(NAME, "on no address", "check `listen` with `althing config show --origin`");
    }
    if listen.iter().all(loopback) {
        return Check::ok(NAME, format!("on loopback only: {}", listen.join(" ")));
    }
    Check::ok(NAME, listen.join(" "))
}

pub(super) fn reachability(node: &Running) -> Check {
    const NAME: &str = "reachable";
    let reach = &node.reach;
    let failed: usize = reach.observed.iter().map(|observed| observed.failed).sum();
    let reached: usize = reach.observed.iter().map(|observed| observed.reached).sum();
    match reach.reachability {
        Reachability::Public if reach.setting == "server" && failed > 0 && reached == 0 => Check::warn(
            NAME,
            format!("the setting says server, but {failed} tests by peers failed"),
            format!("{FORWARD}; or set reachability = \"auto\""),
        ),
        Reachability::Public => Check::ok(NAME, format!("directly: {}", external(reach))),
        Reachability::Local => Check::ok(
            NAME,
            "in this network; all addresses are loopback or private, so nobody further is expected",
        ),
        Reachability::Private if reach.circuits.is_empty() => Check::fail(
            NAME,
            format!("no: {}, and no relay has given a place", why_private(reach, failed)),
            format!("{FORWARD}; or join by a public node that relays (--join)"),
        ),
        Reachability::Private => {
            Check::ok(NAME, format!("through {} ({})", relays(reach), why_private(reach, failed)))
        }
        Reachability::Unknown if node.peers.is_empty() => {
            Check::warn(NAME, "not known: no peer is there to try", "join by a node that is up (--join)")
        }
        Reachability::Unknown => Check::warn(
            NAME,
            "not known: no peer has tried yet, or none saw a public address",
            "wait a minute; if you know that peers can dial this node, set reachability = \"server\"",
        ),
    }
}

pub(super) fn router(node: &Running) -> Check {
    const NAME: &str = "router (UPnP)";
    let settled = node.reach.reachability != Reachability::Private;
    match node.reach.upnp.as_str() {
        "mapped" => Check::ok(NAME, "it maps this node's port"),
        "off" => Check::ok(NAME, "not asked"),
        "searching" => Check::ok(NAME, "asked, no answer yet"),
        "not_routable" => Check::warn(
            NAME,
            "it has no public address itself: there is another NAT behind it",
            "ask the provider for a public address; until then relays are used",
        ),
        "expired" => Check::warn(NAME, "it no longer maps this node's port", FORWARD),
        _ if settled => Check::ok(NAME, "none answers"),
        _ => Check::warn(NAME, "none answers", FORWARD),
    }
}

pub(super) fn holes(node: &Running) -> Check {
    const NAME: &str = "hole punching";
    let Reach { punched, punches_failed, .. } = node.reach;
    if punches_failed > 0 && punched == 0 {
        let finding = format!("none of {punches_failed} worked; relays carry these peers");
        return Check::warn(
            NAME,
            finding,
            format!("the router may choose a new port for every connection; {FORWARD}"),
        );
    }
    let tried = punched + punches_failed;
    Check::ok(
        NAME,
        if tried == 0 { "not needed yet".to_owned() } else { format!("{punched} of {tried} worked") },
    )
}

pub(super) fn relaying(node: &Running) -> Check {
    const NAME: &str = "relaying";
    let Some(relaying) = &node.reach.relaying else {
        return Check::ok(NAME, "not for others");
    };
    let refused = relaying.refused_places + relaying.refused_circuits;
    let finding = format!(
        "for {} nodes, {} circuits now; {refused} requests refused",
        relaying.places, relaying.circuits
    );
    Check::ok(NAME, finding)
}

pub(super) fn kademlia(node: &Running) -> Check {
    const NAME: &str = "kademlia";
    let reach = &node.reach;
    let finding = format!("{}, peers in the routing table: {}", reach.kademlia, reach.routing_table);
    let members = node.peers.iter().filter(|peer| peer.same_network == Some(true)).count();
    if members > 0 && reach.routing_table == 0 {
        return Check::warn(
            NAME,
            format!("{finding}, of {members} that are connected: nothing can be looked up"),
            "join by a node that others can dial; one of them has to be",
        );
    }
    Check::ok(NAME, finding)
}

pub(super) fn peers(node: &Running) -> Check {
    const NAME: &str = "peers";
    let members: Vec<_> = node.peers.iter().filter(|peer| peer.same_network == Some(true)).collect();
    let relayed =
        members.iter().filter(|peer| peer.path.as_ref().is_some_and(|path| !path.is_direct())).count();
    if members.is_empty() {
        return Check::warn(
            NAME,
            "none of this network",
            "join by a node that is up: `althing up --join ADDRESS`",
        );
    }
    Check::ok(NAME, format!("{} of this network, {relayed} of them through a relay", members.len()))
}

pub(super) fn protocols(node: &Running) -> Check {
    const NAME: &str = "protocols";
    let strange: Vec<_> = node.peers.iter().filter(|peer| peer.understood == Some(false)).collect();
    if strange.is_empty() {
        return Check::ok(NAME, "every peer speaks a version that this node speaks");
    }
    let name = |peer: &&Peer| {
        let program = peer.program.as_deref().and_then(|program| program.split(' ').next());
        format!("{} ({})", peer.node, program.unwrap_or("?"))
    };
    let mut named: Vec<String> = strange.iter().take(NAMED_MAX).map(name).collect();
    if strange.len() > NAMED_MAX {
        named.push(format!("{} more", strange.len() - NAMED_MAX));
    }
    let finding = format!("no version in common with {}", named.join(", "));
    Check::warn(NAME, finding, format!("update whichever is older; this is althing {}", node.status.version))
}

pub(super) fn clock(node: &Running) -> Check {
    const NAME: &str = "clock";
    match node.status.clock_offset_ms {
        None => Check::ok(NAME, "no peer to compare with"),
        Some(offset) if offset.unsigned_abs() > OFFSET_MAX_MS => Check::warn(
            NAME,
            format!("{} s off the median of the peers' clocks", offset / 1_000),
            "set this machine's clock, for instance with `timedatectl set-ntp true`",
        ),
        Some(offset) => Check::ok(NAME, format!("{offset} ms off the median of the peers' clocks")),
    }
}

pub(super) fn agents(node: &Running) -> Check {
    const NAME: &str = "agents";
    match &node.status.served_elsewhere[..] {
        [] => Check::ok(NAME, "no other node serves an agent of this one"),
        [first, ..] => Check::warn(
            NAME,
            elsewhere(first),
            "if it was moved, this ends by itself; if both run, stop one of them: two that serve one agent make it a cheat",
        ),
    }
}

fn why_private(reach: &Reach, failed: usize) -> String {
    if reach.setting == "client" {
        "the setting says client".to_owned()
    } else {
        format!("behind NAT: {failed} tests by peers failed")
    }
}

fn relays(reach: &Reach) -> String {
    match reach.relays.len() {
        1 => "1 relay".to_owned(),
        count => format!("{count} relays"),
    }
}

fn external(reach: &Reach) -> String {
    let because = |learnt: &str| match learnt {
        "autonat" => "a peer dialed it",
        "upnp" => "the router maps it",
        "inbound" => "a peer came in",
        _ => "the setting says so",
    };
    let one = |address: &althing_gateway::api::ExternalAddress| {
        format!("{} ({})", address.address, because(&address.learnt))
    };
    let all: Vec<_> = reach.external.iter().map(one).collect();
    if all.is_empty() { "the setting says so".to_owned() } else { all.join(" ") }
}
