//! A node that answers from a script.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use althing_engine::{Answer, Ask, RecordPage, Refusal, RefusalKind};
use althing_gateway::api::{
    CallProof, Checkpoint, CheckpointFile, Compaction, CompactionState, RateRequest, Rated,
};
use althing_gateway::{Asked, Backend, Client, Config, Gateway, Running, StartError, StoreDesk};
use althing_record::{AgentId, Kind, Network, Record, VerifyError};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};

use crate::journal::Journal;
use crate::{samples, uncalled};

/// What the node does with an ask.
#[derive(Clone, Debug, Default)]
pub(crate) enum Script {
    /// Answers with the samples.
    #[default]
    Answer,
    /// Refuses everything.
    Refuse(RefusalKind),
    /// Says this to everything.
    Say(Answer),
    /// Takes the ask and never answers.
    Silent,
    /// Takes the ask and forgets it.
    Drop,
}

/// A gateway in front of a scripted node.
pub(crate) struct Node {
    pub(crate) home: TempDir,
    pub(crate) running: Running,
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) asks: Arc<Mutex<Vec<Ask>>>,
    pub(crate) missing: Arc<Mutex<Vec<String>>>,
    pub(crate) shutdown: Arc<Notify>,
    /// The journal that a script of [`Script::Answer`] reads events from.
    pub(crate) journal: Arc<Mutex<Journal>>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let home = private_dir();
        let mut config = Config::new(home.path());
        change(&mut config);
        let script = Arc::new(Mutex::new(Script::Answer));
        let asks = Arc::new(Mutex::new(Vec::new()));
        let missing = Arc::new(Mutex::new(Vec::new()));
        let shutdown = Arc::new(Notify::new());
        let (sender, receiver) = mpsc::channel(8);
        let journal = Arc::new(Mutex::new(Journal::new()));
        tokio::spawn(answer(receiver, Arc::clone(&script), Arc::clone(&asks), Arc::clone(&journal)));
        let mut backend = backend(sender);
        backend.shutdown = Arc::clone(&shutdown);
        backend.calls = uncalled::calls(&script);
        backend.store = Arc::new(Desk { script: Arc::clone(&script) });
        backend.journaled = journal.lock().unwrap().journaled.subscribe();
        let unready = Arc::clone(&missing);
        backend.ready = Arc::new(move || match unready.lock().unwrap().clone() {
            missing if missing.is_empty() => Ok(()),
            missing => Err(missing),
        });
        let running = Gateway::start(config, backend).await.unwrap();
        Self { home, running, script, asks, missing, shutdown, journal }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.home.path()).await.unwrap()
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.home.path().join("api.token")).unwrap().trim_end().to_owned()
    }

    pub(crate) fn play(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// The ask that reached the node last.
    pub(crate) fn last_ask(&self) -> Ask {
        self.asks.lock().unwrap().last().unwrap().clone()
    }
}

/// An empty directory that only this user can look into.
pub(crate) fn private_dir() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// A backend whose asks go to `asks`.
pub(crate) fn backend(asks: mpsc::Sender<Asked>) -> Backend {
    Backend {
        asks,
        peers: Arc::new(|| vec![samples::peer()]),
        reach: Arc::new(samples::reach),
        ping: Arc::new(|_, _| Box::pin(async { Ok((420, samples::path())) })),
        listen: Arc::new(|| vec!["/ip4/127.0.0.1/tcp/4001".into()]),
        metrics: Arc::new(|| "# EOF\n".into()),
        ready: Arc::new(|| Ok(())),
        health: Arc::new(|| vec![samples::protocol()]),
        store: Arc::new(Desk { script: Arc::default() }),
        calls: uncalled::calls(&Arc::default()),
        journaled: watch::channel(0).1,
        shutdown: Arc::new(Notify::new()),
    }
}

/// The name and the bytes of the one file that a scripted checkpoint has.
pub(crate) const FILE: (&str, &[u8]) = ("CURRENT", b"MANIFEST-000005\n");

/// A store that follows the script.
struct Desk {
    script: Arc<Mutex<Script>>,
}

impl Desk {
    fn refused(&self) -> Result<(), Refusal> {
        let Script::Refuse(kind) = *self.script.lock().unwrap() else { return Ok(()) };
        Err(Refusal { kind, cause: "the script refuses".into(), hint: None })
    }
}

impl StoreDesk for Desk {
    fn records(&self, _: Option<Kind>, _: &[u8]) -> Result<RecordPage, Refusal> {
        self.refused()?;
        Ok(RecordPage { records: Vec::new(), next: Some(b"next".to_vec()) })
    }

    fn receipts(&self, _: usize) -> Result<Vec<CallProof>, Refusal> {
        self.refused()?;
        Ok(vec![CallProof { task: "07".repeat(16), ..CallProof::default() }])
    }

    fn calls_to(&self, callee: AgentId, _: usize) -> Result<Vec<CallProof>, Refusal> {
        self.refused()?;
        let (callee, comment) = (callee.to_string(), Some("slow".to_owned()));
        Ok(vec![CallProof { callee, comment, published: Some(false), ..CallProof::default() }])
    }

    fn rate(&self, task: &str, wish: &RateRequest) -> Result<Rated, Refusal> {
        self.refused()?;
        let (schema, comment) = ("althing.rated/v1".to_owned(), wish.comment.clone());
        Ok(Rated { schema, task: task.to_owned(), quality: wish.quality, comment, ..Rated::default() })
    }

    fn verify(&self, bytes: &[u8]) -> Result<Record, VerifyError> {
        Record::verify(bytes, &Network::builtin())
    }

    fn checkpoint(&self) -> Result<Checkpoint, Refusal> {
        self.refused()?;
        Ok(Checkpoint::new(vec![CheckpointFile { name: FILE.0.into(), bytes: FILE.1.len() as u64 }]))
    }

    fn read_checkpoint(&self, file: &str, offset: u64, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
        self.refused()?;
        assert_eq!(file, FILE.0);
        Ok(FILE.1.iter().skip(usize::try_from(offset).unwrap()).take(bytes_max).copied().collect())
    }

    fn release_checkpoint(&self) -> Result<(), Refusal> {
        self.refused()
    }

    fn compact(&self) -> Result<Compaction, Refusal> {
        self.refused()?;
        Ok(Compaction::new(CompactionState::Running, [9, 9]))
    }

    fn compaction(&self) -> Result<Compaction, Refusal> {
        self.refused()?;
        Ok(Compaction::new(CompactionState::Done, [9, 4]))
    }
}

/// Starts a gateway that nobody will ask anything.
pub(crate) async fn start_idle(home: &Path) -> Result<Running, StartError> {
    let (sender, _) = mpsc::channel(1);
    Gateway::start(Config::new(home), backend(sender)).await
}

/// Short enough to wait for, long enough for what should not run into it.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

async fn answer(
    mut receiver: mpsc::Receiver<Asked>,
    script: Arc<Mutex<Script>>,
    asks: Arc<Mutex<Vec<Ask>>>,
    journal: Arc<Mutex<Journal>>,
) {
    let mut unanswered = Vec::new();
    while let Some((ask, reply)) = receiver.recv().await {
        let answer = match script.lock().unwrap().clone() {
            Script::Answer => samples::answer(&ask, &journal.lock().unwrap()),
            Script::Refuse(kind) => Answer::Refused(Refusal {
                kind,
                cause: "the script refuses".into(),
                hint: Some("change the script".into()),
            }),
            Script::Say(answer) => answer,
            Script::Silent => {
                unanswered.push(reply);
                continue;
            }
            Script::Drop => continue,
        };
        asks.lock().unwrap().push(ask);
        let _ = reply.send(answer);
    }
}
