use std::io;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::{althing, poll};

/// A local network of two machines: two network namespaces with a cable between them. Gone when dropped.
#[derive(Debug)]
pub struct Lan([Machine; 2]);

/// A process that does nothing but hold a network namespace open.
#[derive(Debug)]
pub(crate) struct Machine(Child);

impl Lan {
    /// Makes one, or says why that is not possible here.
    ///
    /// # Errors
    /// When this user, or this system, cannot make network namespaces or virtual cables.
    pub fn new() -> Result<Self, String> {
        let lan = Self([Machine::new()?, Machine::new()?]);
        let [one, other] = [&lan.0[0], &lan.0[1]].map(|machine| machine.0.id().to_string());
        let cable = ["ip", "link", "add", "lan0", "netns", &one, "type", "veth"];
        run(&[&cable[..], &["peer", "name", "lan0", "netns", &other]].concat())?;
        for (machine, address) in lan.0.iter().zip(["192.168.77.1/24", "192.168.77.2/24"]) {
            machine.run(&["ip", "address", "add", address, "dev", "lan0"])?;
            machine.run(&["ip", "link", "set", "lo", "up"])?;
            machine.run(&["ip", "link", "set", "lan0", "up"])?;
        }
        Ok(lan)
    }

    /// Starts a node with the default profile on one of the machines, on every address that it has there. It is told of
    /// no other node.
    #[must_use]
    pub fn up(&self, machine: usize, home: &Path, more: &[&str]) -> crate::Node {
        self.0[machine].up(home, more)
    }
}

impl Machine {
    pub(crate) fn new() -> Result<Self, String> {
        let mut command = Command::new("unshare");
        let child = command.args(["--net", "sleep", "infinity"]).stderr(Stdio::piped()).spawn();
        let mut machine = Self(child.map_err(|error| format!("unshare: {error}"))?);
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let (ours, pid) = (namespace("self"), machine.0.id().to_string());
        poll("a namespace, or the reason why not", || match machine.0.try_wait() {
            Ok(None) => namespace(&pid).filter(|theirs| Some(theirs) != ours.as_ref()).map(|_| Ok(())),
            Ok(Some(_)) => Some(Err(refusal(machine.0.stderr.take()))),
            Err(error) => Some(Err(format!("unshare: {error}"))),
        })?;
        Ok(machine)
    }

    /// Starts a node with the default profile, on every address that the machine has unless `more` says otherwise.
    pub(crate) fn up(&self, home: &Path, more: &[&str]) -> crate::Node {
        let home_text = home.to_str().expect("a temporary path is text");
        let mut words = vec!["--json", "--home", home_text, "up", "--api", "127.0.0.1:0"];
        words.extend(more);
        let node = althing(&words);
        let mut command = self.enter();
        command.arg(node.get_program()).args(node.get_args()).stdin(Stdio::null());
        for (name, value) in node.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        crate::Node::start(home, command)
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }

    pub(crate) fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net", "--"]);
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Result<(), String> {
        let mut command = self.enter();
        command.args(words);
        ended(command, words)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Why there is no namespace, from what `unshare` said at its end.
fn refusal(said: Option<ChildStderr>) -> String {
    let said = said.and_then(|from| io::read_to_string(from).ok()).unwrap_or_default();
    if said.contains("Operation not permitted") {
        return "making a network namespace needs root".to_owned();
    }
    said.trim().to_owned()
}

pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    ended(command, words)
}

fn ended(mut command: Command, words: &[&str]) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
