use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_engine::{RecordPage, Refusal, RefusalKind, live_records};
use althing_gateway::StoreDesk;
use althing_gateway::api::{
    CallProof, Checkpoint, CheckpointFile, Compaction, CompactionState, RateRequest, Rated,
};
use althing_record::{AgentId, Kind, Network, Record, VerifyError};
use althing_rocks::{CompactError, FreezeError, Frozen, OpenError, Rocks};
use althing_store::ReadError;
use althing_tunnel::Identity;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::attest::Publishing;
use super::experience::Experience;
use super::{Clock, receipts};

/// How long a checkpoint is held that nobody reads.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The store of a running node, for what the local API does with it beside the engine: reading, copying, compacting.
/// It writes no rows.
#[derive(Clone)]
pub(super) struct Desk(Arc<Shared>);

struct Shared {
    network: Network,
    clock: Clock,
    runtime: Handle,
    /// The agent that calls from here.
    rater: Option<Identity>,
    publishing: Publishing,
    experience: Experience,
    /// None when the node is stopping.
    rocks: Mutex<Option<Rocks>>,
    held: Mutex<Option<Held>>,
    compaction: Mutex<Option<Compaction>>,
}

struct Held {
    frozen: Arc<Frozen>,
    used: Instant,
}

impl Desk {
    /// Must be called inside a runtime.
    pub(super) fn new(
        (rocks, network, clock): (Rocks, Network, Clock),
        rater: Option<Identity>,
        (publishing, experience): (Publishing, Experience),
    ) -> Self {
        Self(Arc::new(Shared {
            network,
            clock,
            runtime: Handle::current(),
            rater,
            publishing,
            experience,
            rocks: Mutex::new(Some(rocks)),
            held: Mutex::new(None),
            compaction: Mutex::new(None),
        }))
    }

    /// Lets the store go; ends what is under way. Call it when the last commit is written.
    pub(super) fn close(&self) {
        lock(&self.0.held).take();
        if let Some(rocks) = lock(&self.0.rocks).take() {
            rocks.stop_compacting();
        }
    }

    fn rocks(&self) -> Result<Rocks, Refusal> {
        lock(&self.0.rocks)
            .clone()
            .ok_or_else(|| refusal(RefusalKind::NotReady, "the node is stopping".to_owned(), None))
    }

    /// Lets a checkpoint go that nobody reads.
    async fn watch(self) {
        loop {
            let Some(used) = lock(&self.0.held).as_ref().map(|held| held.used) else { return };
            let until = used + IDLE_MAX;
            if until <= Instant::now() {
                tracing::info!("nobody reads the checkpoint of the store; it is let go");
                lock(&self.0.held).take();
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn run_compaction(&self, rocks: &Rocks) {
        let update = |change: &dyn Fn(&mut Compaction)| {
            if let Some(compaction) = lock(&self.0.compaction).as_mut() {
                change(compaction);
            }
        };
        let done =
            rocks.compact(|table| update(&|compaction| compaction.table = Some(table.name().to_owned())));
        update(&|compaction| {
            compaction.table = None;
            compaction.state = if done.is_ok() { CompactionState::Done } else { CompactionState::Failed };
            if let Ok([before, after]) = &done {
                (compaction.bytes_before, compaction.bytes_after) = (*before, *after);
            }
            if let Err(error) = &done {
                compaction.cause = Some(error.to_string());
                compaction.hint = match error {
                    CompactError::Space(_) => Some("free some space on this disk and try again".to_owned()),
                    CompactError::Disk(error) => error.hint(),
                };
            }
        });
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Desk").field(&lock(&self.0.rocks)).finish()
    }
}

/// The size of the store, asked at each scrape. A node that is stopping tells none.
impl Collector for Desk {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(rocks) = self.rocks() else { return Ok(()) };
        for (name, help, bytes) in [
            ("althing_store_files", "Size of the database's table files", rocks.size()),
            ("althing_store_memory", "Memory that the database holds", rocks.memory()),
        ] {
            let Ok(bytes) = bytes else { continue };
            #[expect(clippy::cast_precision_loss, reason = "a size, for a graph")]
            let metric = ConstGauge::new(bytes as f64);
            let encoder = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), metric.metric_type())?;
            metric.encode(encoder)?;
        }
        Ok(())
    }
}

impl StoreDesk for Desk {
    fn records(&self, kind: Option<Kind>, from: &[u8]) -> Result<RecordPage, Refusal> {
        let now = self.0.clock.now().wall;
        live_records(&self.rocks()?, &self.0.network, kind, from, now).map_err(unreadable)
    }

    fn receipts(&self, limit: usize) -> Result<Vec<CallProof>, Refusal> {
        receipts::newest(&self.rocks()?, &self.0.network, limit).map_err(unreadable)
    }

    fn calls_to(&self, callee: AgentId, limit: usize) -> Result<Vec<CallProof>, Refusal> {
        let Some(rater) = &self.0.rater else { return Ok(Vec::new()) };
        let between = (rater.agent, callee);
        receipts::newest_to(&self.rocks()?, &self.0.network, between, limit).map_err(unreadable)
    }

    fn rate(&self, task: &str, wish: &RateRequest) -> Result<Rated, Refusal> {
        let task =
            task.parse().map_err(|error| refusal(RefusalKind::Invalid, format!("task: {error}"), None))?;
        let Some(rater) = &self.0.rater else {
            return Err(refusal(RefusalKind::NotFound, "no agent calls from this node".to_owned(), None));
        };
        let _held = self.0.publishing.blocking_lock();
        let now = self.0.clock.now().wall;
        let rater = (rater, &self.0.experience);
        receipts::rate(&self.rocks()?, &self.0.network, rater, (task, wish), now)
    }

    fn verify(&self, bytes: &[u8]) -> Result<Record, VerifyError> {
        Record::verify(bytes, &self.0.network)
    }

    fn checkpoint(&self) -> Result<Checkpoint, Refusal> {
        let frozen = self.rocks()?.freeze().map_err(|error| match error {
            FreezeError::Open(OpenError::Locked { .. }) => refusal(
                RefusalKind::Conflict,
                "another snapshot of this store is being made".to_owned(),
                Some("wait until it is done; one that was given up is let go after a minute".to_owned()),
            ),
            FreezeError::Space(error) => refusal(
                RefusalKind::Internal,
                error.to_string(),
                Some("free some space on this disk and try again".to_owned()),
            ),
            FreezeError::Open(error) => refusal(RefusalKind::Internal, error.to_string(), error.hint()),
            error @ (FreezeError::NoDatabase(_) | FreezeError::File { .. }) => {
                refusal(RefusalKind::Internal, error.to_string(), None)
            }
        })?;
        let files = frozen.files().iter();
        let files = files.map(|file| CheckpointFile { name: file.name.clone(), bytes: file.bytes }).collect();
        *lock(&self.0.held) = Some(Held { frozen: Arc::new(frozen), used: Instant::now() });
        self.0.runtime.spawn(self.clone().watch());
        Ok(Checkpoint::new(files))
    }

    fn read_checkpoint(&self, file: &str, offset: u64, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
        let frozen = match lock(&self.0.held).as_mut() {
            Some(held) => {
                held.used = Instant::now();
                held.frozen.clone()
            }
            None => {
                let hint = Some("take the snapshot again".to_owned());
                return Err(refusal(RefusalKind::NotFound, "no checkpoint is held".to_owned(), hint));
            }
        };
        frozen.read(file, offset, bytes_max).map_err(|error| {
            let is_unknown = error.kind() == std::io::ErrorKind::NotFound;
            let kind = if is_unknown { RefusalKind::NotFound } else { RefusalKind::Internal };
            refusal(kind, format!("{file}: {error}"), None)
        })
    }

    fn release_checkpoint(&self) -> Result<(), Refusal> {
        lock(&self.0.held).take();
        Ok(())
    }

    fn compact(&self) -> Result<Compaction, Refusal> {
        let rocks = self.rocks()?;
        let before = rocks.size().map_err(unreadable)?;
        let mut current = lock(&self.0.compaction);
        if let Some(running) = current.as_ref().filter(|job| job.state == CompactionState::Running) {
            return Ok(running.clone());
        }
        let begun = Compaction::new(CompactionState::Running, [before, before]);
        *current = Some(begun.clone());
        let desk = self.clone();
        self.0.runtime.spawn_blocking(move || desk.run_compaction(&rocks));
        Ok(begun)
    }

    fn compaction(&self) -> Result<Compaction, Refusal> {
        if let Some(compaction) = lock(&self.0.compaction).clone() {
            return Ok(compaction);
        }
        let bytes = self.rocks()?.size().map_err(unreadable)?;
        Ok(Compaction::new(CompactionState::None, [bytes, bytes]))
    }
}

/// Nothing in here leaves a value half changed, so a panic elsewhere spoils none.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(kind: RefusalKind, cause: String, hint: Option<String>) -> Refusal {
    Refusal { kind, cause, hint }
}

fn unreadable(error: ReadError) -> Refusal {
    let hint = "stop the node and run `althing store check`: it names the damaged file".to_owned();
    refusal(RefusalKind::Internal, format!("store: {error}"), Some(hint))
}
