//! The command line: one module for each group of commands.

mod agent;
mod args;
mod bench;
mod call;
mod card;
mod completions;
mod config;
mod count;
mod detach;
mod docket;
mod doctor;
mod duration;
mod events;
mod evidence;
#[cfg(test)]
mod examples;
mod expose;
mod failure;
mod find;
mod group;
mod key;
mod logs;
mod network;
mod node;
mod page;
mod patience;
mod ping;
mod rep;
mod send;
mod session;
mod store;
mod task;
mod testnet;
mod trace;
mod up;
mod usage;
mod verify;
mod vote;
mod wait;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::failure::Failure;
use self::page::{Page, Screen};
use self::session::Session;
use self::trace::Trace;
use crate::settings::{Key, Settings, Sources};

/// Reads the command line, does what it says, and prints how that went.
pub(crate) fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error, &words),
    };
    let screen = Screen { json: cli.json || cli.command.wants_json() || detach::is_child() };
    match run(cli, screen) {
        Ok(page) => screen.show(&page),
        Err(failure) => screen.fail(&failure),
    }
}

fn run(cli: Cli, screen: Screen) -> Result<Page, Failure> {
    let mut flags = BTreeMap::new();
    if let Command::Up(args::Up { settings, .. })
    | Command::Config { command: args::Config::Show { settings, .. } } = &cli.command
    {
        flags = settings.given();
    }
    // An empty name is none, as with variables.
    let home = cli.home.filter(|home| !home.as_os_str().is_empty());
    flags.extend(home.map(|home| (Key::Home, vec![home.display().to_string()])));
    let sources = Sources::new(flags, cli.config);
    let session = Session::new(&sources, cli.timeout, Trace::of(cli.verbose, cli.debug));
    match cli.command {
        Command::Up(args) => up::up(&args, &Settings::read(&sources)?, &session, screen),
        Command::Config { command } => config::config(&command, &sources),
        Command::Key { command } => key::key(command, &session, &sources, screen),
        Command::Store { command } => store::store(command, &session, screen),
        Command::Network { command } => network::network(command),
        Command::Bench(args) => session.block_on(bench::bench(args)),
        Command::BenchAgent => session.block_on(bench::agent()),
        Command::Testnet { command } => session.block_on(testnet::testnet(command, &session, screen)),
        Command::Vote { command: args::Vote::Verify { file, genesis } } => {
            verify::verify(&file, genesis.as_deref())
        }
        Command::Vote { command: args::Vote::Count { rules, ballots } } => count::count(&rules, &ballots),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
        Command::Logs(args) => logs::logs(&args, &session, screen),
        Command::Down => session.block_on(node::down(&session)),
        Command::Wait(args) => session.block_on(wait::wait(args, &session)),
        Command::Status => session.ask(node::status(&session)),
        Command::Peers => session.ask(node::peers(&session)),
        Command::Doctor => session.block_on(doctor::doctor(&session, &sources)),
        Command::Ping(args) => session.block_on(ping::ping(args, &session, screen)),
        Command::Agent { command: args::Agent::Ls } => session.ask(agent::ls(&session)),
        Command::Card { command: args::Card::Watch { agent } } => {
            session.block_on(card::watch(agent, &session, screen))
        }
        Command::Card { command } => session.ask(card::card(command, &session)),
        Command::Expose(args) => session.block_on(expose::expose(args, &session, screen)),
        // It may be read for longer than an answer.
        Command::Rep { command: args::Rep::Export } => session.block_on(rep::export(&session, screen)),
        Command::Rep { command } => session.ask(rep::rep(command, &session)),
        Command::Unexpose { name } => session.ask(expose::unexpose(&name, &session)),
        Command::Send(args) => send::send(args, &session, screen).map_err(Failure::of_call),
        Command::Task { command } => task::task(command, &session, screen).map_err(Failure::of_call),
        Command::Find(args) if args.watch => session.block_on(find::watch(args, &session, screen)),
        Command::Find(args) => session.ask(find::find(args, &session)),
        Command::Group { command } => session.ask(group::group(command, &session)),
        // What they wait for, or read, may take longer than an answer.
        Command::Vote {
            command: command @ (args::Vote::Result { .. } | args::Vote::Watch { .. } | args::Vote::Audit(_)),
        } => session.block_on(vote::vote(command, &session, screen)),
        Command::Vote { command } => session.ask(vote::vote(command, &session, screen)),
        Command::Docket { command: command @ args::Docket::Result { .. } } => {
            session.block_on(docket::docket(command, &session, screen))
        }
        Command::Docket { command } => session.ask(docket::docket(command, &session, screen)),
        Command::Events(args) => session.block_on(events::events(args, &session, screen)),
        Command::Evidence { command: args::Evidence::Ls } => session.ask(evidence::ls(&session)),
    }
}
