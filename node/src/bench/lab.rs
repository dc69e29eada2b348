use std::path::{Path, PathBuf};

use althing_gateway::Client;
use althing_testnet::{Testnet, TestnetError};

use super::{BenchError, Plan};

/// Where benchmarks work: a directory that goes away, and the binary.
#[derive(Debug)]
pub(crate) struct Lab {
    dir: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) runs: usize,
    pub(crate) nodes: usize,
    pub(crate) streams: usize,
    pub(crate) mib: usize,
}

impl Lab {
    pub(crate) fn new(plan: &Plan) -> Result<Self, BenchError> {
        let dir = std::env::temp_dir().join(format!("althing-bench-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|error| {
            BenchError::Unexpected(format!("cannot make the directory {}: {error}", dir.display()))
        })?;
        let (program, runs) = (plan.program.clone(), plan.runs);
        Ok(Self { dir, program, runs, nodes: plan.nodes, streams: plan.streams, mib: plan.mib })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A network of fresh nodes that see each other.
    pub(crate) async fn network(&self, name: &str, nodes: usize) -> Result<Testnet, BenchError> {
        let mut testnet = self.create(name, nodes)?;
        let launched = testnet.launch(nodes, &mut |_| {}).await;
        up(testnet, launched).await
    }

    /// The same over TCP alone, each node with further options of `althing up`.
    pub(crate) async fn network_over_tcp(
        &self,
        name: &str,
        options: &[Vec<String>],
    ) -> Result<Testnet, BenchError> {
        let mut testnet = self.create(name, options.len())?;
        let launched = async {
            for (number, options) in (1..).zip(options) {
                let listen = ["--listen", "/ip4/127.0.0.1/tcp/0"].map(str::to_owned);
                testnet.set_options(listen.into_iter().chain(options.iter().cloned()));
                testnet.launch(number, &mut |_| {}).await?;
            }
            Ok(())
        };
        let launched = launched.await;
        up(testnet, launched).await
    }

    fn create(&self, name: &str, nodes: usize) -> Result<Testnet, TestnetError> {
        let plan = althing_testnet::Plan { program: self.program.clone(), dir: self.dir.join(name), nodes };
        Testnet::create(&plan)
    }

    /// Runs something on a network and ends its nodes in every case.
    pub(crate) async fn on<T>(
        &self,
        mut testnet: Testnet,
        work: impl AsyncFnOnce(&mut Testnet) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let done = tokio::select! {
            done = work(&mut testnet) => done,
            () = althing_testnet::interrupted() => Err(BenchError::Testnet(althing_testnet::TestnetError::Interrupted)),
        };
        testnet.stop().await?;
        done
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Left behind it is only in the way.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The network, if its nodes were launched; or else they are ended.
async fn up(mut testnet: Testnet, launched: Result<(), TestnetError>) -> Result<Testnet, BenchError> {
    if let Err(error) = launched {
        testnet.stop().await?;
        return Err(error.into());
    }
    Ok(testnet)
}

/// Clients of all nodes.
pub(crate) async fn clients(testnet: &Testnet) -> Result<Vec<Client>, BenchError> {
    let mut clients = Vec::new();
    for node in testnet.nodes() {
        clients.push(testnet.client(node.number).await?);
    }
    Ok(clients)
}

/// An A2A card with one skill.
pub(crate) fn card(name: &str, skill: &str) -> Vec<u8> {
    card_of(name, &[skill.to_owned()])
}

/// An A2A card with some skills.
pub(crate) fn card_of(name: &str, skills: &[String]) -> Vec<u8> {
    let skill =
        |id: &String| serde_json::json!({"id": id, "name": id, "description": "A skill.", "tags": ["bench"]});
    serde_json::json!({
        "name": name,
        "description": "Made to be measured; as long as a description usually is, and no longer.",
        "version": "1.0.0",
        "supportedInterfaces": [{
            "url": "https://agent.example.org/a2a",
            "protocolBinding": "JSONRPC",
            "protocolVersion": "1.0",
        }],
        "capabilities": {"streaming": true},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": skills.iter().map(skill).collect::<Vec<_>>(),
    })
    .to_string()
    .into_bytes()
}
