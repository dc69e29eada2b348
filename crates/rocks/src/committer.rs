use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use althing_store::{Batch, CommitNo};
use tokio::sync::{Semaphore, TryAcquireError, watch};

use crate::OpenError;
use crate::worker::{Job, Worker};

/// Why commits failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitFailure {
    /// There is no space. Reads go on, and commits do again as soon as there is.
    #[error("disk full: {cause}")]
    DiskFull {
        /// What was said.
        cause: String,
    },
    /// The disk failed. Nothing is committed any more until the directory is opened anew: after a failed sync nobody
    /// knows what of it is on disk, and a second one would only seem to succeed.
    #[error("disk failed: {cause}")]
    Io {
        /// What was said.
        cause: String,
    },
    /// The database is damaged. Nothing is committed any more.
    #[error("database damaged: {cause}")]
    Corrupt {
        /// What was said, with the file's name where RocksDB gave one.
        cause: String,
    },
    /// The batch breaks the rules of [`Committer::submit`]. The submitter's fault.
    #[error("batch refused: {cause}")]
    Refused {
        /// Which rule.
        cause: String,
    },
}

/// How far commits have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Every commit up to this number is in the database: synced, if one up to it asked for that.
    pub no: CommitNo,
    /// The first commit that failed since, and why. That one and all that were submitted after it are gone, and stay so
    /// until the submitter begins again at this same number; a success clears it.
    pub failed: Option<(CommitNo, CommitFailure)>,
    /// How many times a commit failed since the directory was opened, so that a watcher can tell a failure that it
    /// has seen from the same one happening again.
    pub failures: u64,
    /// Whether commits are taken now. After a full disk this turns true again when there is space.
    pub writable: bool,
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many batches are waiting as [`Options::queue_max`](crate::Options::queue_max) allows.
    #[error("commit queue is full")]
    Full,
    /// The committing thread has ended.
    #[error("committer has ended")]
    Ended,
}

/// Hands batches to the thread that commits them.
///
/// Batches that wait together are committed together: the vote guard first, if one of them carries it, then one write,
/// synced if one of them requires it. Dropping the committer commits what is queued, syncs it, and brings the guard's
/// commit number up to date; that blocks for as long as the disk takes.
pub struct Committer {
    jobs: Option<SyncSender<Job>>,
    room: Arc<Semaphore>,
    durable: watch::Receiver<Durable>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start(worker: Worker, commit: CommitNo, queue_max: usize) -> Result<Self, OpenError> {
        let queue_max = queue_max.max(1);
        let (jobs, queue) = sync_channel(queue_max);
        let room = Arc::new(Semaphore::new(queue_max));
        let (publish, durable) =
            watch::channel(Durable { no: commit, failed: None, failures: 0, writable: true });
        let freed = Arc::clone(&room);
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                // Also when the worker panics: whoever waits for room must hear that there will be none.
                let _closes = CloseOnDrop(Arc::clone(&freed));
                worker.run(&queue, &freed, &publish);
            })
            .map_err(|cause| OpenError::Internal {
                step: "starting the committer",
                cause: cause.to_string(),
            })?;
        Ok(Self { jobs: Some(jobs), room, durable, thread: Some(thread) })
    }

    /// Queues a batch; waits while the queue is full. Whether it was committed is told by [`Committer::durable`].
    ///
    /// Commits are numbered without gaps, from [`Opened::commit`](crate::Opened::commit) on. After a failure the
    /// submitter begins again at the failed number; batches with later numbers, built on what is not there, are dropped.
    ///
    /// # Errors
    /// When the committing thread has ended.
    pub async fn submit(&self, no: CommitNo, batch: Batch) -> Result<(), SubmitError> {
        let room = self.room.acquire().await.map_err(|_| SubmitError::Ended)?;
        room.forget();
        self.send(no, batch)
    }

    /// Queues a batch if there is room for it.
    ///
    /// # Errors
    /// When there is no room, or the committing thread has ended.
    pub fn try_submit(&self, no: CommitNo, batch: Batch) -> Result<(), SubmitError> {
        let room = self.room.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => SubmitError::Full,
            TryAcquireError::Closed => SubmitError::Ended,
        })?;
        room.forget();
        self.send(no, batch)
    }

    /// How far commits have come; changes are seen by every receiver, the newest state at least.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Commits what is queued and ends the thread; blocks for as long as the disk takes. Gives the last state.
    #[must_use]
    pub fn close(mut self) -> Durable {
        self.end();
        self.durable.borrow().clone()
    }

    // Never blocks: there are as many places in the channel as permits.
    fn send(&self, no: CommitNo, batch: Batch) -> Result<(), SubmitError> {
        let jobs = self.jobs.as_ref().ok_or(SubmitError::Ended)?;
        jobs.send(Job { no, batch }).map_err(|_| SubmitError::Ended)
    }

    fn end(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("committer panicked");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("durable", &*self.durable.borrow()).finish_non_exhaustive()
    }
}

struct CloseOnDrop(Arc<Semaphore>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
