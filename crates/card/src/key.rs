use althing_record::{AgentId, NetworkId};
use sha2::{Digest, Sha256};

use crate::{Page, Term};

/// The Kademlia key under which providers of a term are found: SHA-256 over ("althing/skill/1" or "althing/tag/1",
/// network, skill path or tag, page), each part preceded by its length in two bytes, big-endian; a page is its bit count
/// in one byte and its prefix in four.
#[must_use]
pub fn term_key(network: NetworkId, term: &Term, page: Page) -> [u8; 32] {
    let (kind, text) = match term {
        Term::Skill(path) => ("althing/skill/1", path.as_str()),
        Term::Tag(tag) => ("althing/tag/1", tag.as_str()),
    };
    key(&[kind.as_bytes(), &network.0, text.as_bytes(), &page.bytes()])
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
        let skill = Term::Skill("text/translate".parse().unwrap());
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
        assert_eq!(term_key(network, &skill, Page::ROOT), <[u8; 32]>::from(Sha256::digest(bytes)));
        let [left, _] = Page::ROOT.children().unwrap();
        let right = left.parent().unwrap().children().unwrap()[1];
        let tag = Term::Tag("lang:fr".parse().unwrap());
        let bytes = [
            &[0, 13][..],
            b"althing/tag/1",
            &[0, 32],
            &[1; 32],
            &[0, 7],
            b"lang:fr",
            &[0, 5, 1, 0x80, 0, 0, 0],
        ]
        .concat();
        assert_eq!(term_key(network, &tag, right), <[u8; 32]>::from(Sha256::digest(bytes)));
        assert_ne!(agent_key(network, AgentId([2; 32])), agent_key(network, AgentId([3; 32])));
    }
}
