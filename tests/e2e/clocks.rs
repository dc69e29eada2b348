//! A real node whose clock is wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use althing_tests::{Home, Node, althing, poll, skip};

use crate::commands::TRANSLATOR;

/// The library of faketime(1), which gives a process another clock.
fn library() -> Option<PathBuf> {
    let dirs = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|of| PathBuf::from("/usr/lib").join(of));
    dirs.into_iter().map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

/// A command that runs with a wall clock that is off by so many seconds; time passes as fast as ever.
fn off_by(seconds: i64, library: &PathBuf, mut command: Command) -> Command {
    command.env("LD_PRELOAD", library).env("FAKETIME", format!("{seconds:+}"));
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
    command
}

#[test]
fn a_node_ten_minutes_off_finds_and_is_found() {
    let Some(library) = library() else { return skip("a wrong clock needs faketime") };
    for seconds in [-600, 600] {
        let home = Home::new();
        let one = Node::up(&home.join("1"), &[]);
        let two = Node::join(&home.join("2"), &one);
        let at = home.join("3");
        let mut words: Vec<OsString> =
            ["--json", "--home"].map(Into::into).into_iter().chain([at.clone().into()]).collect();
        words.extend(["up", "--profile", "testnet", "--api", "127.0.0.1:0"].map(Into::into));
        words.extend(["--listen", "/ip4/127.0.0.1/tcp/0", "--join", &one.address()].map(Into::into));
        let off = Node::start(&at, off_by(seconds, &library, althing(&words)));
        poll("it is connected", || (off.status()["peers"].as_u64()? > 0).then_some(()));
        // It really is off: it says so itself.
        let seen = poll("its clock is seen to be off", || off.status()["clock_offset_ms"].as_i64());
        assert!((seen + seconds * 1_000).abs() < 60_000, "off by {seconds} s, and sees {seen} ms");
        let nodes = [&one, &two, &off];
        for node in nodes {
            let _ = node.ask("althing.published/v1", &["card", "publish", TRANSLATOR]);
        }
        for node in nodes {
            for agent in nodes.map(Node::agent) {
                poll("every agent is found as served from every node", || {
                    let found = node.ask("althing.find/v1", &["find", "--skill", "text/translate"]);
                    let of = found["agents"].as_array()?.iter().find(|of| of["agent"] == agent.as_str())?;
                    (of["leases"].as_array()?.len() == 1).then_some(())
                });
            }
        }
    }
}
