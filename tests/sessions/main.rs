//! The terminal sessions in the documents, run as they stand there.
//!
//! Every block marked `console` is run: the lines that begin with `$ ` in order, in one shell, each with the output
//! below it. Nothing may be left out but what a reader would expect to differ:
//!
//! - `…` alone on a line stands for any lines; the rest of the output may go on.
//! - An id with `…` in it, a time, a decimal number and a number of four or more digits stand for any. What one stood
//!   for is remembered, and a later command or output that shows it again means the same. A beginning of an id means
//!   the same beginning.
//! - Blanks are as wide as they need to be.
//! - `/tmp/x` is `x` in a directory of the test's own, where `examples` is too.
//!
//! `althing up` and what follows (`--follow`, `--watch`) runs on in the background.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod memory;
mod session;
mod terminal;

use std::path::Path;

use session::{Step, steps};
use terminal::Terminal;

fn play(document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(document);
    let steps = steps(&std::fs::read_to_string(&path).unwrap());
    assert!(!steps.is_empty(), "{document} has no session");
    let mut terminal = Terminal::new();
    for step in &steps {
        let Step { line, command, .. } = step;
        terminal.run(step).unwrap_or_else(|cause| panic!("{document}:{line}: $ {command}\n{cause}"));
    }
}

#[test]
fn readme() {
    play("README.md");
}

#[test]
fn every_other_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut looked = 0;
    for dir in ["", "docs", "docs/spec", "docs/adr", "examples"] {
        for file in std::fs::read_dir(root.join(dir)).unwrap().flatten() {
            let name = Path::new(dir).join(file.file_name()).display().to_string();
            if !name.ends_with(".md") || name == "README.md" {
                continue;
            }
            looked += 1;
            if std::fs::read_to_string(file.path()).unwrap().contains("\n```console\n") {
                play(&name);
            }
        }
    }
    assert!(looked > 15, "{looked} documents");
}
