/// A command that the swarm task did not take. Nothing happened; the caller may try again or give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The command channel is full.
    #[error("busy: the command channel is full ({command})")]
    Full {
        /// What was asked for.
        command: &'static str,
    },
    /// The swarm has shut down.
    #[error("stopped: the swarm no longer runs ({command})")]
    Stopped {
        /// What was asked for.
        command: &'static str,
    },
}
