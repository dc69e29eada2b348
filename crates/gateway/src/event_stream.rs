//! The stream of `GET /v1/events`. It holds at most one page of the journal: it reads the next when the connection has
//! taken the last, so that a slow reader costs no memory and finds the rest in the journal.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use althing_engine::{Answer, Ask, EventId, EventKind, EventsFrom, EventsPage};
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::api::{CloudEvent, Problem, ProblemKind};
use crate::edge::{Edge, mismatch};
use crate::life::Life;
use crate::refused::Refused;

/// Most events that a stream holds.
const PAGE_MAX: usize = 64;
/// How long to wait before the node is asked again when it was too busy.
const RETRY: Duration = Duration::from_millis(250);
/// What a stream begins with: clients come back after a second.
const OPENING: &str = ": althing events\nretry: 1000\n\n";

/// What the reader asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) from: EventsFrom,
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) follow: bool,
}

/// A reader's place in the journal.
pub(crate) struct EventStream {
    edge: Edge,
    kinds: Vec<EventKind>,
    follow: bool,
    /// Read and not yet written.
    page: Option<EventsPage>,
    next: u64,
    /// Whether there was more behind the last page.
    more: bool,
    resume: EventId,
    /// The id that the reader was given last.
    told: Option<EventId>,
    journaled: watch::Receiver<u64>,
    stop: watch::Receiver<()>,
    opened: bool,
    life: Life,
    _slot: OwnedSemaphorePermit,
}

impl EventStream {
    /// Finds the place from which the reader wants events.
    ///
    /// # Errors
    /// When there are too many streams, or the node does not answer.
    pub(crate) async fn open(edge: Edge, wanted: Wanted, life: Life) -> Result<Self, Refused> {
        let slot = edge.stream_slot()?;
        let mut journaled = edge.backend().journaled.clone();
        journaled.mark_unchanged();
        let stop = edge.stop();
        let page = read(&edge, wanted.from, &wanted.kinds).await?;
        Ok(Self {
            next: page.next,
            more: page.next < page.end,
            resume: page.resume,
            page: Some(page),
            edge,
            kinds: wanted.kinds,
            follow: wanted.follow,
            told: None,
            journaled,
            stop,
            opened: false,
            life,
            _slot: slot,
        })
    }

    /// The next bytes, and the stream after them; none when it is over.
    async fn turn(mut self) -> Option<(Self, Bytes)> {
        loop {
            if let Some(page) = self.page.take() {
                let text = self.written(&page);
                if !text.is_empty() {
                    return Some((self, text.into()));
                }
            }
            if self.more {
                self.journaled.mark_unchanged();
                self.read_on().await?;
            } else if !self.follow {
                return None;
            } else if let Some(beat) = self.wait().await? {
                return Some((self, beat.into()));
            }
        }
    }

    /// Reads the next page; none when the stream is over.
    async fn read_on(&mut self) -> Option<()> {
        let read = read(&self.edge, EventsFrom::Seq(self.next), &self.kinds);
        let page = tokio::select! {
            biased;
            _ = self.stop.changed() => return None,
            page = read => page,
        };
        match page {
            Ok(page) => {
                (self.next, self.more, self.resume) = (page.next, page.next < page.end, page.resume);
                self.page = Some(page);
                Some(())
            }
            Err(refused) if refused.kind() == Some(ProblemKind::Stopping) => None,
            // Too busy, or the disk is full: it is tried again, and the reader need not know.
            Err(_) => tokio::select! {
                biased;
                _ = self.stop.changed() => None,
                () = tokio::time::sleep(RETRY) => Some(()),
            },
        }
    }

    /// Waits for news; gives a heartbeat when there are none for a while, and none when the stream is over.
    async fn wait(&mut self) -> Option<Option<String>> {
        tokio::select! {
            biased;
            _ = self.stop.changed() => None,
            changed = self.journaled.changed() => {
                self.more = true;
                changed.ok().map(|()| None)
            }
            () = tokio::time::sleep(self.edge.heartbeat()) => {
                let moved = self.told != Some(self.resume);
                self.told = Some(self.resume);
                // Also where nothing was sent the reader's place moves on, so that it is not lost when it comes back.
                let place = if moved { format!("id: {}\n", self.resume) } else { String::new() };
                Some(Some(format!(": still here\n{place}\n")))
            }
        }
    }

    fn written(&mut self, page: &EventsPage) -> String {
        let mut text = if self.opened { String::new() } else { OPENING.to_owned() };
        if let Some(lost) = page.lost {
            write(&mut text, None, &CloudEvent::lost(page, lost));
        }
        for told in &page.events {
            write(&mut text, Some(told.id), &CloudEvent::new(page.node, told));
            self.told = Some(told.id);
        }
        if !self.opened && self.told.is_none() {
            text.push_str(&format!("id: {}\n\n", page.resume));
            self.told = Some(page.resume);
        }
        self.opened = true;
        text
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.life.end();
    }
}

async fn read(edge: &Edge, from: EventsFrom, kinds: &[EventKind]) -> Result<EventsPage, Refused> {
    let ask = Ask::Events { from, kinds: kinds.to_vec(), limit: PAGE_MAX };
    let Answer::Events(page) = edge.ask(ask).await? else { return Err(mismatch()) };
    Ok(*page)
}

/// Writes one event as the HTML standard's event stream format has it.
fn write(to: &mut String, id: Option<EventId>, event: &CloudEvent) {
    if let Some(id) = id {
        to.push_str(&format!("id: {id}\n"));
    }
    // JSON in one line has no line break of its own.
    let json = serde_json::to_string(event).unwrap_or_default();
    to.push_str(&format!("data: {json}\n\n"));
}

/// The problem of one stream too many.
pub(crate) fn too_many(max: usize) -> Refused {
    Problem::new(ProblemKind::Busy, format!("{max} event streams are open already"))
        .with_hint("close one, or read with `follow=false`, which ends by itself")
        .into()
}

type Turn = Pin<Box<dyn Future<Output = Option<(EventStream, Bytes)>> + Send>>;

/// A stream as the body of an answer.
pub(crate) struct EventBody {
    turn: Option<Turn>,
    life: Life,
}

impl EventBody {
    pub(crate) fn new(stream: EventStream) -> Self {
        let life = stream.life.clone();
        life.advance();
        Self { turn: Some(Box::pin(stream.turn())), life }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(turn) = &mut self.turn else { return Poll::Ready(None) };
        let turned = ready!(turn.as_mut().poll(context));
        self.life.advance();
        let (turn, bytes) = match turned {
            Some((stream, bytes)) => (Some(Box::pin(stream.turn()) as Turn), Some(bytes)),
            None => (None, None),
        };
        self.turn = turn;
        if self.turn.is_none() {
            self.life.end();
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
