use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use althing_gateway::{Client, ClientError, api};
use althing_record::cbor::Text;
use althing_record::{Genesis, Millis, Network};

use crate::dir::Dir;
use crate::ending::{Ended, end_all};
use crate::state::State;
use crate::{Look, NodeState, ProcessId, Signal, TestnetError, until};

/// Most nodes of one testnet: what one machine can hold.
pub(crate) const NODES_MAX: usize = 64;

/// How long a node may take to be ready and meshed.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long one request to a node may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The `althing` binary.
    pub program: PathBuf,
    /// Where homes and logs go: a directory that is new, empty or was a testnet's before.
    pub dir: PathBuf,
    /// How many nodes.
    pub nodes: usize,
}

/// A testnet that this process works on. Dropping it leaves its nodes running.
#[derive(Debug)]
pub struct Testnet {
    dir: Dir,
    network: Network,
    state: State,
    children: BTreeMap<usize, Child>,
    options: Vec<String>,
}

impl Testnet {
    /// Prepares the directory and a fresh network; starts nothing yet.
    ///
    /// # Errors
    /// When nodes of an earlier testnet run there, or the directory holds something else.
    pub fn create(plan: &Plan) -> Result<Self, TestnetError> {
        if plan.nodes == 0 || plan.nodes > NODES_MAX {
            return Err(TestnetError::Nodes { max: NODES_MAX, found: plan.nodes });
        }
        let program = fs::canonicalize(&plan.program).map_err(TestnetError::io("find", &plan.program))?;
        let dir = Dir::take(&plan.dir)?;
        if let Some(state) = State::load(&dir.state())?
            && let Some(first) = state.running().next()
        {
            return Err(TestnetError::AlreadyRunning {
                dir: dir.path().to_owned(),
                nodes: state.running().count(),
                pid: first.process.pid,
            });
        }
        dir.clear()?;
        dir.make_logs()?;
        let network = fresh_network()?;
        fs::write(dir.genesis(), network.to_bytes()).map_err(TestnetError::io("write", &dir.genesis()))?;
        let state = State::new(program, dir.genesis());
        state.save(&dir.state())?;
        let options = ["--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"];
        let options = options.map(Into::into).into();
        Ok(Self { dir, network, state, children: BTreeMap::new(), options })
    }

    /// Starts nodes from now on with these options of `althing up`, which say where they listen too; without this they
    /// listen on loopback, over TCP and QUIC.
    pub fn set_options<T: Into<String>>(&mut self, options: impl IntoIterator<Item = T>) {
        self.options = options.into_iter().map(Into::into).collect();
    }

    /// Starts nodes up to this number and waits until all are ready and each sees a peer.
    ///
    /// # Errors
    /// When a node ends, or does not get ready in time. Nodes that were started keep running.
    pub async fn launch(
        &mut self,
        nodes: usize,
        progress: &mut dyn FnMut(String),
    ) -> Result<(), TestnetError> {
        let start = Instant::now();
        let numbers: Vec<usize> = (self.state.nodes.len() + 1..=nodes).collect();
        for &number in &numbers {
            let join = self.join_addresses();
            self.spawn(number, join)?;
            // The first one's addresses are what the others join by.
            if number == 1 {
                self.wait_reachable(number).await?;
            }
        }
        for number in numbers {
            let status = self.wait_ready(number, nodes > 1).await?;
            progress(format!(
                "node {number} of {nodes}: ready, peers: {} ({:.1} s)",
                status.peers,
                start.elapsed().as_secs_f64()
            ));
        }
        Ok(())
    }

    /// Ends a node at once, as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self, number: usize) -> Result<(), TestnetError> {
        let node = self.node(number)?.clone();
        node.process.signal(Signal::Kill).map_err(TestnetError::io("kill", &node.home))?;
        until(
            Some(number),
            &format!("node {number} ends after SIGKILL"),
            Duration::from_secs(5),
            async || {
                // The first thread of a process can have ended while others still hold its files; a child can only be
                // waited for when all have.
                let child = self.children.get_mut(&number);
                let reaped = child.is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
                let gone = reaped && !node.process.is_alive();
                Ok(if gone { Look::Done(()) } else { Look::NotYet("it still runs".to_owned()) })
            },
        )
        .await?;
        self.reap(number);
        Ok(())
    }

    /// Starts a node again that has ended, with the same home, and waits until it is ready and sees a peer.
    ///
    /// # Errors
    /// When it ends, or does not get ready in time.
    pub async fn restart(&mut self, number: usize) -> Result<api::Status, TestnetError> {
        let join = self.node(number)?.join.clone();
        self.spawn(number, join)?;
        self.wait_ready(number, true).await
    }

    /// A client of a node.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn client(&self, number: usize) -> Result<Client, TestnetError> {
        let home = &self.node(number)?.home;
        let client = Client::connect(home).await.map_err(TestnetError::api(number))?;
        Ok(client.with_timeout(REQUEST_LIMIT))
    }

    /// The nodes, by number.
    #[must_use]
    pub fn nodes(&self) -> &[NodeState] {
        &self.state.nodes
    }

    /// One node.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn node(&self, number: usize) -> Result<&NodeState, TestnetError> {
        number
            .checked_sub(1)
            .and_then(|index| self.state.nodes.get(index))
            .ok_or_else(|| TestnetError::unexpected(None, format!("there is no node {number}")))
    }

    /// The network that the nodes are in.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The genesis file.
    #[must_use]
    pub fn genesis(&self) -> &Path {
        &self.state.genesis
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The binary that the nodes run.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.state.program
    }

    /// Ends every node: asked first, then told, then killed. What they stored stays.
    ///
    /// # Errors
    /// When a node cannot be ended.
    pub async fn stop(&mut self) -> Result<Vec<Ended>, TestnetError> {
        let ended = end_all(&self.state.nodes).await;
        let numbers: Vec<usize> = self.children.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.reap(number));
        let ended = ended?;
        fs::remove_file(self.dir.state()).map_err(TestnetError::io("remove", &self.dir.state()))?;
        Ok(ended)
    }

    /// Ends every node and removes everything but the logs.
    ///
    /// # Errors
    /// When a node cannot be ended, or a file not be removed.
    pub async fn clear(&mut self) -> Result<(), TestnetError> {
        self.stop().await?;
        self.dir.clear()
    }

    fn spawn(&mut self, number: usize, join: Vec<String>) -> Result<(), TestnetError> {
        let (home, log) = (self.dir.home(number), self.dir.log(number));
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(TestnetError::io("open", &log))?;
        let err = out.try_clone().map_err(TestnetError::io("open", &log))?;
        let mut command = Command::new(&self.state.program);
        command.arg("--home").arg(&home).arg("up");
        command.args(&self.options);
        command.args(["--api", "127.0.0.1:0", "--profile", "testnet"]);
        command.arg("--genesis").arg(&self.state.genesis);
        for address in &join {
            command.arg("--join").arg(address);
        }
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("ALTHING_")) {
            command.env_remove(name);
        }
        // A group of its own: Ctrl-C at the terminal reaches the command that started it, and that one stops the node.
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(TestnetError::io("start", &self.state.program))?;
        let process = ProcessId::of(child.id());
        self.children.insert(number, child);
        let Some(process) = process else { return Err(self.ended(number, &log)) };
        let node = NodeState {
            number,
            process,
            home,
            log,
            join,
            node: None,
            agents: Vec::new(),
            listen: Vec::new(),
            api: None,
        };
        match self.state.nodes.iter_mut().find(|other| other.number == number) {
            Some(entry) => *entry = node,
            None => self.state.nodes.push(node),
        }
        self.state.save(&self.dir.state())
    }

    /// The addresses of the first node.
    fn join_addresses(&self) -> Vec<String> {
        self.state.nodes.first().map(|node| node.listen.clone()).unwrap_or_default()
    }

    async fn wait_reachable(&mut self, number: usize) -> Result<api::Status, TestnetError> {
        self.wait_status(number, "listen", |status| {
            if status.listen.is_empty() { Err("it does not listen yet".to_owned()) } else { Ok(()) }
        })
        .await
    }

    async fn wait_ready(&mut self, number: usize, meshed: bool) -> Result<api::Status, TestnetError> {
        self.wait_status(number, "be ready and see a peer", |status| match status {
            status if !status.ready => Err(format!("it waits for {}", status.waiting_for.join(", "))),
            status if meshed && status.peers == 0 => Err("it sees no peer".to_owned()),
            _ => Ok(()),
        })
        .await
    }

    async fn wait_status(
        &mut self,
        number: usize,
        what: &str,
        fits: impl Fn(&api::Status) -> Result<(), String>,
    ) -> Result<api::Status, TestnetError> {
        let (home, log) = (self.dir.home(number), self.dir.log(number));
        let what = format!("node {number} to {what} (log: {})", log.display());
        let waited = until(Some(number), &what, READY_LIMIT, async || {
            if let Some(child) = self.children.get_mut(&number)
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(TestnetError::Ended { number, status, log: log.clone() });
            }
            match status_of(&home).await {
                Ok(status) => Ok(match fits(&status) {
                    Ok(()) => Look::Done(status),
                    Err(missing) => Look::NotYet(missing),
                }),
                // Its API comes up in steps: token, socket, answers.
                Err(error) => Ok(Look::NotYet(error.to_string())),
            }
        });
        let status = waited.await?;
        if let Some(node) = self.state.nodes.iter_mut().find(|node| node.number == number) {
            node.node = Some(status.node.clone());
            node.agents.clone_from(&status.agents);
            node.listen.clone_from(&status.listen);
            node.api = Some(status.api.clone());
        }
        self.state.save(&self.dir.state())?;
        Ok(status)
    }

    fn ended(&mut self, number: usize, log: &Path) -> TestnetError {
        match self.children.get_mut(&number).map(Child::wait) {
            Some(Ok(status)) => TestnetError::Ended { number, status, log: log.to_owned() },
            Some(Err(source)) => TestnetError::io("wait for", &self.state.program)(source),
            None => TestnetError::unexpected(number, "it is not a process of this command"),
        }
    }

    /// Collects the exit status of a child that has ended, so that no zombie stays.
    fn reap(&mut self, number: usize) {
        if let Some(mut child) = self.children.remove(&number)
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            self.children.insert(number, child);
        }
    }
}

/// What the node of this home says of itself.
pub(crate) async fn status_of(home: &Path) -> Result<api::Status, ClientError> {
    Client::connect(home).await?.with_timeout(REQUEST_LIMIT).status().await
}

fn fresh_network() -> Result<Network, TestnetError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = Text::try_from("testnet").unwrap_or_default();
    let created = Millis(u64::try_from(now.as_millis()).unwrap_or_default());
    Network::new(Genesis::plain(name, created))
        .map_err(|error| TestnetError::unexpected(None, format!("genesis of the testnet: {error}")))
}
