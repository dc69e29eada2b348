use a2a::Part;

use crate::task_log::{Piece, TaskLog};

/// Pieces that come as the command writes them. After that many, what it writes is gathered.
const PIECES_MAX: usize = 1_024;

/// How much is gathered into one piece then, in bytes.
const GATHERED_BYTES: usize = 16 * 1_024;

/// What a command writes, on its way into its task: text in pieces, of which no two share a character. What is not UTF-8
/// becomes U+FFFD.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    log: &'a TaskLog,
    /// The beginning of a character, at most three bytes.
    undecided: Vec<u8>,
    gathered: String,
    pieces: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(log: &'a TaskLog) -> Self {
        Self { log, undecided: Vec::new(), gathered: String::new(), pieces: 0 }
    }

    /// Takes what was written.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.undecided.extend_from_slice(bytes);
        let read = std::mem::take(&mut self.undecided);
        let mut chunks = read.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.gathered.push_str(chunk.valid());
            let cut = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
            if cut && chunks.peek().is_none() {
                self.undecided = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                self.gathered.push(char::REPLACEMENT_CHARACTER);
            }
        }
        if self.pieces < PIECES_MAX || self.gathered.len() >= GATHERED_BYTES {
            self.pass_on(false);
        }
    }

    /// Passes on what is left. The output of a command that wrote nothing and ended well is an empty text.
    pub(crate) fn finish(mut self, well: bool) {
        if !self.undecided.is_empty() {
            self.gathered.push(char::REPLACEMENT_CHARACTER);
        }
        if well && self.pieces == 0 && self.gathered.is_empty() {
            self.log.add(Piece { part: Part::text(""), continues: false, last: true });
        }
        self.pass_on(well);
    }

    fn pass_on(&mut self, last: bool) {
        if self.gathered.is_empty() {
            return;
        }
        let part = Part::text(std::mem::take(&mut self.gathered));
        self.log.add(Piece { part, continues: self.pieces > 0, last });
        self.pieces += 1;
    }
}

#[cfg(test)]
mod tests {
    use a2a::{Message, Role};

    use super::*;
    use crate::caller::Caller;

    fn log() -> TaskLog {
        TaskLog::new(Message::new(Role::User, vec![Part::text("")]), Caller::Local)
    }

    fn text(log: &TaskLog) -> String {
        let task = log.task(false);
        let parts = task.artifacts.into_iter().flatten().flat_map(|artifact| artifact.parts);
        parts.map(|part| part.as_text().unwrap().to_owned()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_character_that_comes_in_bytes_stays_whole() {
        let log = log();
        let mut output = Output::new(&log);
        for byte in "aþ🙂\0b".as_bytes() {
            output.take(&[*byte]);
        }
        output.finish(true);
        assert_eq!(text(&log), "aþ🙂\0b");
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        let log = log();
        let mut output = Output::new(&log);
        output.take(b"a\xffb\xf0\x9f");
        output.take(b"c\xe2\x82");
        output.finish(true);
        assert_eq!(text(&log), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn a_command_that_wrote_nothing_has_an_empty_artifact_only_if_it_ended_well() {
        let (well, badly) = (log(), log());
        Output::new(&well).finish(true);
        Output::new(&badly).finish(false);
        assert_eq!(text(&well), "");
        assert!(well.task(false).artifacts.is_some());
        assert!(badly.task(false).artifacts.is_none());
    }

    #[test]
    fn a_million_small_writes_are_a_bounded_number_of_pieces() {
        let log = log();
        let mut output = Output::new(&log);
        for _ in 0..1_024 * 1_024 {
            output.take(b"x");
        }
        output.finish(true);
        let (_, pieces) = log.present().unwrap();
        assert_eq!(pieces, PIECES_MAX + 1_024 * 1_024 / GATHERED_BYTES);
        assert_eq!(text(&log).len(), 1_024 * 1_024);
    }
}
