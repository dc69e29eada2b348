use althing_record::{AgentId, Millis, NodeId};
use tokio::sync::broadcast;

/// Lines that a slow reader may be behind; it misses what is older.
const LINES_MAX: usize = 1_024;

/// One call that ended at this node's agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLine {
    /// When it ended.
    pub ended: Millis,
    /// Who was called.
    pub agent: AgentId,
    /// Who called, if it said so.
    pub caller: Option<AgentId>,
    /// From which node.
    pub node: NodeId,
    /// The request's method and path, without its query.
    pub request: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// From the request to the end of the response, in milliseconds.
    pub ms: u64,
    /// Bytes of the response's body.
    pub bytes: u64,
    /// Whether the response was read to its end.
    pub whole: bool,
    /// Why there was no response of the agent's own.
    pub error: Option<String>,
}

/// Tells whoever wants to know of each call that ended.
#[derive(Clone, Debug)]
pub struct CallLog(broadcast::Sender<CallLine>);

impl Default for CallLog {
    fn default() -> Self {
        Self(broadcast::Sender::new(LINES_MAX))
    }
}

impl CallLog {
    /// What is told from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<CallLine> {
        self.0.subscribe()
    }

    pub(crate) fn tell(&self, line: &CallLine) {
        if self.0.receiver_count() > 0 {
            // They may be gone by now.
            let _ = self.0.send(line.clone());
        }
    }
}
