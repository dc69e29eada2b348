use althing_record::{AgentId, Millis};
use althing_store::{Batch, ReadError, Snapshot, Table, prefix_end};

use crate::{Card, SkillPath};

/// An agent that the local index knows to have a skill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The agent.
    pub agent: AgentId,
    /// When its card stops counting here.
    pub deadline: Millis,
}

/// Rows are skill ‖ 0x00 ‖ agent → deadline. A path has no zero byte, so a skill's own rows and those of its special
/// cases are two ranges.
fn row(skill: &SkillPath, agent: AgentId) -> Vec<u8> {
    [skill.as_str().as_bytes(), &[0], &agent.0].concat()
}

/// Adds a card to the index.
pub fn index(agent: AgentId, card: &Card, deadline: Millis, batch: &mut Batch) {
    for skill in card.skills() {
        batch.put(Table::CardView, row(skill, agent), deadline.0.to_be_bytes());
    }
}

/// Takes a card out of the index.
pub fn unindex(agent: AgentId, card: &Card, batch: &mut Batch) {
    for skill in card.skills() {
        batch.delete(Table::CardView, row(skill, agent));
    }
}

/// The agents that have `wanted` or a special case of it and whose cards still count at `now`, ascending, at most
/// `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn find(
    store: &impl Snapshot,
    wanted: &SkillPath,
    now: Millis,
    limit: usize,
) -> Result<Vec<Hit>, ReadError> {
    let mut hits = std::collections::BTreeMap::new();
    for separator in [0x00, b'/'] {
        let prefix = [wanted.as_str().as_bytes(), &[separator]].concat();
        let (mut from, to) = (prefix.clone(), prefix_end(&prefix));
        // One agent may have many special cases of a skill, so pages are read until enough agents are found.
        while hits.len() < limit {
            let rows = store.scan(Table::CardView, &from, &to, 1_024)?;
            let Some((last, _)) = rows.last() else { break };
            from = [last, &[0][..]].concat();
            for (key, value) in &rows {
                let agent = key.len().checked_sub(32).and_then(|at| AgentId::try_from(&key[at..]).ok());
                let deadline = value.as_slice().try_into().map(|bytes| Millis(u64::from_be_bytes(bytes)));
                if let (Some(agent), Ok(deadline)) = (agent, deadline)
                    && deadline > now
                {
                    hits.insert(agent, Hit { agent, deadline });
                }
            }
        }
    }
    Ok(hits.into_values().take(limit).collect())
}

#[cfg(test)]
mod tests {
    use althing_store::Memory;

    use super::*;

    fn card(skills: &[&str]) -> Card {
        let skills: Vec<_> = skills.iter().map(|id| format!("{{\"id\":\"{id}\"}}")).collect();
        Card::new(format!("{{\"name\":\"x\",\"skills\":[{}]}}", skills.join(",")).into_bytes()).unwrap()
    }

    #[test]
    fn find_sees_special_cases_and_nothing_that_only_looks_alike() {
        let store = Memory::default();
        let mut batch = Batch::default();
        let cards =
            [card(&["text"]), card(&["text/translate", "text/translate/fr"]), card(&["textile", "text.x"])];
        for (n, card) in (1..).zip(&cards) {
            index(AgentId([n; 32]), card, Millis(100), &mut batch);
        }
        store.apply(&batch);
        let agents = |skill: &str, now| {
            let hits = find(&store, &skill.parse().unwrap(), Millis(now), 10).unwrap();
            hits.into_iter().map(|hit| hit.agent.0[0]).collect::<Vec<_>>()
        };
        assert_eq!(agents("text", 0), [1, 2]);
        assert_eq!(agents("text/translate", 99), [2]);
        assert_eq!(agents("text/translate", 100), [0; 0]);
        assert_eq!(agents("textile", 0), [3]);
        let mut batch = Batch::default();
        unindex(AgentId([2; 32]), &cards[1], &mut batch);
        store.apply(&batch);
        assert_eq!(agents("text", 0), [1]);
    }
}
