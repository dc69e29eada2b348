use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::Tls;

/// Where the gateway listens, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The node's directory: `api.token`, `api.sock` and `api.addr` are in it. Made with mode 0700 if absent.
    pub home: PathBuf,
    /// The TCP address. Beyond loopback only with `tls`; port 0 lets the kernel choose.
    pub tcp: SocketAddr,
    /// With what TCP is served over TLS.
    pub tls: Option<Tls>,
    /// Hosts, with ports, that mean this API in a Host header besides its own address and loopback's names.
    pub hosts: Vec<String>,
    /// How long the node may take to answer one ask; then 504.
    pub ask_timeout: Duration,
    /// How long a request's head may take, and how long a connection may idle; then the connection is cut.
    pub head_timeout: Duration,
    /// How long a request's body may take; then 408.
    pub body_timeout: Duration,
    /// How long a connection may live; then it is closed after the current answer, and cut if that takes as long again.
    /// A connection with an event stream lives on while its reader takes what is sent.
    pub connection_timeout: Duration,
    /// Most connections at a time over TCP. Further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// The same over the Unix socket.
    pub socket_connections_max: usize,
    /// Most event streams at a time. Further ones are refused as busy.
    pub streams_max: usize,
    /// How long an event stream may be silent; then it sends a comment. Less than [`Config::connection_timeout`], after
    /// which a stream whose reader takes nothing is cut.
    pub heartbeat: Duration,
    /// How long answers under way may take once the gateway is to stop; then their connections are cut.
    pub stop_timeout: Duration,
}

impl Config {
    /// The defaults: 127.0.0.1 with a port that the kernel chooses.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            tcp: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            hosts: Vec::new(),
            ask_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            connection_timeout: Duration::from_secs(120),
            connections_max: 128,
            socket_connections_max: 128,
            streams_max: 32,
            heartbeat: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(1),
        }
    }
}
