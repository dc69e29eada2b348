use althing_record::NetworkId;
use libp2p::StreamProtocol;
use libp2p::gossipsub::{IdentTopic, TopicHash};

use crate::{StreamKind, Topic};

/// The prefix of every protocol id that is ours, in any network.
pub(crate) const FAMILY: &str = "/althing/";

/// What the swarm calls itself and its protocols in one network.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    network: String,
    tag: String,
    pub(crate) protocol_version: String,
    pub(crate) agent_version: String,
    pub(crate) gossip_prefix: String,
    pub(crate) kademlia: StreamProtocol,
    /// The versions of the engine protocol, the newest first.
    pub(crate) engine: Vec<StreamProtocol>,
    engine_versions: Vec<u32>,
}

/// The versions of the engine protocol that this node speaks, the newest first: N and N − 1.
const ENGINE_VERSIONS: [u32; 2] = [2, 1];

/// Which network a peer says it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Ours, by tag and by full id.
    Ours,
    /// None: a plain libp2p peer.
    Plain,
    /// Another tag in its protocols.
    OtherTag,
    /// Our tag, but another full id, or none.
    OtherId,
}

impl Names {
    pub(crate) fn new(network: &NetworkId) -> Self {
        Self::speaking(network, &ENGINE_VERSIONS)
    }

    /// The names of a node that speaks other versions of the engine protocol.
    pub(crate) fn speaking(network: &NetworkId, engine_versions: &[u32]) -> Self {
        let tag = network.tag();
        let protocol = |name: &str, version: u32| {
            StreamProtocol::try_from_owned(format!("{FAMILY}{tag}/{name}/{version}"))
                .expect("a protocol id begins with a slash")
        };
        Self {
            network: network.to_string(),
            protocol_version: format!("{FAMILY}{tag}/1"),
            agent_version: format!("althing/{} ({network})", env!("CARGO_PKG_VERSION")),
            gossip_prefix: format!("{FAMILY}{tag}/meshsub"),
            kademlia: protocol("kad", 1),
            engine: engine_versions.iter().map(|version| protocol("engine", *version)).collect(),
            engine_versions: engine_versions.to_vec(),
            tag,
        }
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The protocols of this network that this node speaks, with their versions.
    pub(crate) fn versions(&self) -> [(&'static str, Vec<String>); 5] {
        // With a prefix of its own, gossipsub speaks these two.
        let gossip = ["1.1.0", "1.0.0"].map(str::to_owned).to_vec();
        let engine = self.engine_versions.iter().map(u32::to_string).collect();
        let first = || vec!["1".to_owned()];
        [("engine", engine), ("kad", first()), ("meshsub", gossip), ("calls", first()), ("call", first())]
    }

    /// What a stream of this kind is negotiated by.
    pub(crate) fn stream(&self, kind: StreamKind) -> StreamProtocol {
        let name = match kind {
            StreamKind::Calls => format!("{FAMILY}{}/calls/1", self.tag),
            StreamKind::Call => format!("{FAMILY}{}/call/1", self.tag),
            StreamKind::Http => "/http/1.1".to_owned(),
        };
        StreamProtocol::try_from_owned(name).expect("a protocol id begins with a slash")
    }

    pub(crate) fn topic(&self, topic: Topic) -> IdentTopic {
        IdentTopic::new(format!("{FAMILY}{}/{topic}/1", self.tag))
    }

    /// The topic behind a hash, if it is one of ours.
    pub(crate) fn topic_of(&self, hash: &TopicHash) -> Option<Topic> {
        let name = hash.as_str().strip_prefix(FAMILY)?.strip_prefix(&self.tag)?;
        let name = name.strip_prefix('/')?.strip_suffix("/1")?;
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Which network an Identify message speaks of.
    pub(crate) fn claim<'a>(
        &self,
        protocol_version: &'a str,
        agent_version: &str,
        protocols: impl Iterator<Item = &'a str>,
    ) -> Claim {
        let mut claim = Claim::Plain;
        for protocol in protocols.chain([protocol_version]) {
            let Some(rest) = protocol.strip_prefix(FAMILY) else { continue };
            if rest.split('/').next() != Some(&self.tag) {
                return Claim::OtherTag;
            }
            claim = Claim::Ours;
        }
        if claim == Claim::Ours && network_in(agent_version) != Some(&self.network) {
            return Claim::OtherId;
        }
        claim
    }
}

/// The full network id in an agent version such as `althing/0.1.0 (<64 hex digits>)`.
fn network_in(agent_version: &str) -> Option<&str> {
    agent_version.strip_prefix("althing/")?.strip_suffix(')')?.rsplit_once('(').map(|(_, network)| network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Names {
        Names::new(&NetworkId([1; 32]))
    }

    fn claim_of(other: &Names) -> Claim {
        let protocols = [other.kademlia.as_ref(), "/ipfs/id/1.0.0"];
        ours().claim(&other.protocol_version, &other.agent_version, protocols.into_iter())
    }

    #[test]
    fn networks_are_told_apart_by_tag_and_by_full_id() {
        let mut same_tag = [1; 32];
        same_tag[31] = 9;
        assert_eq!(claim_of(&ours()), Claim::Ours);
        assert_eq!(claim_of(&Names::new(&NetworkId([2; 32]))), Claim::OtherTag);
        assert_eq!(claim_of(&Names::new(&NetworkId(same_tag))), Claim::OtherId);
        assert_eq!(ours().claim("ipfs/0.1.0", "kubo/1", ["/ipfs/kad/1.0.0"].into_iter()), Claim::Plain);
    }

    #[test]
    fn one_foreign_protocol_is_enough_and_a_missing_id_is_not_ours() {
        let names = ours();
        let version = names.protocol_version.as_str();
        let mixed = [names.engine[0].as_ref(), "/althing/0000000000000000/engine/1"];
        assert_eq!(names.claim(version, &names.agent_version, mixed.into_iter()), Claim::OtherTag);
        assert_eq!(names.claim(version, "althing/9.9.9", std::iter::empty()), Claim::OtherId);
    }

    #[test]
    fn topics_come_back_from_their_hash() {
        for topic in Topic::ALL {
            assert_eq!(ours().topic_of(&ours().topic(topic).hash()), Some(topic));
            let foreign = Names::new(&NetworkId([2; 32])).topic(topic).hash();
            assert_eq!(ours().topic_of(&foreign), None);
        }
    }
}
