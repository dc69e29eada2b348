use std::collections::BTreeMap;

use althing_store::Memory;
use proptest::prelude::*;

use super::*;
use crate::{Plan, Term};

const NOW: Millis = Millis(50);
const LATER: Millis = Millis(100);

fn agent(n: u8) -> AgentId {
    AgentId([n; 32])
}

fn node(n: u8) -> NodeId {
    NodeId([n; 32])
}

fn card(skills: &[&str]) -> Card {
    let skills: Vec<_> = skills.iter().map(|id| format!("{{\"id\":\"{id}\"}}")).collect();
    Card::new(format!("{{\"name\":\"x\",\"skills\":[{}]}}", skills.join(",")).into_bytes()).unwrap()
}

fn write(store: &Memory, change: impl FnOnce(&Memory, &mut Batch) -> Result<(), ReadError>) {
    let mut batch = Batch::default();
    change(store, &mut batch).unwrap();
    store.apply(&batch);
}

fn add(store: &Memory, agent: AgentId, before: Option<&Card>, after: Option<&Card>) {
    let after = after.map(|card| (card, LATER));
    write(store, |store, batch| index(store, agent, before, after, batch));
}

fn found(store: &Memory, query: &str, now: u64) -> Vec<u8> {
    let hits = find(store, &query.parse().unwrap(), Millis(now), None, 100).unwrap();
    hits.into_iter().map(|hit| hit.agent.0[0]).collect()
}

#[test]
fn find_sees_special_cases_and_nothing_that_only_looks_alike() {
    let store = Memory::default();
    let cards =
        [card(&["text"]), card(&["text/translate", "text/translate/fr"]), card(&["textile", "text.x"])];
    for (n, card) in (1..).zip(&cards) {
        add(&store, agent(n), None, Some(card));
        write(&store, |store, batch| serve(store, agent(n), node(1), LATER, batch));
    }
    assert_eq!(found(&store, "skill:text", 0), [1, 2]);
    assert_eq!(found(&store, "skill:=text", 0), [1]);
    assert_eq!(found(&store, "skill:text*", 0), [1, 2, 3]);
    assert_eq!(found(&store, "skill:text/*", 0), [2]);
    assert_eq!(found(&store, "NOT skill:text", 0), [3]);
    assert_eq!(found(&store, "skill:text/translate", 99), [2]);
    assert_eq!(found(&store, "skill:text/translate", 100), [0; 0]);
    add(&store, agent(2), Some(&cards[1]), Some(&cards[2]));
    assert_eq!(found(&store, "skill:text", 0), [1]);
    assert_eq!(found(&store, "skill:textile", 0), [2, 3]);
    for (n, card) in [(1, &cards[0]), (2, &cards[2]), (3, &cards[2])] {
        add(&store, agent(n), Some(card), None);
        write(&store, |store, batch| unserve(store, agent(n), node(1), batch));
    }
    assert!(store.is_empty(), "what went leaves nothing behind");
}

#[test]
fn only_who_is_served_now_is_found() {
    let store = Memory::default();
    let (one, text) = (agent(1), card(&["text"]));
    write(&store, |store, batch| serve(store, one, node(1), Millis(60), batch));
    assert_eq!(found(&store, "skill:text", 50), [0; 0], "a lease is no card");
    add(&store, one, None, Some(&text));
    assert_eq!(found(&store, "skill:text", 59), [1]);
    assert_eq!(found(&store, "skill:text", 60), [0; 0], "the lease is over");
    write(&store, |store, batch| serve(store, one, node(2), Millis(80), batch));
    write(&store, |store, batch| serve(store, one, node(1), Millis(70), batch));
    assert_eq!(found(&store, "skill:text", 79), [1], "the longest of its leases counts");
    write(&store, |store, batch| unserve(store, one, node(2), batch));
    assert_eq!(found(&store, "skill:text", 69), [1]);
    assert_eq!(found(&store, "skill:text", 70), [0; 0]);
    write(&store, |store, batch| unserve(store, one, node(1), batch));
    assert_eq!(found(&store, "skill:text", 1), [0; 0]);
}

#[test]
fn an_exclusion_that_looked_ahead_still_excludes() {
    let store = Memory::default();
    let tagged = |tag: &str| {
        let json = format!("{{\"name\":\"x\",\"skills\":[{{\"id\":\"a\",\"tags\":[\"{tag}\"]}}]}}");
        Card::new(json.into_bytes()).unwrap()
    };
    for (n, tag) in [(1, "none"), (2, "lang:fr"), (3, "lang:fr")] {
        add(&store, agent(n), None, Some(&tagged(tag)));
        write(&store, |store, batch| serve(store, agent(n), node(1), LATER, batch));
    }
    // Who is inside the parentheses is nobody; finding that out at agent 1 goes past agents 2 and 3.
    assert_eq!(found(&store, "NOT (NOT skill:a AND tag:lang:*)", 0), [1, 2, 3]);
    assert_eq!(found(&store, "NOT (NOT tag:none AND tag:lang:*)", 0), [1]);
}

#[test]
fn leases_of_one_agent_are_bounded_and_the_longest_stay() {
    let store = Memory::default();
    add(&store, agent(1), None, Some(&card(&["text"])));
    for n in 0..=u8::try_from(LEASES_MAX).unwrap() {
        let until = Millis(if n == 0 { 90 } else { 60 + u64::from(n) % 20 });
        write(&store, |store, batch| serve(store, agent(1), node(n), until, batch));
    }
    let row = store.get(Table::CardView, &[&[AGENT][..], &agent(1).0].concat()).unwrap().unwrap();
    assert_eq!(Entry::read(&row).leases.len(), LEASES_MAX);
    assert_eq!(found(&store, "skill:text", 89), [1]);
}

/// A few words of each kind, so that random cards and random queries meet.
fn cards() -> impl Strategy<Value = Card> {
    let skill = prop::sample::select(vec!["a", "a/b", "a/b/c", "a/bc", "ab", "b", "b/a"]);
    let tag = prop::sample::select(vec!["lang:fr", "lang:de", "Cheap", "a"]);
    let skills = prop::collection::vec((skill, prop::collection::vec(tag, 0..3)), 0..4);
    let name = prop::sample::select(vec!["Babel", "Bab el", "Abel"]);
    (skills, name, any::<bool>(), any::<bool>()).prop_map(|(skills, name, streams, speaks)| {
        let skills: Vec<String> =
            skills.iter().map(|(id, tags)| format!("{{\"id\":\"{id}\",\"tags\":{tags:?}}}")).collect();
        let modes = if speaks { "\"audio/wav\"" } else { "\"text/plain\",\"text/html\"" };
        let json = format!(
            "{{\"name\":\"{name}\",\"skills\":[{}],\"capabilities\":{{\"streaming\":{streams}}},\
             \"defaultInputModes\":[{modes}]}}",
            skills.join(",")
        );
        Card::new(json.into_bytes()).unwrap()
    })
}

fn queries() -> impl Strategy<Value = Query> {
    let leaf = prop::sample::select(vec![
        "skill:a",
        "skill:a/b",
        "skill:=a",
        "skill:=a/b",
        "skill:a/b*",
        "skill:a*",
        "skill:a/*",
        "skill:*",
        "skill:none",
        "lang:fr",
        "tag:cheap",
        "tag:a",
        "tag:lang:*",
        "tag:none",
        "name:babel",
        "name:\"bab*\"",
        "streaming:true",
        "streaming:false",
        "input:text/*",
        "input:audio/wav",
        "provider:*",
    ]);
    let text = leaf.prop_map(str::to_owned).prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" OR "))),
            inner.prop_map(|part| format!("NOT {part}")),
        ]
    });
    text.prop_map(|text| text.parse().unwrap())
}

/// Whether the plan leads to an agent with these terms, whichever of the keys that suffice is asked.
fn leads(plan: &Plan, terms: &BTreeSet<Term>) -> bool {
    match plan {
        Plan::Term(term) => terms.contains(term),
        Plan::AnyOf(plans) => plans.iter().all(|plan| leads(plan, terms)),
        Plan::AllOf(plans) => plans.iter().any(|plan| leads(plan, terms)),
        Plan::Unkeyed(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_and_the_plan_miss_nobody(
        cards in prop::collection::vec((cards(), any::<[u8; 2]>()), 0..60),
        changed in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(cards())), 0..20),
        query in queries(),
        limit in 1_usize..80,
        after in prop::option::of(any::<u8>()),
    ) {
        prop_assert_eq!(query.to_string().parse(), Ok(query.clone()));
        let store = Memory::default();
        // Many agents are alike in their first 15 bytes.
        let mut all: BTreeMap<AgentId, Option<Card>> = BTreeMap::new();
        for (card, [first, last]) in cards {
            let mut id = [first; 32];
            id[15] = last;
            let id = AgentId(id);
            let before = all.insert(id, Some(card.clone())).flatten();
            add(&store, id, before.as_ref(), Some(&card));
            write(&store, |store, batch| serve(store, id, node(1), LATER, batch));
        }
        let ids: Vec<AgentId> = all.keys().copied().collect();
        for (at, card) in changed.into_iter().filter(|_| !ids.is_empty()) {
            let id = *at.get(&ids);
            let before = all.insert(id, card.clone()).flatten();
            add(&store, id, before.as_ref(), card.as_ref());
        }
        let matching = all.iter().filter_map(|(id, card)| Some((*id, card.as_ref()?)));
        let matching = matching.filter(|(_, card)| query.matches(&card.facts()));
        let after = after.map(agent);
        let mut expected = Vec::new();
        for (id, card) in matching {
            prop_assert!(leads(&query.plan(), &card.terms()), "{} of {query}", query.plan());
            if after.is_none_or(|after| id > after) && expected.len() < limit {
                expected.push(id);
            }
        }
        let hits = find(&store, &query, NOW, after, limit).unwrap();
        prop_assert_eq!(hits.iter().map(|hit| hit.agent).collect::<Vec<_>>(), expected, "{}", query);
    }
}
