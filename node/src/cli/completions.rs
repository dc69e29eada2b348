//! What is generated from the definitions of the command line: completions and man pages.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Writer;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use super::args::Cli;
use super::failure::{Exit, Failure};
use super::page::{Page, Text};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  althing completions bash > ~/.local/share/bash-completion/completions/althing
  althing completions zsh > ~/.zfunc/_althing
  althing completions fish > ~/.config/fish/completions/althing.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  althing man | man -l -
  althing man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for each command into this directory, which must exist
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn completions(args: &Completions) -> Result<Page, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "althing", &mut script);
    let document = json!({
        "schema": "althing.completions/v1",
        "shell": args.shell.to_string(),
        "script": String::from_utf8_lossy(&script),
    });
    Ok(Page::new(&document, Text::default())?.raw(script))
}

pub(crate) fn man(args: &Man) -> Result<Page, Failure> {
    let mut pages = Vec::new();
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let written = collect(&command, &mut pages);
    written.map_err(|error| Failure::new(Exit::Failed, format!("cannot write a man page: {error}")))?;
    let Some(dir) = &args.out else {
        let (_, page) = pages.swap_remove(0);
        let document = json!({"schema": "althing.man/v1", "page": String::from_utf8_lossy(&page)});
        return Ok(Page::new(&document, Text::default())?.raw(page));
    };
    for (name, page) in &pages {
        let path = dir.join(name);
        fs::write(&path, page).map_err(|error| {
            Failure::file("write", &path, &error).hint("--out names a directory that exists".to_owned())
        })?;
    }
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = Text::default();
    text.line(&format!("wrote {} pages to {}", names.len(), dir.display()));
    Page::new(&json!({"schema": "althing.man-pages/v1", "dir": dir, "pages": names}), text)
}

/// The pages of a command and all below it, its own first.
fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let writer =
        Writer::new(command.clone()).manual("Althing").source(concat!("althing ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    writer.render_title(&mut page)?;
    writer.render_name_section(&mut page)?;
    writer.render_synopsis_section(&mut page)?;
    writer.render_description_section(&mut page)?;
    writer.render_options_section(&mut page)?;
    if command.has_subcommands() {
        writer.render_subcommands_section(&mut page)?;
    }
    if let Some(after) = command.get_after_help() {
        render_after(&after.to_string(), &mut page)?;
    }
    pages.push((writer.get_filename(), page));
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| collect(below, pages))
}

/// What stands below the options: examples, line by line, and paragraphs.
fn render_after(text: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::default();
    let mut noted = false;
    for paragraph in text.split("\n\n") {
        match paragraph.strip_prefix("Examples:\n") {
            Some(examples) => {
                roff.control("SH", ["EXAMPLES"]).control("nf", []);
                examples.lines().for_each(|line| {
                    roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
                });
                roff.control("fi", []);
            }
            None => {
                let break_before = if noted { "PP" } else { "SH" };
                roff.control(break_before, (!noted).then_some("NOTES"));
                noted = true;
                paragraph.lines().for_each(|line| {
                    roff.text([roman(line)]);
                });
            }
        }
    }
    roff.to_writer(page)
}
