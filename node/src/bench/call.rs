//! Calls through two nodes beside calls to the agent itself: what the mesh adds.

pub(crate) mod origin;
mod process;
mod way;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use althing_gateway::api::ExposeRequest;
use althing_testnet::Testnet;
use futures::stream::{FuturesUnordered, TryStreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use self::process::{busy, forget_peak, peak};
use self::way::{Events, Line, Way};
use super::figure::Runs;
use super::lab::Lab;
use super::node::{SETTLE, resident};
use super::{BenchError, Benchmark, Figure, ms};

/// Calls of one run, one at a time, each way.
const CALLS: usize = 3_000;
/// Calls that are nobody's figure: connections are made, caches filled.
const WARM_UP: usize = 300;
/// Clients at once where rates are measured, and for how long.
const CLIENTS: usize = 64;
const RATE_FOR: Duration = Duration::from_secs(4);
/// Streams that are begun at once.
const BEGINNING: usize = 64;
/// How long the agent may take to be found.
const FOUND_LIMIT: Duration = Duration::from_secs(30);
/// How long an event may take to be everywhere.
const EVENT_LIMIT: Duration = Duration::from_secs(60);

/// Two nodes on loopback TCP; an agent is exposed at one and called through the other's door.
pub(crate) async fn call(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    raise_files();
    let mut runs = Runs::new(Benchmark::Call);
    for run in 1..=lab.runs {
        let agent = Agent::start(&lab.program).await?;
        let of = format!("call: run {run} of {}", lab.runs);
        let places = (lab.streams + CLIENTS + 16).to_string();
        // The agent's node opens a file for each call, the other one for each client.
        let options = [
            vec!["--calls-per-peer".to_owned(), places.clone()],
            vec!["--api-connections".to_owned(), places.clone()],
        ];
        let testnet = lab.network_over_tcp(&format!("call-{run}"), &options).await?;
        lab.on(testnet, async |testnet| {
            let mut pair = Pair::meet(testnet, &agent, places.parse().ok()).await?;
            say(format!("{of}, {CALLS} calls one at a time, each way"));
            pair.times(&mut runs).await?;
            say(format!("{of}, {CLIENTS} clients at once"));
            pair.rates(&mut runs).await?;
            say(format!("{of}, bodies of {} MiB", lab.mib));
            pair.bodies(&mut runs, lab.mib).await?;
            say(format!("{of}, {} streams of events", lab.streams));
            pair.streams(&mut runs, lab.streams).await
        })
        .await?;
    }
    Ok(runs.figures())
}

/// Lets this process and those that it starts have as many open files as the system allows.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it fails there may still be enough; where not, opening one says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The agent: a process of its own, which ends with this one.
struct Agent {
    child: Child,
    address: SocketAddr,
}

impl Agent {
    async fn start(program: &Path) -> Result<Self, BenchError> {
        let mut child = Command::new(program)
            .arg("bench-agent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::unexpected(&error))?;
        let out = child.stdout.take().ok_or_else(|| BenchError::unexpected(&"the agent has no output"))?;
        let line = BufReader::new(out).lines().next_line().await;
        let line = line.map_err(|error| BenchError::unexpected(&error))?.unwrap_or_default();
        let address =
            line.parse().map_err(|_| BenchError::unexpected(&"the agent does not say where it is"))?;
        Ok(Self { child, address })
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }
}

/// The two nodes and the agent, and both ways to it.
struct Pair {
    direct: Way,
    mesh: Way,
    /// This process, the door's node, the agent's node, the agent.
    processes: [(&'static str, u32); 4],
}

impl Pair {
    async fn meet(testnet: &Testnet, agent: &Agent, places: Option<u32>) -> Result<Self, BenchError> {
        let wish = ExposeRequest {
            url: Some(format!("http://{}", agent.address)),
            concurrency: places,
            no_probe: true,
            ..ExposeRequest::default()
        };
        let exposed = testnet.client(1).await?.expose(&wish).await.map_err(BenchError::client("expose"))?;
        let door = testnet.node(2)?.api.clone().unwrap_or_default();
        let door =
            door.trim_start_matches("http://").parse().map_err(|error| BenchError::unexpected(&error))?;
        let (direct, mesh) = (Way::direct(agent.address), Way::door(door, &exposed.agent));
        let start = Instant::now();
        while let Err(error) = mesh.connect().await?.call().await {
            if start.elapsed() > FOUND_LIMIT {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let pid = |number| Ok::<_, BenchError>(testnet.node(number)?.process.pid);
        let processes = [
            ("client", std::process::id()),
            ("caller's node", pid(2)?),
            ("agent's node", pid(1)?),
            ("agent", agent.pid()),
        ];
        Ok(Self { direct, mesh, processes })
    }

    fn nodes(&self) -> [(&'static str, u32); 2] {
        [self.processes[1], self.processes[2]]
    }

    /// Times of single calls, a direct one and one through the mesh in turn.
    async fn times(&mut self, runs: &mut Runs) -> Result<(), BenchError> {
        let (mut direct, mut mesh) = (self.direct.connect().await?, self.mesh.connect().await?);
        let mut samples = (Vec::new(), Vec::new());
        for number in 0..WARM_UP + CALLS {
            let took = (ms(direct.call().await?), ms(mesh.call().await?));
            if number >= WARM_UP {
                samples.0.push(took.0);
                samples.1.push(took.1);
            }
        }
        runs.added("call", ("direct", samples.0), ("through the mesh", samples.1));
        Ok(())
    }

    /// How many calls a second, and what each costs whom.
    async fn rates(&mut self, runs: &mut Runs) -> Result<(), BenchError> {
        for (name, way) in [("direct", &self.direct), ("through the mesh", &self.mesh)] {
            let before: Vec<_> =
                self.processes.iter().map(|(_, pid)| busy(*pid)).collect::<Result<_, _>>()?;
            let (calls, took) = rate(way).await?;
            #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
            let number = calls as f64;
            let what = format!("{CLIENTS} clients at once, {name}");
            runs.one(&what, "1/s", number / took.as_secs_f64(), calls);
            for ((process, pid), before) in self.processes.iter().zip(before) {
                let each = (busy(*pid)? - before).as_secs_f64() / number * 1e6;
                if each > 0.5 {
                    runs.one(&format!("processor time of a call {name}, {process}"), "µs", each, calls);
                }
            }
        }
        Ok(())
    }

    /// Long bodies in both directions.
    async fn bodies(&mut self, runs: &mut Runs, mib: usize) -> Result<(), BenchError> {
        let parts = mib * (1 << 20) / origin::PART;
        for (name, way) in [("direct", &self.direct), ("through the mesh", &self.mesh)] {
            let mut line = way.connect().await?;
            for is_response in [true, false] {
                let before = self.nodes().map(|(_, pid)| (pid, resident(pid)));
                for (pid, _) in &before {
                    forget_peak(*pid)?;
                }
                let took = if is_response { line.download(parts).await? } else { line.upload(parts).await? };
                let kind = if is_response { "response" } else { "request" };
                #[expect(clippy::cast_precision_loss, reason = "a number of megabytes")]
                let rate = (parts * origin::PART) as f64 / 1e6 / took.as_secs_f64();
                runs.one(&format!("{kind} of {mib} MiB, {name}"), "MB/s", rate, 1);
                if name == "direct" {
                    continue;
                }
                for ((node, _), (pid, before)) in self.nodes().iter().zip(before) {
                    let grown = (peak(pid)? - before?) / 1e6;
                    runs.one(
                        &format!("{kind} of {mib} MiB, peak memory added in the {node}"),
                        "MB",
                        grown,
                        1,
                    );
                }
            }
        }
        Ok(())
    }

    /// Streams that are open and silent; then one event on all of them.
    async fn streams(&mut self, runs: &mut Runs, number: usize) -> Result<(), BenchError> {
        let before = self.nodes().map(|(_, pid)| resident(pid));
        let start = Instant::now();
        let begin = || async { self.mesh.connect().await?.events().await };
        let mut beginning = FuturesUnordered::new();
        let mut streams: Vec<Events> = Vec::new();
        for _ in 0..number {
            if beginning.len() >= BEGINNING {
                streams.extend(beginning.try_next().await?);
            }
            beginning.push(begin());
        }
        while let Some(begun) = beginning.try_next().await? {
            streams.push(begun);
        }
        drop(beginning);
        runs.one(&format!("{number} streams begun"), "s", start.elapsed().as_secs_f64(), number);
        tokio::time::sleep(SETTLE).await;
        for ((node, pid), before) in self.nodes().iter().zip(before) {
            #[expect(clippy::cast_precision_loss, reason = "a number of streams")]
            let each = (resident(*pid)? - before?) / number as f64 / 1e3;
            runs.one(&format!("resident memory, each idle stream, {node}"), "kB", each, number);
        }
        let mut line = self.direct.connect().await?;
        let start = Instant::now();
        let open = line.happen().await?;
        if open != number {
            return Err(BenchError::Unexpected(format!("{open} of {number} streams are open at the agent")));
        }
        let all = async {
            for stream in &mut streams {
                stream.next().await?;
            }
            Ok(())
        };
        tokio::time::timeout(EVENT_LIMIT, all).await.unwrap_or_else(|_| {
            Err(BenchError::Unexpected(format!("an event is not everywhere within {EVENT_LIMIT:?}")))
        })?;
        runs.one(&format!("one event on each of {number} streams"), "ms", ms(start.elapsed()), number);
        Ok(())
    }
}

/// How many calls [`CLIENTS`] made, and in what time.
async fn rate(way: &Way) -> Result<(usize, Duration), BenchError> {
    let mut lines = Vec::new();
    for _ in 0..CLIENTS {
        let mut line = way.connect().await?;
        line.call().await?;
        lines.push(line);
    }
    let start = Instant::now();
    let mut clients: JoinSet<Result<usize, BenchError>> =
        lines.into_iter().map(|line| keep_on(line, start)).collect();
    let mut calls = 0;
    while let Some(client) = clients.join_next().await {
        calls += client.map_err(|error| BenchError::unexpected(&error))??;
    }
    Ok((calls, start.elapsed()))
}

async fn keep_on(mut line: Line, start: Instant) -> Result<usize, BenchError> {
    let mut calls = 0;
    while start.elapsed() < RATE_FOR {
        line.call().await?;
        calls += 1;
    }
    Ok(calls)
}
