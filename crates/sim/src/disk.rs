use std::collections::VecDeque;

use althing_engine::GuardStatus;
use althing_store::{Batch, CommitNo, Guard, MAX_PENDING, Memory, Snapshot, Table, prefix_end};

/// A data directory: a database, what of it a power failure would leave, the vote guard, and batches on their way.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    database: Memory,
    /// The database as it was after the last synced commit.
    synced: Memory,
    unsynced: Vec<Batch>,
    written: CommitNo,
    written_synced: CommitNo,
    guard: Guard,
    queue: VecDeque<(CommitNo, Batch)>,
}

/// How far a commit comes before the node crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    GuardOnly,
    All,
}

impl Disk {
    pub(crate) fn database(&self) -> Memory {
        self.database.clone()
    }

    pub(crate) fn written(&self) -> CommitNo {
        self.written
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// What a start finds, as the shell tells the engine.
    pub(crate) fn guard(&self) -> GuardStatus {
        if self.guard.acknowledged > self.written {
            return GuardStatus::Stopped("the database is behind its guard".into());
        }
        GuardStatus::Ready(self.guard.clone())
    }

    pub(crate) fn submit(&mut self, no: CommitNo, batch: Batch) {
        let pending = batch.guard().map_or(0, |guard| guard.pending.len());
        assert!(pending <= MAX_PENDING, "a vote guard with {pending} records would stop a real node");
        self.queue.push_back((no, batch));
    }

    /// Whether one of the next `count` batches carries the guard.
    pub(crate) fn guards_next(&self, count: usize) -> bool {
        self.queue.iter().take(count).any(|(_, batch)| batch.guard().is_some())
    }

    /// Commits up to `count` queued batches as one group: the guard first, merged over the group, then the rows.
    pub(crate) fn commit(&mut self, count: usize, reach: Reach) -> CommitNo {
        let group: Vec<_> = self.queue.drain(..count.min(self.queue.len())).collect();
        let mut guards = group.iter().filter_map(|(_, batch)| batch.guard());
        let pending: Vec<_> = guards.clone().flat_map(|guard| guard.pending.clone()).collect();
        if let Some(last) = guards.next_back() {
            self.guard = Guard { acknowledged: self.written_synced, heads: last.heads.clone(), pending };
        }
        if reach == Reach::GuardOnly {
            return self.written;
        }
        let is_synced = group.iter().any(|(_, batch)| batch.is_durable());
        for (no, batch) in group {
            self.database.apply(&batch);
            self.unsynced.push(batch);
            self.written = no;
        }
        if is_synced {
            self.unsynced.drain(..).for_each(|batch| self.synced.apply(&batch));
            self.written_synced = self.written;
        }
        self.written
    }

    /// The process ends: what was on its way is gone.
    pub(crate) fn crash(&mut self) {
        self.queue.clear();
    }

    /// The machine ends: what was not synced is gone too.
    pub(crate) fn lose_power(&mut self) {
        self.crash();
        self.unsynced.clear();
        self.database = copy(&self.synced);
        self.written = self.written_synced;
    }

    /// A data directory that is restored from this one's database: no vote guard comes along.
    pub(crate) fn restored(&self) -> Self {
        let mut disk = self.copy();
        let rows = althing_engine::restored(disk.written);
        disk.database.apply(&rows);
        disk.synced.apply(&rows);
        disk.guard = Guard { acknowledged: disk.written, ..Guard::default() };
        disk
    }

    /// A copy of the directory, as a backup takes it while nothing is on its way.
    pub(crate) fn copy(&self) -> Self {
        Self {
            database: copy(&self.database),
            synced: copy(&self.database),
            unsynced: Vec::new(),
            written: self.written,
            written_synced: self.written,
            guard: self.guard.clone(),
            queue: VecDeque::new(),
        }
    }
}

fn copy(from: &Memory) -> Memory {
    let to = Memory::default();
    for table in Table::ALL {
        let (mut start, end) = (Vec::new(), prefix_end(&[]));
        loop {
            let rows = from.scan(table, &start, &end, 4_096).unwrap_or_default();
            let Some((last, _)) = rows.last() else { break };
            start = [last, &[0][..]].concat();
            let mut batch = Batch::default();
            rows.into_iter().for_each(|(key, value)| batch.put(table, key, value));
            to.apply(&batch);
        }
    }
    to
}
