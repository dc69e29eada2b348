use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What a stream tells the connection that it is sent on: that its reader is there. A request extension.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// When the reader of an event stream took something.
    advanced: Option<Instant>,
    /// Whether an agent's response is passed on: it may be silent for as long as the agent is.
    held: bool,
}

/// How a connection stands when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It carries no stream: it is closed after the current answer.
    Old,
    /// Its stream's reader took something; look again then.
    Streams(Instant),
    /// Its stream's reader took nothing for a whole connection timeout.
    Stalled,
}

impl Life {
    /// The reader took something just now.
    pub(crate) fn advance(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).advanced = Some(Instant::now());
    }

    /// The response of an agent begins.
    pub(crate) fn hold(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).held = true;
    }

    /// The stream is over.
    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// What becomes of the connection; `patience`: how long a reader may take nothing.
    pub(crate) fn verdict(&self, patience: Duration) -> Verdict {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.advanced.map(|at| at + patience) {
            None if state.held => Verdict::Streams(Instant::now() + patience),
            None => Verdict::Old,
            Some(until) if until > Instant::now() => Verdict::Streams(until),
            Some(_) => Verdict::Stalled,
        }
    }
}
