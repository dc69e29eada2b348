//! What a service manager is told (sd_notify(3)): that the node is ready, how it is doing, that it lives, that it stops.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use althing_net::{Membership, NetState};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The manager that started this process, if one did and wants to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service(Option<Arc<Channel>>);

#[derive(Debug)]
struct Channel {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

/// Tells the manager that the event loop turns, at half the interval that it wants. It lives in the event loop: one that
/// is stuck stays silent.
#[derive(Debug)]
pub(super) struct Watchdog(Option<(Interval, Arc<Channel>)>);

impl Service {
    /// The manager that `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` name.
    pub(crate) fn from_env() -> Self {
        let variable = |name| std::env::var_os(name);
        Self::new(variable("NOTIFY_SOCKET"), variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"))
    }

    fn new(socket: Option<OsString>, usec: Option<OsString>, pid: Option<OsString>) -> Self {
        let Some(name) = socket.filter(|name| !name.is_empty()) else { return Self::default() };
        let number = |text: OsString| text.to_str()?.parse::<u64>().ok();
        let for_us = pid.is_none_or(|pid| number(pid) == Some(u64::from(std::process::id())));
        let watchdog = usec.filter(|_| for_us).and_then(number).filter(|usec| *usec > 0);
        // "@" stands for the NUL byte of the abstract namespace (unix(7)).
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&name),
        };
        let channel = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok(Channel { socket, address, watchdog: watchdog.map(Duration::from_micros) })
        });
        match channel {
            Ok(channel) => Self(Some(Arc::new(channel))),
            Err(error) => {
                tracing::warn!(%error, ?name, "NOTIFY_SOCKET cannot be used");
                Self::default()
            }
        }
    }

    /// A heartbeat for the event loop; never due if the manager wants none. Needs a tokio runtime.
    pub(super) fn watchdog(&self) -> Watchdog {
        let channel = self.0.as_ref();
        Watchdog(channel.and_then(|channel| {
            let mut every = interval(channel.watchdog? / 2);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Some((every, channel.clone()))
        }))
    }

    /// Says when the node gets ready, and how it is doing whenever that changes. Ends with the node.
    pub(super) async fn follow(
        self,
        mut missing: watch::Receiver<Vec<String>>,
        mut net: watch::Receiver<NetState>,
    ) {
        let Some(channel) = self.0 else { return };
        let (mut ready, mut said) = (false, String::new());
        loop {
            let waiting = missing.borrow_and_update().join(", ");
            let members = net
                .borrow_and_update()
                .peers
                .iter()
                .filter(|peer| peer.membership == Membership::Member)
                .count();
            let status = match waiting.as_str() {
                "" => format!("STATUS=ready, {members} peers"),
                waiting => format!("STATUS=waiting for {waiting}, {members} peers"),
            };
            if waiting.is_empty() && !ready {
                ready = true;
                channel.say(&format!("READY=1\n{status}"));
            } else if status != said {
                channel.say(&status);
            }
            said = status;
            let changed = tokio::select! {
                changed = missing.changed() => changed,
                changed = net.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Says that the node stops.
    pub(super) fn stopping(&self) {
        if let Some(channel) = &self.0 {
            channel.say("STOPPING=1\nSTATUS=stopping");
        }
    }
}

impl Watchdog {
    /// Waits until the manager is due to hear from the event loop, and tells it.
    pub(super) async fn beat(&mut self) {
        match &mut self.0 {
            Some((every, channel)) => {
                every.tick().await;
                channel.say("WATCHDOG=1");
            }
            None => std::future::pending().await,
        }
    }
}

impl Channel {
    /// A manager that does not listen is not worth stopping for.
    fn say(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            tracing::debug!(%error, text, "the service manager was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(usec: Option<&str>, pid: Option<&str>) -> Option<Duration> {
        Service::new(Some("@althing-test".into()), usec.map(Into::into), pid.map(Into::into))
            .0
            .unwrap()
            .watchdog
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let us = std::process::id().to_string();
        assert_eq!(watched(Some("2000000"), None), Some(Duration::from_secs(2)));
        assert_eq!(watched(Some("2000000"), Some(&us)), Some(Duration::from_secs(2)));
        assert_eq!(watched(Some("2000000"), Some("1")), None);
        assert_eq!(watched(Some("soon"), None), None);
        assert_eq!(watched(Some("0"), None), None);
        assert_eq!(watched(None, None), None);
    }

    #[test]
    fn without_a_usable_socket_nobody_is_told() {
        assert!(Service::new(None, None, None).0.is_none());
        assert!(Service::new(Some("".into()), None, None).0.is_none());
        assert!(Service::new(Some("/x".repeat(100).into()), None, None).0.is_none());
    }

    #[test]
    fn an_abstract_socket_is_reached() {
        let name = format!("althing-test-{}", std::process::id());
        let server = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Service::new(Some(format!("@{name}").into()), None, None).stopping();
        let mut bytes = [0; 64];
        let length = server.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"STOPPING=1\nSTATUS=stopping");
    }
}
