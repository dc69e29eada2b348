//! Searches through the directory alone, by nodes that know nothing yet, against a look at all cards.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use althing_card::{Card, Query};
use althing_engine::{Answer, Ask, Find, Found, MAX_FOUND};
use althing_record::{AgentId, Millis};
use althing_sim::{Sim, card};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

fn find(net: &mut Sim, node: usize, query: &str, live: bool) -> Found {
    let find = Find { query: query.parse().unwrap(), limit: MAX_FOUND, after: None, live };
    let no = net.ask(node, Ask::Find(find));
    let Answer::Found(found) = net.answer(no) else { panic!("a search has another answer") };
    found
}

fn agents(found: &Found) -> BTreeSet<AgentId> {
    found.agents.iter().map(|found| found.card.agent).collect()
}

/// Longer than a directory of gossip is blind: nothing of what was said when the card was published is heard again.
#[test]
fn first_query_of_a_late_joiner_and_of_a_restarted_node_finds_what_was_published_long_ago() {
    let mut net = Sim::seed(70).directory_only();
    let nodes: Vec<_> = (0..4).map(|_| net.join(0)).collect();
    net.node(nodes[0]).publish(card("translate"));
    net.run_for(40 * 60 * Millis::MINUTE);
    let published = BTreeSet::from([net.agent(nodes[0])]);
    let late = net.join(0);
    let found = find(&mut net, late, "skill:text", true);
    assert_eq!(agents(&found), published);
    assert_eq!((found.pages, found.pages_answered, found.providers_silent), (1, 1, 0));
    // From its own disk, before it has met anybody.
    net.run_for(1_000);
    net.crash(late);
    net.restart(late);
    let found = find(&mut net, late, "skill:text/translate", false);
    assert_eq!((agents(&found), found.live), (published, false));
    net.check();
}

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % bound as u64).unwrap()
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// A card of which much is rare and some is on nearly every one.
    fn card(&mut self) -> Vec<u8> {
        let mut skills = Vec::new();
        for _ in 0..=self.below(2) {
            let id = self.one_of(&[
                "text/translate/fr",
                "text/translate/de",
                "text/sum",
                "math",
                "math/add",
                "see",
            ]);
            let tags =
                [self.one_of(&["cheap", "fast", "lang:fr"]), self.one_of(&["popular", "popular", "rare"])];
            skills.push(format!("{{\"id\":\"{id}\",\"tags\":{tags:?}}}"));
        }
        let streams = self.below(2) == 0;
        let name = self.one_of(&["Babel", "Bab", "Other"]);
        format!(
            "{{\"name\":\"{name}\",\"skills\":[{}],\"capabilities\":{{\"streaming\":{streams}}}}}",
            skills.join(",")
        )
        .into_bytes()
    }

    fn query(&mut self, depth: usize) -> String {
        let part = |random: &mut Self| random.query(depth - 1);
        match if depth == 0 { 0 } else { self.below(6) } {
            0 | 1 => self
                .one_of(&[
                    "skill:text",
                    "skill:text/translate",
                    "skill:=math",
                    "skill:text/tr*",
                    "skill:none",
                    "tag:popular",
                    "tag:rare",
                    "lang:fr",
                    "name:bab*",
                    "streaming:true",
                ])
                .to_owned(),
            2 => format!("NOT {}", part(self)),
            3 => format!("({} OR {})", part(self), part(self)),
            _ => format!("({} AND {})", part(self), part(self)),
        }
    }
}

#[test]
fn whoever_matches_is_found_through_the_directory_and_nobody_else() {
    let (mut asked, mut split, mut most) = (0, 0, 0);
    for seed in 71..74 {
        let mut net = Sim::seed(seed).directory_only();
        let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
        let mut cards = BTreeMap::new();
        for _ in 0..60 {
            let node = net.join(0);
            let json = random.card();
            cards.insert(net.agent(node), Card::new(json.clone()).unwrap());
            net.node(node).publish(json);
            net.run_for(5_000);
        }
        net.run_for(25 * Millis::MINUTE);
        while asked < 25 * (seed - 70) {
            let query = random.query(3);
            let parsed: Query = query.parse().unwrap();
            if !parsed.plan().unkeyed().is_empty() {
                continue;
            }
            asked += 1;
            let late = net.join(0);
            let found = find(&mut net, late, &query, true);
            let matching = cards.iter().filter(|(_, card)| parsed.matches(&card.facts()));
            let matching: BTreeSet<_> = matching.map(|(agent, _)| *agent).collect();
            assert_eq!(agents(&found), matching, "seed {seed}: {query}");
            assert_eq!(
                (found.pages_answered, found.providers_silent),
                (found.pages, 0),
                "seed {seed}: {query}"
            );
            split += u64::from(found.pages > 3);
            most = most.max(matching.len());
        }
        net.check();
    }
    assert!(split > 10 && most > 40, "{split} searches of split pages, at most {most} agents");
}

#[test]
fn and_asks_the_rarest_page_and_only_its_providers() {
    let mut net = Sim::seed(75).directory_only();
    for number in 0..60 {
        let node = net.join(0);
        let tag = if number % 20 == 0 { "rare" } else { "frequent" };
        let json = format!(r#"{{"name":"x","skills":[{{"id":"text/sum","tags":["{tag}"]}}]}}"#);
        net.node(node).publish(json.into_bytes());
        net.run_for(2_000);
    }
    net.run_for(25 * Millis::MINUTE);
    let late = net.join(0);
    let terms =
        |found: &Found| found.explain.pages.iter().map(|page| page.term.to_string()).collect::<Vec<_>>();
    for query in ["skill:text AND tag:rare", "tag:rare AND skill:text"] {
        // Who knows nothing has to look at the other root page, too, and goes no further there.
        let fresh = net.join(0);
        let found = find(&mut net, fresh, query, true);
        assert!(found.pages <= 2, "{:?}", terms(&found));
        assert_eq!((found.agents.len(), found.providers, found.providers_asked), (3, 3, 3));
    }
    assert_eq!(find(&mut net, late, "skill:text", true).agents.len(), 60);
    // Who knows some of them looks at the rarest page and at no other.
    let found = find(&mut net, late, "skill:text AND tag:rare", true);
    assert_eq!((terms(&found), found.providers_asked), (vec!["tag:rare".to_owned()], 3));
}
