use std::sync::{Arc, Weak};

use a2a::{Message, Part, PartContent, TaskState};
use tokio::sync::OwnedSemaphorePermit;

use crate::output::Output;
use crate::run::{RunError, run};
use crate::task_log::{Piece, TaskLog};
use crate::tasks::Tasks;
use crate::{Command, Limits};

/// Most pieces that one text is echoed in.
const ECHO_PIECES_MAX: usize = 8;

/// One task being worked on. However that ends, the task does.
#[derive(Debug)]
pub(crate) struct Work {
    log: Arc<TaskLog>,
    /// Tasks end with their agent, so work does not hold on to it.
    tasks: Weak<Tasks>,
    seat: Option<OwnedSemaphorePermit>,
}

impl Work {
    pub(crate) fn new(log: Arc<TaskLog>, tasks: &Arc<Tasks>, seat: Option<OwnedSemaphorePermit>) -> Self {
        Self { log, tasks: Arc::downgrade(tasks), seat }
    }

    /// Runs the command with the message's text.
    pub(crate) async fn exec(mut self, command: Arc<Command>, limits: Limits) {
        self.log.enter(TaskState::Working, None);
        let input = text(self.log.message()).into_bytes();
        let mut output = Output::new(&self.log);
        let caller = self.log.caller().did();
        let outcome =
            run(&command, input, caller, &limits, self.log.cancelled(), |bytes| output.take(bytes)).await;
        output.finish(outcome.is_ok());
        // Whoever hears that the task has ended finds its seat free.
        self.seat = None;
        match outcome {
            Ok(()) => self.end(TaskState::Completed, None),
            Err(RunError::Cancelled) => self.end(TaskState::Canceled, None),
            Err(error) => self.end(TaskState::Failed, Some(error.to_string())),
        }
    }

    /// Answers with the message's parts; texts come in pieces, as from a model.
    pub(crate) fn echo(self) {
        self.log.enter(TaskState::Working, None);
        let mut pieces: Vec<_> = self.log.message().parts.iter().flat_map(pieces).collect();
        if let Some(piece) = pieces.last_mut() {
            piece.last = true;
        }
        for piece in pieces {
            self.log.add(piece);
        }
        self.end(TaskState::Completed, None);
    }

    fn end(&self, state: TaskState, text: Option<String>) {
        // Room is made before anybody hears of the end, and comes back to ask again.
        if let Some(tasks) = self.tasks.upgrade() {
            tasks.ended(&self.log);
        }
        self.log.enter(state, text);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.log.status().state.is_terminal() {
            self.end(TaskState::Canceled, Some("the agent was taken down".to_owned()));
        }
    }
}

/// The texts of a message, one after the other.
pub(crate) fn text(message: &Message) -> String {
    message.parts.iter().filter_map(Part::as_text).collect()
}

/// A part in pieces: a text is cut after white space. What else the part says comes with the first.
fn pieces(part: &Part) -> Vec<Piece> {
    let PartContent::Text(text) = &part.content else {
        return vec![Piece { part: part.clone(), continues: false, last: false }];
    };
    let spaces = text.char_indices().filter(|(_, char)| char.is_whitespace());
    let cuts = spaces.map(|(at, space)| at + space.len_utf8()).filter(|cut| *cut < text.len());
    let (mut pieces, mut from) = (Vec::new(), 0);
    for cut in cuts.take(ECHO_PIECES_MAX - 1).chain([text.len()]) {
        let word = Part::text(&text[from..cut]);
        let continues = from > 0;
        let part = if continues { word } else { Part { content: word.content, ..part.clone() } };
        pieces.push(Piece { part, continues, last: false });
        from = cut;
    }
    pieces
}
