use althing_record::cbor::{Blob, DecodeError, Limits, Text};
use althing_record::{Digest, Millis, NetworkId, cbor_map};

use crate::{Accept, COMMENT_BYTES_MAX, Call, Receipt, SIGNED_BYTES_MAX, StatementError};

cbor_map! {
    /// What one side of a call keeps of it, on its own disk: the material of a receipt. Nobody else is sent this form.
    pub struct KeptCall: version 1 {
        /// Whose this is: 0 the caller's, 1 the callee's.
        1 => pub side: u8,
        /// How it went: 0 answered, 1 no response in time, 2 broken off.
        2 => pub outcome: u8,
        /// The HTTP status of an answer; 0 where there was none.
        3 => pub status: u16,
        /// From the call to the end of the response, in milliseconds.
        4 => pub latency_ms: u64,
        /// SHA-256 of the response's body, if it came whole; the caller's side only.
        5 => pub response_hash: Option<Digest>,
        /// When it ended, by this side's clock.
        6 => pub made: Millis,
        /// The signed call.
        7 => pub call: Blob<SIGNED_BYTES_MAX>,
        /// The signed Accept.
        8 => pub accept: Blob<SIGNED_BYTES_MAX>,
        /// The signed receipt, if this side is the caller and the call is to be rated.
        9 => pub receipt: Option<Blob<SIGNED_BYTES_MAX>>,
        /// What this side's user noted about it; shown to nobody else.
        10 => pub comment: Option<Text<COMMENT_BYTES_MAX>>,
    }
}

/// Why a row is no kept call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// It does not decode.
    #[error("kept call is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// What was signed does not hold.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Call, Accept and receipt belong to different calls.
    #[error("kept call, accept and receipt do not fit")]
    Mismatch,
}

/// A kept call whose two signatures hold.
#[derive(Clone, Debug)]
pub struct ProvenCall {
    /// The row.
    pub kept: KeptCall,
    /// What the caller signed.
    pub call: Call,
    /// What the callee signed.
    pub accept: Accept,
    /// The receipt of it, if there is one.
    pub receipt: Option<Receipt>,
}

impl KeptCall {
    /// Reads a row and verifies what both sides signed.
    ///
    /// # Errors
    /// When it is none, or does not hold in this network.
    pub fn prove(row: &[u8], network: NetworkId) -> Result<ProvenCall, KeptError> {
        let kept: Self = althing_record::cbor::from_slice(row, Limits::RECORD)?;
        let (call, accept) = (Call::verify(&kept.call, network)?, Accept::verify(&kept.accept, network)?);
        accept.answers(&call).map_err(|_| KeptError::Mismatch)?;
        let receipt = kept.receipt.as_ref().map(|receipt| Receipt::verify(receipt, network)).transpose()?;
        if receipt.as_ref().is_some_and(|receipt| receipt.accept != accept.id()) {
            return Err(KeptError::Mismatch);
        }
        Ok(ProvenCall { kept, call, accept, receipt })
    }
}

#[cfg(test)]
mod tests {
    use althing_record::{AgentKey, Network, NodeKey, cbor};

    use super::*;
    use crate::{AcceptBody, CallBody, TaskId, request_head_hash};

    #[test]
    fn a_kept_call_is_proved_by_both_signatures_and_no_changed_byte_of_them_is() {
        let network = Network::builtin().id();
        let (caller, callee) = (AgentKey::from_seed(&[1; 32]), AgentKey::from_seed(&[2; 32]));
        let body = CallBody {
            network,
            caller: caller.agent(),
            callee: callee.agent(),
            task: TaskId([7; 16]),
            caller_node: NodeKey::from_seed(&[3; 32]).node(),
            request_head_hash: request_head_hash(b"GET / HTTP/1.1\r\n\r\n"),
            made: Millis(1),
            key: None,
        };
        let call = Call::sign(body, &caller).unwrap();
        let accept = Accept::sign(AcceptBody::to(&call, 1, Millis(2)), &callee).unwrap();
        let kept = KeptCall {
            side: 0,
            outcome: 0,
            status: 200,
            latency_ms: 12,
            response_hash: None,
            made: Millis(3),
            call: call.bytes().to_vec().try_into().unwrap(),
            accept: accept.bytes().to_vec().try_into().unwrap(),
            receipt: None,
            comment: None,
        };
        let row = cbor::to_vec(&kept);
        let proven = KeptCall::prove(&row, network).unwrap();
        assert_eq!((proven.kept, proven.call, proven.accept), (kept.clone(), call, accept));
        // A row from before there were comments is one without: the entry is left out.
        assert_eq!(row[0], 0xa8, "a map of eight entries");
        let noted = KeptCall { comment: Some("slow".try_into().unwrap()), ..kept.clone() };
        let bytes = cbor::to_vec(&noted);
        assert_eq!((bytes[0], &bytes[1..row.len()], bytes.len()), (0xa9, &row[1..], row.len() + 6));
        assert_eq!(KeptCall::prove(&bytes, network).unwrap().kept, noted);
        for at in 0..kept.call.len() {
            let mut call = kept.call.clone().into_inner();
            call[at] ^= 1;
            let other = KeptCall { call: call.try_into().unwrap(), ..kept.clone() };
            assert!(KeptCall::prove(&cbor::to_vec(&other), network).is_err(), "byte {at} of the call");
        }
    }
}
