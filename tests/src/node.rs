use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::{Run, althing, poll, run};

/// How long a node may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A running node on loopback. It is killed when dropped.
#[derive(Debug)]
pub struct Node {
    home: PathBuf,
    child: Child,
    up: Value,
}

impl Node {
    /// Starts a node with kernel-chosen ports and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn up(home: &Path, more: &[&str]) -> Self {
        let mut words: Vec<OsString> = vec!["--json".into(), "--home".into(), home.into(), "up".into()];
        words.extend(
            ["--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"].map(Into::into),
        );
        words.extend(["--profile", "testnet", "--api", "127.0.0.1:0"].map(Into::into));
        words.extend(more.iter().map(Into::into));
        Self::start(home, althing(&words))
    }

    /// Starts a node by a command that ends in `--json --home HOME up …`, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(home: &Path, mut command: Command) -> Self {
        let log = home.with_extension("log");
        let err = File::options().create(true).append(true).open(&log).expect("a log can be opened");
        let mut child = command.stdout(Stdio::piped()).stderr(err).spawn().expect("the binary starts");
        let out = child.stdout.take().expect("standard output is a pipe");
        let mut node = Self { home: home.to_owned(), child, up: Value::Null };
        node.up = first_document(out).unwrap_or_else(|| {
            let status = node.child.try_wait();
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("the node in {} does not get ready ({status:?}): {said}", home.display())
        });
        assert_eq!(node.up["schema"], "althing.up/v1", "{}", node.up);
        node
    }

    /// A node that joins by another and sees a peer.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn join(home: &Path, other: &Self) -> Self {
        let node = Self::up(home, &["--join", &other.address()]);
        poll("the node sees a peer", || (node.status()["peers"].as_u64()? > 0).then_some(()));
        node
    }

    /// Runs a command on this node.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Run {
        let mut all: Vec<OsString> = vec!["--home".into(), self.home.clone().into()];
        all.extend(words.iter().map(Into::into));
        run(&all)
    }

    /// What a command on this node answers as JSON, in a document of this schema.
    #[must_use]
    pub fn ask(&self, schema: &str, words: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(words);
        self.run(&all).expect(0).json(schema)
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> Value {
        self.ask("althing.status/v1", &["status"])
    }

    /// What `up` printed.
    #[must_use]
    pub fn up_document(&self) -> &Value {
        &self.up
    }

    /// Its default agent.
    #[must_use]
    pub fn agent(&self) -> String {
        text(&self.up["agent"])
    }

    /// An address to join by.
    #[must_use]
    pub fn address(&self) -> String {
        text(&self.up["listen"][0])
    }

    /// The address of its API, without the scheme.
    #[must_use]
    pub fn api(&self) -> String {
        let url = text(&self.up["api"]);
        url.split_once("://").expect("a URL").1.to_owned()
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged in its home, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("node.log")).unwrap_or_default()
    }

    /// Kills it with SIGKILL.
    pub fn kill(self) {}

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn ended(mut self) -> ExitStatus {
        poll("the node ends", || self.child.try_wait().ok().flatten())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first JSON document of a stream; `None` if it ends or takes too long. The rest is read and dropped, so that the
/// writer never blocks.
fn first_document(mut out: impl Read + Send + 'static) -> Option<Value> {
    let (send, receive) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut documents = serde_json::Deserializer::from_reader(&mut out).into_iter::<Value>();
        if let Some(Ok(document)) = documents.next() {
            // The receiver may have given up.
            let _ = send.send(document);
        }
        drop(documents);
        let _ = std::io::copy(&mut out, &mut std::io::sink());
    });
    receive.recv_timeout(READY_LIMIT).ok()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
