use std::collections::{BTreeSet, VecDeque};

use althing_record::AgentId;
use althing_route::Ticks;
use althing_trust::{CLOCK_ERROR_MS_MAX, TaskId};

/// Calls that are remembered; of more, the oldest are forgotten.
const CALLS_MAX: usize = 65_536;

/// How long a Call can be timely: from the earliest to the latest clock that takes it.
const TIMELY_MS: u64 = 2 * CLOCK_ERROR_MS_MAX;

/// The calls that were taken lately, so that none is taken twice.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Tasks first: they are random, and tell themselves apart by their first bytes.
    known: BTreeSet<(TaskId, AgentId)>,
    order: VecDeque<(Ticks, AgentId, TaskId)>,
}

impl Taken {
    /// Notes that a call is taken; false if it was taken before.
    pub(crate) fn note(&mut self, caller: AgentId, task: TaskId, now: Ticks) -> bool {
        while let Some((since, caller, task)) = self.order.front().copied() {
            if self.order.len() < CALLS_MAX && now.0.saturating_sub(since.0) <= TIMELY_MS {
                break;
            }
            self.order.pop_front();
            self.known.remove(&(task, caller));
        }
        let is_new = self.known.insert((task, caller));
        if is_new {
            self.order.push_back((now, caller, task));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: usize) -> TaskId {
        TaskId(u128::try_from(number).unwrap().to_be_bytes())
    }

    #[test]
    fn a_call_is_taken_once_while_it_is_timely() {
        let mut taken = Taken::default();
        let (one, other) = (AgentId([1; 32]), AgentId([2; 32]));
        assert!(taken.note(one, task(1), Ticks(5)));
        assert!(taken.note(one, task(2), Ticks(5)) && taken.note(other, task(1), Ticks(5)));
        assert!(!taken.note(one, task(1), Ticks(5)) && !taken.note(one, task(1), Ticks(5 + TIMELY_MS)));
        assert!(taken.note(one, task(1), Ticks(6 + TIMELY_MS)));
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten() {
        let mut taken = Taken::default();
        for number in 0..=CALLS_MAX {
            assert!(taken.note(AgentId([1; 32]), task(number), Ticks(0)));
        }
        assert_eq!((taken.known.len(), taken.order.len()), (CALLS_MAX, CALLS_MAX));
        assert!(!taken.note(AgentId([1; 32]), task(CALLS_MAX), Ticks(0)));
        assert!(taken.note(AgentId([1; 32]), task(0), Ticks(0)));
    }
}
