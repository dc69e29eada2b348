use althing_record::{AgentId, NetworkId};
use sha2::{Digest, Sha256};

use crate::{Page, SkillPath};

/// The Kademlia key under which providers of a skill are found: SHA-256 over ("althing/skill/1", network, skill, page),
/// each part preceded by its length in two bytes, big-endian; a page is its bit count in one byte and its prefix in
/// four.
#[must_use]
pub fn skill_key(network: NetworkId, skill: &SkillPath, page: Page) -> [u8; 32] {
    key(&[b"althing/skill/1", &network.0, skill.as_str().as_bytes(), &page.bytes()])
}

/// The Kademlia key under which the nodes that serve an agent are found: SHA-256 over ("althing/agent/1", network,
/// agent), each part preceded by its length in two bytes, big-endian.
#[must_use]
pub fn agent_key(network: NetworkId, agent: AgentId) -> [u8; 32] {
    key(&[b"althing/agent/1", &network.0, &agent.0])
}

fn key(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // Every part is shorter than 64 KiB: constants, ids and paths of at most 128 bytes.
        hash.update(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fixed() {
        let network = NetworkId([1; 32]);
        let skill: SkillPath = "text/translate".parse().unwrap();
        let bytes = [
            &[0, 15][..],
            b"althing/skill/1",
            &[0, 32],
            &[1; 32],
            &[0, 14],
            b"text/translate",
            &[0, 5, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(skill_key(network, &skill, Page::ROOT), <[u8; 32]>::from(Sha256::digest(bytes)));
        assert_ne!(agent_key(network, AgentId([2; 32])), agent_key(network, AgentId([3; 32])));
    }
}
