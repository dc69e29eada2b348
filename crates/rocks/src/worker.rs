use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use althing_store::{Batch, CommitNo, Guard, MAX_PENDING, Op};
use tokio::sync::{Semaphore, watch};

use crate::database::Database;
use crate::fault::Fault;
use crate::guard_file::{self, GuardFiles};
use crate::reserve::Reserve;
use crate::{CommitFailure, Durable, GuardState};

/// Most batches of one group.
const GROUP_BATCHES_MAX: usize = 256;
/// Most bytes of one group, unless a single batch has more.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// How long the queue is empty before what was written unsynced is synced and the guard's commit number is renewed.
const SETTLE_AFTER: Duration = Duration::from_millis(50);
/// How often a full disk is looked at again.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long there is nothing to do at all.
const FOREVER: Duration = Duration::from_secs(86_400);

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) no: CommitNo,
    pub(crate) batch: Batch,
}

/// Whether commits are taken.
#[derive(Debug)]
enum Mode {
    Open,
    /// Commits wait for space, which is looked for now and then.
    Full,
    /// Nothing is ever written again.
    Stopped(CommitFailure),
}

/// What the committing thread owns.
pub(crate) struct Worker {
    database: Arc<Database>,
    reserve: Reserve,
    mode: Mode,
    /// The last commit in the database.
    written: CommitNo,
    /// The last commit that a crash of the machine cannot undo.
    synced: CommitNo,
    files: GuardFiles,
    /// The guard as it is on disk; none while it is not to be trusted, so that it is not renewed into looking sound.
    guard: Option<Guard>,
    /// Whether the records in the guard's `pending` are in the database as well.
    pending_written: bool,
    /// Taken from the queue, but left for the next group.
    carried: Option<Job>,
}

impl Worker {
    pub(crate) fn new(
        database: Arc<Database>,
        files: GuardFiles,
        state: &GuardState,
        reserve: Reserve,
        commit: CommitNo,
        has_space: bool,
    ) -> Self {
        let guard = match state {
            GuardState::Fresh => Some(Guard::default()),
            GuardState::Intact(guard) => Some(guard.clone()),
            GuardState::Missing | GuardState::Unreadable { .. } | GuardState::DatabaseBehind { .. } => None,
        };
        let mode = if has_space { Mode::Open } else { Mode::Full };
        Self {
            database,
            reserve,
            mode,
            written: commit,
            // Opening a database writes what it recovered into synced table files.
            synced: commit,
            files,
            guard,
            pending_written: false,
            carried: None,
        }
    }

    /// Commits until the other end of the queue is gone and the queue is empty.
    pub(crate) fn run(mut self, queue: &Receiver<Job>, room: &Semaphore, publish: &watch::Sender<Durable>) {
        publish.send_modify(|durable| durable.writable = matches!(self.mode, Mode::Open));
        loop {
            let first = match self.carried.take().map_or_else(|| queue.recv_timeout(self.patience()), Ok) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.idle(publish);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let group = self.gather(first, queue);
            self.take(&group, publish);
            room.add_permits(group.len());
        }
        if let Err(fault) = self.settle() {
            tracing::warn!(cause = ?fault, "last sync before closing failed");
        }
    }

    fn patience(&self) -> Duration {
        match self.mode {
            Mode::Full => PROBE_EVERY,
            Mode::Open if !self.is_settled() => SETTLE_AFTER,
            Mode::Open | Mode::Stopped(_) => FOREVER,
        }
    }

    /// Takes what is queued behind the first batch, as far as it fits into one group.
    fn gather(&mut self, first: Job, queue: &Receiver<Job>) -> Vec<Job> {
        let pending = |job: &Job| job.batch.guard().map_or(0, |guard| guard.pending.len());
        let (mut bytes, mut records) = (size(&first.batch), pending(&first));
        let mut group = vec![first];
        while group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(job) = queue.try_recv() else { break };
            bytes += size(&job.batch);
            records += pending(&job);
            if bytes > GROUP_BYTES_MAX || records > MAX_PENDING {
                self.carried = Some(job);
                break;
            }
            group.push(job);
        }
        group
    }

    /// Commits the batches that are next in number and reports the rest.
    fn take(&mut self, group: &[Job], publish: &watch::Sender<Durable>) {
        let mut rest = group;
        while let Some(first) = rest.first() {
            if let Some(cause) = refusal(first, self.written.next()) {
                // What was on its way when an earlier commit failed belongs to that failure.
                if publish.borrow().failed.is_none() {
                    self.fail(first.no, CommitFailure::Refused { cause }, publish);
                }
                rest = &rest[1..];
                continue;
            }
            let mut next = self.written;
            let fits = rest.iter().take_while(|job| {
                next = next.next();
                refusal(job, next).is_none()
            });
            let (good, after) = rest.split_at(fits.count());
            let last = CommitNo(self.written.0 + good.len() as u64);
            match self.commit(good, last) {
                Ok(()) => {
                    publish.send_modify(|durable| {
                        (durable.no, durable.failed, durable.writable) = (last, None, true);
                    });
                }
                Err(failure) => self.fail(first.no, failure, publish),
            }
            rest = after;
        }
    }

    fn fail(&self, no: CommitNo, failure: CommitFailure, publish: &watch::Sender<Durable>) {
        tracing::warn!(commit = no.0, cause = %failure, "commit failed");
        let writable = matches!(self.mode, Mode::Open);
        publish.send_modify(|durable| {
            (durable.no, durable.failed, durable.writable) = (self.written, Some((no, failure)), writable);
            durable.failures += 1;
        });
    }

    fn commit(&mut self, group: &[Job], last: CommitNo) -> Result<(), CommitFailure> {
        match &self.mode {
            Mode::Open => {}
            Mode::Full => self.probe().map_err(|fault| self.enter(fault))?,
            Mode::Stopped(failure) => return Err(failure.clone()),
        }
        self.write(group, last).map_err(|fault| self.enter(fault))
    }

    fn write(&mut self, group: &[Job], last: CommitNo) -> Result<(), Fault> {
        let bytes = group.iter().map(|job| size(&job.batch)).sum::<usize>();
        // Twice: each byte goes into the log now and into a table file later.
        self.reserve.admit(bytes.saturating_mul(2)).map_err(Fault::DiskFull)?;
        let guard = merge(group, self.synced);
        let counter = match &guard {
            Some(guard) => {
                self.files.write(guard)?;
                self.pending_written = false;
                self.guard = Some(guard.clone());
                Some(self.files.counter())
            }
            None => None,
        };
        let sync = group.iter().any(|job| job.batch.is_durable());
        self.database.commit(group.iter().map(|job| &job.batch), last, counter, sync)?;
        self.written = last;
        if sync {
            self.synced = last;
        }
        self.pending_written |= guard.is_some();
        Ok(())
    }

    /// Turns a fault into the mode that follows from it.
    fn enter(&mut self, fault: Fault) -> CommitFailure {
        let failure = match fault {
            Fault::DiskFull(cause) => {
                // RocksDB may need the space to finish what it has begun.
                self.reserve.release();
                self.mode = Mode::Full;
                return CommitFailure::DiskFull { cause };
            }
            Fault::Io(cause) => CommitFailure::Io { cause },
            Fault::Corrupt(cause) => CommitFailure::Corrupt { cause },
        };
        self.mode = Mode::Stopped(failure.clone());
        failure
    }

    fn idle(&mut self, publish: &watch::Sender<Durable>) {
        let full = matches!(self.mode, Mode::Full);
        match if full { self.probe() } else { self.settle() } {
            Ok(()) if full => {
                tracing::info!(commit = self.written.0, "space is back; commits are taken again");
                publish.send_modify(|durable| durable.writable = true);
            }
            Ok(()) => {}
            // Known already.
            Err(Fault::DiskFull(_)) if full => self.reserve.release(),
            Err(fault) => {
                let failure = self.enter(fault);
                match self.mode {
                    Mode::Stopped(_) => self.fail(self.written.next(), failure, publish),
                    // No commit failed yet: the next one may find space again.
                    Mode::Open | Mode::Full => publish.send_modify(|durable| durable.writable = false),
                }
            }
        }
    }

    /// Tries whether the disk takes writes again. RocksDB resumes by itself within seconds after space is back.
    fn probe(&mut self) -> Result<(), Fault> {
        self.reserve.restore().map_err(Fault::DiskFull)?;
        self.database.commit(std::iter::empty(), self.written, None, true)?;
        self.synced = self.written;
        self.mode = Mode::Open;
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.synced == self.written
            && self.guard.as_ref().is_none_or(|guard| guard.acknowledged == self.synced)
    }

    /// Syncs what was written unsynced, and tells the guard how far the database has come, so that losing even the last
    /// commit is seen at the next start.
    fn settle(&mut self) -> Result<(), Fault> {
        if self.is_settled() || !matches!(self.mode, Mode::Open) {
            return Ok(());
        }
        if self.synced < self.written {
            self.database.sync()?;
            self.synced = self.written;
        }
        if let Some(guard) = &mut self.guard {
            guard.acknowledged = self.synced;
            if self.pending_written {
                guard.pending.clear();
            }
            self.files.write(guard)?;
        }
        Ok(())
    }
}

/// Why a batch cannot be the next commit.
fn refusal(job: &Job, next: CommitNo) -> Option<String> {
    if job.no == next {
        job.batch.guard().and_then(guard_file::excess)
    } else {
        Some(format!("expected commit {}, found {}", next.0, job.no.0))
    }
}

/// The guard that precedes a group: the latest heads, and every record that the group newly signs.
fn merge(group: &[Job], synced: CommitNo) -> Option<Guard> {
    let guards = || group.iter().filter_map(|job| job.batch.guard());
    let heads = guards().next_back()?.heads.clone();
    let pending = guards().flat_map(|guard| guard.pending.iter().cloned()).collect();
    // The number that the core knows may be that of an unsynced commit, which a power cut can undo without any harm.
    Some(Guard { acknowledged: synced, heads, pending })
}

fn size(batch: &Batch) -> usize {
    let rows = batch.ops().iter().map(|op| match op {
        Op::Put { key, value, .. } => key.len() + value.len() + 16,
        Op::Delete { key, .. } => key.len() + 16,
    });
    rows.sum::<usize>() + batch.guard().map_or(0, guard_file::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(no: u64, pending: &[&[u8]]) -> Job {
        let mut batch = Batch::default();
        let head = althing_store::Head { chain: vec![1], seq: no, id: [0; 32] };
        let pending = pending.iter().map(|record| record.to_vec()).collect();
        batch.set_guard(Guard { acknowledged: CommitNo(99), heads: vec![head], pending });
        Job { no: CommitNo(no), batch }
    }

    #[test]
    fn a_group_has_the_latest_heads_and_all_pending_records() {
        let group =
            [job(1, &[b"a"]), Job { no: CommitNo(2), batch: Batch::default() }, job(3, &[b"b", b"c"])];
        let guard = merge(&group, CommitNo(7)).unwrap();
        assert_eq!(guard.acknowledged, CommitNo(7));
        assert_eq!(guard.heads[0].seq, 3);
        assert_eq!(guard.pending, [b"a", b"b", b"c"]);
        assert_eq!(merge(&group[1..2], CommitNo(7)), None);
    }

    #[test]
    fn only_the_next_number_is_taken() {
        assert_eq!(refusal(&job(4, &[]), CommitNo(4)), None);
        assert!(refusal(&job(5, &[]), CommitNo(4)).unwrap().contains("expected commit 4, found 5"));
        let many = vec![&b"r"[..]; MAX_PENDING + 1];
        assert!(refusal(&job(4, &many), CommitNo(4)).unwrap().contains("pending"));
    }

    #[test]
    fn a_failed_disk_stops_everything_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let options = crate::Options::default();
        let lock = Arc::new(crate::lock::Lock::take(dir.path()).unwrap());
        let database =
            Database::open(dir.path(), &options, crate::database::Access::Write, lock).map(Arc::new).unwrap();
        let (files, _) = GuardFiles::open(dir.path());
        let reserve = Reserve::new(dir.path(), &options);
        let mut worker = Worker::new(database, files, &GuardState::Fresh, reserve, CommitNo(0), true);
        let start = Durable { no: CommitNo(0), failed: None, failures: 0, writable: true };
        let (publish, durable) = watch::channel(start);
        worker.take(&[job(1, &[])], &publish);
        assert_eq!(durable.borrow().no, CommitNo(1));

        worker.enter(Fault::Io("fsync: Input/output error".to_owned()));
        for _ in 0..2 {
            worker.take(&[job(2, &[]), job(3, &[])], &publish);
            let state = durable.borrow().clone();
            assert!(matches!(state.failed, Some((CommitNo(2), CommitFailure::Io { .. }))), "{state:?}");
            assert!(!state.writable);
        }
        assert!(!worker.is_settled());
        worker.settle().unwrap();
        assert_eq!(worker.database.commit_no(), Ok(CommitNo(1)));
        assert_eq!(worker.files.counter(), 1, "no write after the fault");
    }
}
