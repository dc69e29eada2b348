use std::collections::BTreeSet;

use libp2p::PeerId;

use crate::names::{FAMILY, Names};

/// Peers that are remembered as named; beyond, all are forgotten and may be named again.
const NAMED_MAX: usize = 1_024;

/// Longest list of a peer's versions that is shown.
const SHOWN_MAX: usize = 64;

/// A protocol of which a peer speaks no version that this node speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The protocol's name; one of ours.
    pub(crate) protocol: &'static str,
    /// What there is to say about it.
    pub(crate) text: String,
}

/// The peers whose mismatch the log has named.
#[derive(Debug, Default)]
pub(crate) struct Named(BTreeSet<PeerId>);

impl Named {
    /// Whether this peer is named for the first time.
    pub(crate) fn is_first(&mut self, peer: PeerId) -> bool {
        if self.0.len() >= NAMED_MAX {
            self.0.clear();
        }
        self.0.insert(peer)
    }
}

impl Names {
    /// The first protocol that a peer speaks in other versions than this node, and in none of them. A protocol that it
    /// does not speak at all is none.
    pub(crate) fn mismatch<'a>(&self, protocols: impl Iterator<Item = &'a str>) -> Option<Mismatch> {
        let prefix = format!("{FAMILY}{}/", self.tag());
        let theirs: Vec<(&str, &str)> =
            protocols.filter_map(|id| id.strip_prefix(&prefix)?.split_once('/')).collect();
        self.versions().into_iter().find_map(|(protocol, ours)| {
            let theirs: Vec<&str> =
                theirs.iter().filter(|(name, _)| *name == protocol).map(|(_, version)| *version).collect();
            if theirs.is_empty() || theirs.iter().any(|version| ours.iter().any(|own| own == version)) {
                return None;
            }
            let is_plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
            let theirs: String = join(&theirs).chars().filter(is_plain).take(SHOWN_MAX).collect();
            let ours = join(&ours.iter().map(String::as_str).collect::<Vec<_>>());
            let text = format!("speaks {protocol}/{theirs}, this node speaks {ours}; upgrade one of them");
            Some(Mismatch { protocol, text })
        })
    }
}

fn join(versions: &[&str]) -> String {
    let mut versions = versions.to_vec();
    versions.sort_unstable();
    versions.join(" and ")
}

#[cfg(test)]
mod tests {
    use althing_record::NetworkId;

    use super::*;

    fn text(protocols: &[&str]) -> Option<String> {
        let protocols: Vec<_> = protocols.iter().map(|id| id.replace("TAG", "0101010101010101")).collect();
        let names = Names::new(&NetworkId([1; 32]));
        names.mismatch(protocols.iter().map(String::as_str)).map(|mismatch| mismatch.text)
    }

    #[test]
    fn one_shared_version_is_enough() {
        assert_eq!(text(&["/althing/TAG/engine/1", "/althing/TAG/kad/1"]), None);
        assert_eq!(text(&["/althing/TAG/engine/9", "/althing/TAG/engine/2"]), None);
        assert_eq!(text(&["/althing/TAG/meshsub/1.2.0", "/althing/TAG/meshsub/1.1.0"]), None);
        assert_eq!(text(&["/ipfs/id/1.0.0", "/althing/TAG/other/9", "/meshsub/9"]), None);
    }

    #[test]
    fn versions_that_are_not_shared_are_named() {
        let engine = "speaks engine/9, this node speaks 1 and 2; upgrade one of them";
        assert_eq!(text(&["/althing/TAG/kad/1", "/althing/TAG/engine/9"]).as_deref(), Some(engine));
        let kad = "speaks kad/2 and 3, this node speaks 1; upgrade one of them";
        assert_eq!(text(&["/althing/TAG/kad/3", "/althing/TAG/kad/2"]).as_deref(), Some(kad));
        let gossip = text(&["/althing/TAG/meshsub/2.0.0"]);
        assert_eq!(
            gossip.as_deref(),
            Some("speaks meshsub/2.0.0, this node speaks 1.0.0 and 1.1.0; upgrade one of them")
        );
    }

    #[test]
    fn a_peer_is_named_once_until_too_many_are() {
        let mut named = Named::default();
        let peers: Vec<_> = (0..NAMED_MAX).map(|_| PeerId::random()).collect();
        assert!(peers.iter().all(|peer| named.is_first(*peer)));
        assert!(named.is_first(PeerId::random()), "the bound is reached");
        assert!(named.is_first(peers[0]) && !named.is_first(peers[0]));
    }

    #[test]
    fn what_a_peer_calls_its_version_is_short_and_printable() {
        let long = format!("/althing/TAG/engine/{}", "\u{1b}9".repeat(500));
        let text = text(&[&long]).unwrap();
        assert!(text.len() < 140 && text.chars().all(|c| !c.is_control()), "{text}");
    }
}
