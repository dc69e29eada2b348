use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use super::failure::{Exit, Failure};

/// What a command prints when it is done: a document for programs and text for people.
#[derive(Debug)]
pub(crate) struct Page {
    json: Option<Value>,
    text: Vec<u8>,
    exit: Exit,
}

impl Page {
    pub(crate) fn new(document: &impl Serialize, text: Text) -> Result<Self, Failure> {
        let json = serde_json::to_value(document).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write the answer as JSON: {error}"))
        })?;
        Ok(Self { json: Some(json), text: text.0.into_bytes(), exit: Exit::Done })
    }

    /// For a command that has printed all it has to say.
    pub(crate) fn nothing() -> Self {
        Self { json: None, text: Vec::new(), exit: Exit::Done }
    }

    /// The same document, with these very bytes instead of text.
    pub(crate) fn raw(mut self, bytes: Vec<u8>) -> Self {
        self.text = bytes;
        self
    }

    /// The same page, for a command that says with its exit code what it found.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// Where commands print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) json: bool,
}

impl Screen {
    /// Prints a page on standard output.
    pub(crate) fn show(self, page: &Page) -> ExitCode {
        let written = match &page.json {
            None => Ok(()),
            Some(json) if self.json => print(&document(json)),
            Some(_) => print(&page.text),
        };
        match written {
            Ok(()) => ExitCode::from(page.exit.code()),
            // Whoever read this has seen enough (`althing find … | head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(page.exit.code()),
            Err(error) => {
                note(&format!("{} cannot write to standard output: {error}", label("error:", "1;31")));
                ExitCode::from(Exit::Failed.code())
            }
        }
    }

    /// Refuses to print a file's bytes where they do no good; `what` is the file, with its article.
    pub(crate) fn takes_bytes(self, what: &str) -> Result<(), Failure> {
        if self.json {
            return Err(Failure::new(Exit::Usage, format!("--json and {what} both want standard output"))
                .hint("name a file, or leave --json out".to_owned()));
        }
        if io::stdout().is_terminal() {
            return Err(Failure::new(Exit::Usage, format!("{what} is no text for a terminal"))
                .hint("redirect standard output, or name a file".to_owned()));
        }
        Ok(())
    }

    /// Prints a failure: as text on standard error, and as a document on standard output if that was asked for.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        if self.json {
            // The exit code says it too, if nobody reads this.
            let json = failure.json();
            let _ = print(&if failure.is_line() { line(&json) } else { document(&json) });
        }
        note(&format!("{} {}", label("error:", "1;31"), clean(failure.cause())));
        failure.marked().for_each(|line| note(&format!("  {}", clean(line))));
        if let Some(hint) = failure.next_step() {
            note(&format!("{} {}", label("hint:", "1;36"), clean(hint)));
        }
        ExitCode::from(failure.exit.code())
    }
}

/// Prints a line on standard error; nobody may be there to read it.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints bytes on standard output.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Whether standard error may be coloured (<https://no-color.org>).
pub(crate) fn color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stderr().is_terminal()
}

/// A text without anything that could move the cursor, hide or reorder what a terminal shows: names and questions come
/// from strangers.
pub(crate) fn clean(text: &str) -> String {
    let harmless = |char: char| match char {
        '\n' | '\r' | '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    text.chars().map(harmless).collect()
}

/// Text for people, line by line.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn line(&mut self, line: &str) -> &mut Self {
        self.0.push_str(&clean(line));
        self.0.push('\n');
        self
    }

    /// All of it.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Names and values, the values in one column.
    pub(crate) fn pairs(&mut self, pairs: &[(&str, String)]) -> &mut Self {
        let width = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
        for (name, value) in pairs {
            self.line(&format!("{name:width$}  {value}"));
        }
        self
    }

    /// A table with aligned columns.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> &mut Self {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let lines: Vec<Vec<String>> = std::iter::once(&head)
            .chain(rows)
            .map(|row| row.iter().map(|cell| clean(cell)).collect())
            .collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                lines
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        for row in lines {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width_max)| format!("{cell}{}", " ".repeat(width_max - width(cell))))
                .collect();
            self.0.push_str(cells.join("  ").trim_end());
            self.0.push('\n');
        }
        self
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn document(json: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// A document that is a line of its own.
pub(crate) fn line(json: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn label(text: &str, style: &str) -> String {
    if color() { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_trailing_space() {
        let mut text = Text::default();
        text.table(&["A", "NAME"], &[vec!["long".into(), "é".into()], vec!["x".into(), "yy".into()]]);
        assert_eq!(text.0, "A     NAME\nlong  é\nx     yy\n");
    }

    #[test]
    fn strangers_cannot_write_to_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d\u{9b}e"), "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}e");
        let mut text = Text::default();
        text.table(&["Q"], &[vec!["x\nforged line".into()]]).pairs(&[("q", "y\nforged".into())]);
        assert_eq!(text.0, "Q\nx forged line\nq  y forged\n");
    }
}
