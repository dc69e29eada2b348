//! One signature for all statements of a key that wait for one at the same moment.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use althing_record::SIGNATURE_LEN;
use althing_trust::{Signature, Signed, Statement, StatementError, Unsigned};
use tokio::sync::oneshot;

use crate::Signer;
use crate::turn::Turn;

/// Most statements that are signed at once; so many may wait.
const WAITING_MAX: usize = 64;

/// Statements that wait to be signed. Whoever waits signs for all when its turn comes, so that nobody depends on another
/// call that may be given up.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<VecDeque<Waiting>>);

#[derive(Debug)]
struct Waiting {
    message: Vec<u8>,
    sign: oneshot::Sender<Signature>,
}

impl Queue {
    /// Has a message wait. Gives whether there is room for more.
    fn push(&self, message: Vec<u8>) -> (oneshot::Receiver<Signature>, bool) {
        let (sign, signature) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(Waiting { message, sign });
        (signature, waiting.len() < WAITING_MAX)
    }

    /// Signs what waits now, but for what was given up. Nothing may: then somebody else is doing so.
    fn work(&self, sign: impl FnMut(&[u8]) -> [u8; SIGNATURE_LEN]) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let waiting = waiting.into_iter().filter(|waiting| !waiting.sign.is_closed());
        let (messages, signs): (Vec<_>, Vec<_>) =
            waiting.map(|waiting| (waiting.message, waiting.sign)).unzip();
        for (sign, signature) in signs.into_iter().zip(Signature::of_all(&messages, sign)) {
            // It may be given up just now.
            let _ = sign.send(signature);
        }
    }
}

/// A statement that is being signed. Dropped, it is given up, and others are not held up.
#[derive(Debug)]
pub(crate) struct Signing<S> {
    signer: Arc<Signer>,
    /// Gone when it is signed, or cannot be.
    unsigned: Option<Result<Unsigned<S>, StatementError>>,
    waiting: Option<(oneshot::Receiver<Signature>, Arc<Turn>)>,
    is_alone: bool,
}

impl<S: Statement> Signing<S> {
    /// `is_alone` says that nothing else is likely to be signed at this moment, so that there is nothing to wait for. Else it
    /// comes behind all that is ready to run, once.
    pub(crate) fn new(signer: Arc<Signer>, statement: S, is_alone: bool) -> Self {
        let unsigned = Some(Unsigned::new(statement, signer.public()));
        Self { signer, unsigned, waiting: None, is_alone }
    }
}

impl<S: Statement + Unpin> Future for Signing<S> {
    type Output = Result<Signed<S>, StatementError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(Ok(unsigned)) = &this.unsigned else {
            return match this.unsigned.take() {
                Some(Err(error)) => Poll::Ready(Err(error)),
                // Nobody asks again after the end.
                Some(Ok(_)) | None => Poll::Pending,
            };
        };
        let sign = |message: &[u8]| this.signer.sign_message(message);
        let signature = if this.is_alone {
            Some(Signature::alone(sign(unsigned.message())))
        } else {
            let queue = this.signer.queue();
            let receiver = match &mut this.waiting {
                Some((receiver, turn)) => {
                    if turn.has_come(cx) && receiver.is_empty() {
                        queue.work(sign);
                    }
                    receiver
                }
                none => {
                    let (receiver, has_room) = queue.push(unsigned.message().to_vec());
                    let (receiver, _) = none.insert((receiver, Turn::begin(cx)));
                    if !has_room {
                        queue.work(sign);
                    }
                    receiver
                }
            };
            match Pin::new(receiver).poll(cx) {
                Poll::Ready(Ok(signature)) => Some(signature),
                Poll::Ready(Err(_)) => None,
                Poll::Pending => return Poll::Pending,
            }
        };
        // Who had taken it up did not come to its end: then it is signed here.
        let signature = signature.unwrap_or_else(|| Signature::alone(sign(unsigned.message())));
        let Some(Ok(unsigned)) = this.unsigned.take() else { return Poll::Pending };
        Poll::Ready(unsigned.signed(&signature))
    }
}
