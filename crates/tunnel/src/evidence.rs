use althing_a2a::Ending;
use althing_record::{Digest, Millis};
use althing_trust::{Accept, Call};

/// What one side keeps of a call that was taken: the material of a receipt.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Whose this is.
    pub side: Side,
    /// What the caller signed.
    pub call: Box<Call>,
    /// What the callee signed before it asked the agent.
    pub accept: Box<Accept>,
    /// How it went.
    pub outcome: Outcome,
    /// From the call to the end of the response, in milliseconds.
    pub latency_ms: u64,
    /// What the response says of how the request went, if it came whole; the caller's side only.
    pub ending: Option<Ending>,
    /// SHA-256 of the response's body, if it came whole; the caller's side only.
    pub response_hash: Option<Digest>,
    /// When the call ended, by this node's clock.
    pub made: Millis,
}

/// One of the two parties of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who asked.
    Caller,
    /// Who was asked.
    Callee,
}

/// How a call that was taken went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response came whole, with this HTTP status.
    Answered(u16),
    /// No response began in time.
    Timeout,
    /// The connection broke.
    Broken,
}
