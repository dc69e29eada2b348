use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_net::{Membership, Multiaddr, NetState};
use tokio::sync::watch;

use super::home::write_whole;

/// Most addresses that are remembered; those of peers that were connected last come first.
const ADDRESSES_MAX: usize = 64;
/// Most addresses of one peer.
const PER_PEER_MAX: usize = 4;
/// How long between two writes.
const INTERVAL: Duration = Duration::from_secs(10);

/// Where the file is in a home.
fn file(home: &Path) -> PathBuf {
    home.join("peers")
}

/// The addresses of peers that earlier starts were connected to. They only help: a file that cannot be read, or lines
/// that are no addresses, are passed over.
pub(super) fn read(home: &Path) -> Vec<Multiaddr> {
    let text = match fs::read_to_string(file(home)) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(%error, path = %file(home).display(), "the peers of earlier starts are not known");
            }
            return Vec::new();
        }
    };
    let address = |line: &str| line.trim().parse().ok().filter(|address: &Multiaddr| !address.is_empty());
    text.lines().filter_map(address).take(ADDRESSES_MAX).collect()
}

/// Writes down whom the node is connected to, until it is dropped.
pub(super) async fn remember(home: PathBuf, mut state: watch::Receiver<NetState>) {
    let mut known = read(&home);
    while state.changed().await.is_ok() {
        let next = merged(&addresses(&state.borrow_and_update()), &known);
        if next != known {
            let lines: String = next.iter().map(|address| format!("{address}\n")).collect();
            if let Err(error) = write_whole(&file(&home), lines.as_bytes()) {
                tracing::debug!(%error, "peers were not written down");
            }
            known = next;
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Where the members among the peers listen.
fn addresses(state: &NetState) -> Vec<Multiaddr> {
    let members = state.peers.iter().filter(|peer| peer.membership == Membership::Member);
    members
        .flat_map(|peer| {
            // A way through a relay is gone when that is.
            let direct = |address: &&Multiaddr| !address.to_string().contains("/p2p-circuit");
            let listens = peer.listens.iter().filter(direct).take(PER_PEER_MAX);
            listens
                .filter_map(|address| format!("{address}/p2p/{}", peer.node).parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn merged(now: &[Multiaddr], before: &[Multiaddr]) -> Vec<Multiaddr> {
    let mut all: Vec<Multiaddr> = Vec::new();
    // Whoever was known stays in place, so that a file of the same peers is the same file.
    let fresh = now.iter().filter(|address| !before.contains(address));
    for address in fresh.chain(before) {
        if !all.contains(address) {
            all.push(address.clone());
        }
    }
    all.truncate(ADDRESSES_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{number}").parse().unwrap()
    }

    #[test]
    fn new_peers_come_first_and_the_oldest_make_room() {
        let before: Vec<_> = (1..=ADDRESSES_MAX).map(address).collect();
        assert_eq!(merged(&[address(3)], &before), before, "nothing is new");
        let next = merged(&[address(900), address(900), address(2)], &before);
        assert_eq!((next.len(), &next[0], &next[1]), (ADDRESSES_MAX, &address(900), &address(1)));
        assert!(!next.contains(&address(ADDRESSES_MAX)));
    }

    #[test]
    fn lines_that_are_no_addresses_are_passed_over() {
        let home = tempfile::tempdir().unwrap();
        assert!(read(home.path()).is_empty());
        fs::write(file(home.path()), format!("{}\nnonsense\n\n{}\n", address(1), address(2))).unwrap();
        assert_eq!(read(home.path()), [address(1), address(2)]);
    }
}
