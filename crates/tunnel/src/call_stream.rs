use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use althing_record::{AgentId, Millis, Network, NodeId};
use althing_trust::{
    Accept, Answer, Call, CallBody, CallFrame, HEAD_BYTES_MAX, LINEAGE_BYTES_MAX, Progress, TaskId, head_end,
    request_head_hash,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::Signer;
use crate::dial::BoxIo;
use crate::keys::Keys;
use crate::roots::Roots;
use crate::signing::Signing;
use crate::verify::verify;

/// Longest answer frame, with room to see that one is longer.
const ANSWER_BYTES_MAX: usize = 1_024 + LINEAGE_BYTES_MAX;

/// What the callee said before the response.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// It took the call, with an Accept or without one and a reason.
    Taken { call: Box<Call>, accept: Result<Box<Accept>, String> },
    /// It did not take it. Nothing of the request was delivered.
    NotTaken(Answer),
    /// It said something else.
    Nonsense(String),
}

/// Who calls whom, but for the request.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned {
    pub(crate) network: Network,
    pub(crate) caller: AgentId,
    pub(crate) signer: Arc<Signer>,
    pub(crate) callee: AgentId,
    /// The callee's, as far as they are known here.
    pub(crate) keys: Arc<Keys>,
    pub(crate) task: TaskId,
    pub(crate) node: NodeId,
    pub(crate) made: Millis,
    /// Whether this node has no other call under way.
    pub(crate) is_alone: bool,
    /// The batches of the callee's node that were verified.
    pub(crate) roots: Arc<Roots>,
}

impl Unsigned {
    fn sign(&self, head: &[u8]) -> Signing<CallBody> {
        let body = CallBody {
            network: self.network.id(),
            caller: self.caller,
            callee: self.callee,
            task: self.task,
            caller_node: self.node,
            request_head_hash: request_head_hash(head),
            made: self.made,
            key: None,
        };
        self.signer.sign(body, self.is_alone)
    }
}

/// The caller's end of a call: HTTP goes in and comes out. The signed call goes ahead of the request, whose head it names;
/// the callee's answer is taken out of what comes.
pub(crate) struct CallStream {
    io: BoxIo,
    state: Writing,
    network: Network,
    keys: Arc<Keys>,
    roots: Arc<Roots>,
    call: Option<Call>,
    answer: Option<Vec<u8>>,
    /// What the callee showed of its key, if it did.
    lineage: Option<Vec<u8>>,
    /// What came behind the answer.
    rest: Vec<u8>,
    at: usize,
    told: Option<oneshot::Sender<Told>>,
}

enum Writing {
    /// The head is not whole yet.
    Head {
        unsigned: Box<Unsigned>,
        head: Vec<u8>,
    },
    /// The head is, and the call is being signed.
    Signing {
        signing: Box<Signing<CallBody>>,
        head: Vec<u8>,
    },
    /// Call and head are on their way.
    Ahead {
        bytes: Vec<u8>,
        at: usize,
    },
    Through,
}

impl CallStream {
    pub(crate) fn new(io: BoxIo, unsigned: Unsigned) -> (Self, oneshot::Receiver<Told>) {
        let (told, hears) = oneshot::channel();
        let stream = Self {
            io,
            network: unsigned.network.clone(),
            keys: Arc::clone(&unsigned.keys),
            roots: Arc::clone(&unsigned.roots),
            lineage: None,
            state: Writing::Head { unsigned: Box::new(unsigned), head: Vec::new() },
            call: None,
            answer: Some(Vec::new()),
            rest: Vec::new(),
            at: 0,
            told: Some(told),
        };
        (stream, hears)
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Writing::Signing { signing, head } = &mut self.state {
            let call = ready!(Pin::new(signing.as_mut()).poll(cx)).map_err(io::Error::other)?;
            let bytes = [CallFrame(call.bytes().to_vec()).encode().as_slice(), head].concat();
            self.call = Some(call);
            self.state = Writing::Ahead { bytes, at: 0 };
        }
        while let Writing::Ahead { bytes, at } = &mut self.state {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &bytes[*at..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *at += written;
            if *at == bytes.len() {
                self.state = Writing::Through;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn tell(&mut self, told: Told) {
        if let Some(tell) = self.told.take() {
            // Nobody waits for it any more.
            let _ = tell.send(told);
        }
    }

    fn refuse(&mut self, told: Told) -> io::Error {
        self.tell(told);
        io::Error::new(io::ErrorKind::ConnectionRefused, "the call was not taken")
    }

    /// The Accept, if it answers the call and its key speaks for the callee.
    fn verify(&self, bytes: &[u8], call: &Call) -> Result<Box<Accept>, String> {
        let accept: Accept = verify(bytes, call.network, &self.roots).map_err(|error| error.to_string())?;
        accept.answers(call).map_err(|mismatch| mismatch.to_string())?;
        let admitted = self.keys.admit(accept.signing_key(), self.lineage.as_deref(), &self.network);
        self.keys.learn(admitted.map_err(|fault| fault.to_string())?);
        Ok(Box::new(accept))
    }

    /// Takes the answer from what has come, if it is whole.
    fn take_answer(&mut self) -> io::Result<bool> {
        let Some(bytes) = &self.answer else { return Ok(true) };
        let (frame, used) = match Answer::decode(bytes) {
            Ok(Progress::Needs(_)) if bytes.len() < ANSWER_BYTES_MAX => return Ok(false),
            Ok(Progress::Needs(_)) => {
                return Err(self.refuse(Told::Nonsense("its answer has no end".to_owned())));
            }
            Ok(Progress::Done { frame, used }) => (frame, used),
            Err(error) => return Err(self.refuse(Told::Nonsense(error.to_string()))),
        };
        self.rest = bytes[used..].to_vec();
        self.answer = None;
        let taken = match frame {
            Answer::Lineage(_) if self.lineage.is_some() => {
                return Err(self.refuse(Told::Nonsense("it shows its key twice".to_owned())));
            }
            Answer::Lineage(lineage) => {
                self.lineage = Some(lineage);
                self.answer = Some(std::mem::take(&mut self.rest));
                return self.take_answer();
            }
            Answer::Accepted(bytes) => Ok(bytes),
            Answer::Ahead(reason) => Err(reason),
            // A callee without room says so before it reads anything.
            answer @ (Answer::Refused { .. } | Answer::Busy) => {
                return Err(self.refuse(Told::NotTaken(answer)));
            }
        };
        let Some(call) = self.call.take().map(Box::new) else {
            return Err(self.refuse(Told::Nonsense("it answered before it was asked".to_owned())));
        };
        match taken {
            Ok(bytes) => match self.verify(&bytes, &call) {
                Ok(accept) => self.tell(Told::Taken { call, accept: Ok(accept) }),
                Err(cause) => return Err(self.refuse(Told::Nonsense(cause))),
            },
            Err(reason) => self.tell(Told::Taken { call, accept: Err(reason.to_string()) }),
        }
        Ok(true)
    }
}

impl AsyncRead for CallStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.take_answer()? {
            let mut bytes = [0; 512];
            let mut came = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut came))?;
            if came.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let came = came.filled().to_vec();
            if let Some(answer) = &mut self.answer {
                answer.extend_from_slice(&came);
            }
        }
        if self.at < self.rest.len() {
            let length = buffer.remaining().min(self.rest.len() - self.at);
            buffer.put_slice(&self.rest[self.at..self.at + length]);
            self.at += length;
            if self.at == self.rest.len() {
                (self.rest, self.at) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CallStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_ahead(cx))?;
        let Writing::Head { unsigned, head } = &mut self.state else {
            return Pin::new(&mut self.io).poll_write(cx, bytes);
        };
        head.extend_from_slice(bytes);
        if let Some(end) = head_end(head) {
            let signing = Box::new(unsigned.sign(&head[..end]));
            self.state = Writing::Signing { signing, head: std::mem::take(head) };
            // What is left goes out with the next write or flush.
            if let Poll::Ready(Err(error)) = self.poll_ahead(cx) {
                return Poll::Ready(Err(error));
            }
        } else if head.len() > HEAD_BYTES_MAX {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the request's head is too long",
            )));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ahead(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ahead(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
