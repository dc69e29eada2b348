use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::lan::Machine;

/// A small internet: a public machine, and two machines behind routers with NAT of their own. Gone when dropped.
///
/// ```text
///   host 11.1.0.2 ── backbone ── router a 11.2.0.2 ── machine a 10.0.1.2
///                       └─────── router b 11.3.0.2 ── machine b 10.0.2.2
/// ```
#[derive(Debug)]
pub struct Internet {
    host: Machine,
    behind: [Machine; 2],
    routers: [Machine; 2],
    _backbone: Machine,
}

/// Once one cable is laid, all else is this test's own fault.
const MADE: &str = "a system that lets cables be laid lets this be done";

/// Where miniupnpd writes its rules.
const UPNP_TABLES: &str = "table inet upnp { chain mapped { }; chain out { }; chain through { }; \
    chain in { type nat hook prerouting priority -100; policy accept; jump mapped; }; \
    chain post { type nat hook postrouting priority 100; policy accept; jump out; }; \
    chain forward { type filter hook forward priority 10; policy accept; jump through; }; }";

const UPNP_CONFIG: &str = "ext_ifname=wan
listening_ip=lan
port=0
enable_natpmp=no
enable_upnp=yes
uuid=11111111-2222-3333-4444-555555555555
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=through
upnp_nat_chain=mapped
upnp_nat_postrouting_chain=out
allow 1024-65535 10.0.0.0/8 1024-65535
";

/// A daemon on a router. It is killed when dropped.
#[derive(Debug)]
pub struct Router(Child);

impl Drop for Router {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the routers do with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Keep them where they are free, as most routers do: holes can be punched.
    KeepsPorts,
    /// Choose another one for every connection: nobody can tell where a hole would be.
    RandomPorts,
}

/// A machine of an [`Internet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The public one.
    Host,
    /// Behind router a.
    A,
    /// Behind router b.
    B,
}

impl Internet {
    /// Makes one, or says why that is not possible here.
    ///
    /// # Errors
    /// When this user, or this system, cannot make network namespaces, virtual cables or NAT.
    ///
    /// # Panics
    /// When anything else goes wrong.
    pub fn new(nat: Nat) -> Result<Self, String> {
        let version = Command::new("nft").arg("--version").stdout(Stdio::null()).status();
        version.map_err(|error| format!("nft (Debian package nftables): {error}"))?;
        let backbone = Machine::new()?;
        let host = Machine::new()?;
        let routers = [Machine::new()?, Machine::new()?];
        let behind = [Machine::new()?, Machine::new()?];
        forwards(&backbone)?;
        cable((&backbone, "host", "11.1.0.1/24"), (&host, "wan", "11.1.0.2/24"))?;
        host.run(&["ip", "route", "add", "default", "via", "11.1.0.1"]).expect(MADE);
        for (at, (router, machine)) in routers.iter().zip(&behind).enumerate() {
            let (net, lan) = (at + 2, at + 1);
            let out = if at == 0 { "router-a" } else { "router-b" };
            cable(
                (&backbone, out, &format!("11.{net}.0.1/24")),
                (router, "wan", &format!("11.{net}.0.2/24")),
            )?;
            cable(
                (router, "lan", &format!("10.0.{lan}.1/24")),
                (machine, "lan", &format!("10.0.{lan}.2/24")),
            )?;
            router.run(&["ip", "route", "add", "default", "via", &format!("11.{net}.0.1")]).expect(MADE);
            machine.run(&["ip", "route", "add", "default", "via", &format!("10.0.{lan}.1")]).expect(MADE);
            forwards(router).expect(MADE);
            let ports = if nat == Nat::RandomPorts { "masquerade fully-random" } else { "masquerade" };
            router.run(&["nft", &rules(ports)])?;
        }
        Ok(Self { host, behind, routers, _backbone: backbone })
    }

    /// Starts a node with the default profile on one of the machines. It is not looked for on local networks.
    #[must_use]
    pub fn up(&self, place: Place, home: &Path, more: &[&str]) -> crate::Node {
        let mut words = vec!["--mdns", "false"];
        words.extend(more);
        self.machine(place).up(home, &words)
    }

    /// A command to be run on the router of a machine.
    ///
    /// # Panics
    /// For the public machine, which has none.
    #[must_use]
    pub fn on_router(&self, place: Place, words: &[&str]) -> Command {
        let router = match place {
            Place::A => &self.routers[0],
            Place::B => &self.routers[1],
            Place::Host => panic!("a public machine has no router"),
        };
        let mut command = router.enter();
        command.args(words);
        command
    }

    /// Has a router map ports for whoever asks by UPnP, as miniupnpd does; or says why that is not possible here.
    ///
    /// # Errors
    /// When there is no miniupnpd, or not the one that writes nftables' rules.
    ///
    /// # Panics
    /// For the public machine, and when the daemon cannot be set up.
    pub fn upnp(&self, place: Place, dir: &Path) -> Result<Router, String> {
        let version = Command::new("miniupnpd").arg("--version").output();
        let version =
            version.map_err(|error| format!("miniupnpd (Debian package miniupnpd-nftables): {error}"))?;
        if !String::from_utf8_lossy(&version.stdout).contains("nftables") {
            return Err("miniupnpd is one that does not write nftables' rules".to_owned());
        }
        let made = self.on_router(place, &["nft", UPNP_TABLES]).status().expect("nft starts");
        assert!(made.success(), "the tables of miniupnpd");
        let route = ["ip", "route", "add", "239.0.0.0/8", "dev", "lan"];
        self.machine(place).run(&route).expect(MADE);
        let config = dir.join("miniupnpd.conf");
        std::fs::write(&config, UPNP_CONFIG).expect("a temporary file can be written");
        let config = config.to_str().expect("a temporary path is text");
        let pid = dir.join("miniupnpd.pid");
        let pid = pid.to_str().expect("a temporary path is text");
        let mut daemon = self.on_router(place, &["miniupnpd", "-d", "-f", config, "-P", pid]);
        let daemon = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Router(daemon.expect("miniupnpd starts")))
    }

    fn machine(&self, place: Place) -> &Machine {
        match place {
            Place::Host => &self.host,
            Place::A => &self.behind[0],
            Place::B => &self.behind[1],
        }
    }
}

/// A router's rules. What comes from outside unasked is dropped in silence, as home routers do: an answer would end the
/// other side's attempt.
fn rules(nat: &str) -> String {
    format!(
        "table ip nat {{ chain out {{ type nat hook postrouting priority 100; policy accept; oifname \"wan\" {nat}; }}; }}; \
         table ip filter {{ chain in {{ type filter hook input priority 0; policy accept; \
         iifname \"wan\" ct state new drop; }}; \
         chain through {{ type filter hook forward priority 0; policy accept; \
         iifname \"wan\" ct status dnat accept; iifname \"wan\" ct state new drop; }}; }}"
    )
}

fn forwards(machine: &Machine) -> Result<(), String> {
    machine.run(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
}

fn cable(
    (one, one_name, one_address): (&Machine, &str, &str),
    (other, other_name, other_address): (&Machine, &str, &str),
) -> Result<(), String> {
    let pids = [one.pid(), other.pid()];
    let begin = ["ip", "link", "add", one_name, "netns", &pids[0], "type", "veth"];
    crate::lan::run(&[&begin[..], &["peer", "name", other_name, "netns", &pids[1]]].concat())?;
    for (machine, name, address) in [(one, one_name, one_address), (other, other_name, other_address)] {
        machine.run(&["ip", "address", "add", address, "dev", name])?;
        machine.run(&["ip", "link", "set", "lo", "up"])?;
        machine.run(&["ip", "link", "set", name, "up"])?;
    }
    Ok(())
}
