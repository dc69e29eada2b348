use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use a2a::{A2AError, ListTasksRequest, ListTasksResponse, TaskState};

use crate::caller::Caller;
use crate::fault::{Busy, invalid};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX, PAGE_WEIGHT_MAX};
use crate::task_log::TaskLog;

/// The tasks of an agent, in memory.
#[derive(Debug)]
pub(crate) struct Tasks {
    kept: Mutex<Kept>,
    tasks_max: usize,
    weight_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    all: BTreeMap<String, Arc<TaskLog>>,
    /// Those that have ended and their weights, the first to end first.
    ended: VecDeque<(String, usize)>,
    /// What those weigh together.
    weight: usize,
}

impl Tasks {
    pub(crate) fn new(tasks_max: usize, weight_max: usize) -> Self {
        Self { kept: Mutex::default(), tasks_max, weight_max }
    }

    /// Keeps a task. Where there is no room, the one that ended first goes.
    pub(crate) fn add(&self, log: TaskLog) -> Result<Arc<TaskLog>, Busy> {
        let mut kept = self.kept();
        if kept.all.len() >= self.tasks_max && !kept.forget_one() {
            return Err(Busy { limit: self.tasks_max });
        }
        let log = Arc::new(log);
        kept.all.insert(log.id().to_owned(), Arc::clone(&log));
        Ok(log)
    }

    /// From now on this task may make room for others.
    pub(crate) fn ended(&self, log: &TaskLog) {
        let weight = log.weight();
        let mut kept = self.kept();
        kept.ended.push_back((log.id().to_owned(), weight));
        kept.weight += weight;
        while kept.weight > self.weight_max && kept.ended.len() > 1 {
            kept.forget_one();
        }
    }

    /// A task of this caller.
    pub(crate) fn of(&self, caller: &Caller, id: &str) -> Result<Arc<TaskLog>, A2AError> {
        let found = self.kept().all.get(id).filter(|log| log.caller() == caller).cloned();
        found.ok_or_else(|| A2AError::task_not_found(&id.chars().take(100).collect::<String>()))
    }

    /// Asks whoever works on a task to stop.
    pub(crate) fn cancel_all(&self) {
        self.kept().all.values().for_each(|log| log.cancel());
    }

    /// A page of the tasks of this caller, those whose state changed last first.
    pub(crate) fn page(
        &self,
        caller: &Caller,
        asked: &ListTasksRequest,
        with_history: bool,
    ) -> Result<ListTasksResponse, A2AError> {
        let page_size = match asked.page_size {
            None => PAGE_DEFAULT,
            Some(size) => {
                let size = usize::try_from(size).ok().filter(|size| (1..=PAGE_MAX).contains(size));
                size.ok_or_else(|| invalid("pageSize", format!("must be 1 to {PAGE_MAX}")))?
            }
        };
        let token = asked.page_token.as_deref().filter(|token| !token.is_empty());
        let after = token.map(Place::parse).transpose()?;
        let own: Vec<_> = self.kept().all.values().filter(|log| log.caller() == caller).cloned().collect();
        let mut fitting: Vec<_> =
            own.into_iter().filter_map(|log| Some((Place::of(&log, asked)?, log))).collect();
        fitting.sort_by(|(one, _), (other, _)| other.cmp(one));
        let total = fitting.len();
        let further = |place: &Place| after.as_ref().is_none_or(|after| place < after);
        let mut rest = fitting.into_iter().filter(|(place, _)| further(place)).peekable();
        let (mut tasks, mut weight, mut last) = (Vec::new(), 0, None);
        while tasks.len() < page_size
            && weight < PAGE_WEIGHT_MAX
            && let Some((place, log)) = rest.next()
        {
            let mut task = log.task(with_history);
            task.artifacts = task.artifacts.filter(|_| asked.include_artifacts == Some(true));
            weight += log.weight();
            tasks.push(task);
            last = Some(place);
        }
        let next = last.filter(|_| rest.peek().is_some());
        Ok(ListTasksResponse {
            tasks,
            next_page_token: next.map_or_else(String::new, |place| place.to_string()),
            page_size: count(page_size),
            total_size: count(total),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Forgets the task that ended first. Whoever reads it goes on reading.
    fn forget_one(&mut self) -> bool {
        let Some((id, weight)) = self.ended.pop_front() else { return false };
        self.all.remove(&id);
        self.weight -= weight;
        true
    }
}

/// A task's place in lists: when its state changed last, in milliseconds since 1970, and its id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(i64, String);

impl Place {
    /// The place of a task that fits what is asked for.
    fn of(log: &TaskLog, asked: &ListTasksRequest) -> Option<Self> {
        let status = log.status();
        let changed = status.timestamp?;
        let state = asked.status.as_ref().filter(|state| **state != TaskState::Unspecified);
        let context = asked.context_id.as_deref().filter(|context| !context.is_empty());
        let fits = state.is_none_or(|state| *state == status.state)
            && context.is_none_or(|context| context == log.context())
            && asked.status_timestamp_after.is_none_or(|after| changed >= after);
        fits.then(|| Self(changed.timestamp_millis(), log.id().to_owned()))
    }

    fn parse(token: &str) -> Result<Self, A2AError> {
        let place = token.split_once('.').and_then(|(ms, id)| Some(Self(ms.parse().ok()?, id.to_owned())));
        place.ok_or_else(|| invalid("pageToken", "is none that was given out here"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

fn count(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
