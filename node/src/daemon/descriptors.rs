use althing_net::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::RunError;

/// Descriptors for what is neither a peer nor a client: the database's files, listeners, logs, the runtime.
const BESIDE: u64 = 128;

/// Descriptors for calls from other nodes, one each, that there must be room for.
const CALLS_MIN: u64 = 256;

/// Descriptors that a node may need at once within its own bounds.
fn needed(limits: &Limits, clients_max: usize) -> u64 {
    let peers = limits.inbound_max + limits.outbound_reserved;
    let pending = limits.pending_inbound_max + limits.pending_outbound_max;
    u64::from(peers + pending) + clients_max as u64 + BESIDE + CALLS_MIN
}

/// Descriptors that a node may need at once.
pub(super) fn needed_by_default() -> u64 {
    needed(&Limits::default(), clients_max(&althing_gateway::Config::new("")))
}

/// Clients of the local API, over TCP and the Unix socket.
pub(super) fn clients_max(local: &althing_gateway::Config) -> usize {
    local.connections_max + local.socket_connections_max
}

/// Raises this process's limit as far as it may go by itself. A node that runs out of descriptors fails in the middle
/// of whatever it does, so one that could is not started. Gives how many calls from other nodes there is room for: each
/// may need a connection to an exposed agent.
pub(super) fn raise(limits: &Limits, clients_max: usize) -> Result<usize, RunError> {
    let needed = needed(limits, clients_max);
    let limit = getrlimit(Resource::Nofile);
    if let Some(hard) = limit.maximum.filter(|hard| *hard < needed) {
        return Err(RunError::Descriptors { needed, hard });
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        // Some systems allow fewer than their hard limit says.
        let enough = Rlimit { current: Some(needed), maximum: limit.maximum };
        if limit.current.is_some_and(|soft| soft < needed) && setrlimit(Resource::Nofile, enough).is_err() {
            tracing::warn!(%error, "the limit of open files stays below what may be needed: {needed}");
        }
    }
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(needed) + CALLS_MIN;
    Ok(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_into_common_hard_limits() {
        assert!(needed(&Limits::default(), 256) <= 1_024);
    }
}
