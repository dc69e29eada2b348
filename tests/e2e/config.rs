//! Configuration files, as a user writes them.

use std::fs;
use std::process::Command;

use althing_tests::{Home, Node, althing, run};

/// Runs a command in a directory and returns its exit code, output and errors.
fn at(dir: &std::path::Path, command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.current_dir(dir).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn commands_use_the_home_that_the_file_in_the_working_directory_names() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    home.write("althing.toml", "home = \"n\"\n");
    let (code, out, err) = at(home.path(), &mut althing(&["status"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&node.agent()) || out.contains(node.api().as_str()), "{out}");
    // No file, or a flag: both win.
    let (code, ..) = at(home.path(), &mut althing(&["status", "--config", ""]));
    assert_eq!(code, Some(3));
    let (code, ..) = at(home.path(), &mut althing(&["status", "--home", "elsewhere"]));
    assert_eq!(code, Some(3));
}

#[test]
fn every_value_names_its_source_and_the_output_is_a_file_again() {
    let home = Home::new();
    home.write("althing.toml", "join = []\n\n[api]\nlisten = \"127.0.0.1:7575\"\n");
    let mut show = althing(&["config", "show", "--origin", "--profile", "testnet", "--home", "n"]);
    let (code, out, err) = at(home.path(), show.env("ALTHING_LOG_FILTER", "warn"));
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "home = \"n\"  # the command line",
        "join = []  # althing.toml:1",
        "profile = \"testnet\"  # the command line",
        "mdns = false  # default",
        "reachability = \"auto\"  # default",
        "relay = true  # default",
        "upnp = false  # default",
        "listen = \"127.0.0.1:7575\"  # althing.toml:4",
        "filter = \"warn\"  # ALTHING_LOG_FILTER",
        "format = \"text\"  # default",
    ] {
        assert!(out.lines().any(|found| found == line), "{line:?} is not in\n{out}");
    }
    let copy = home.write("copy.toml", &out).display().to_string();
    let again = run(&["config", "show", "--config", &copy, "--json"]).expect(0).json("althing.config/v1");
    let listen = again["settings"].as_array().unwrap().iter().find(|one| one["key"] == "api.listen").unwrap();
    assert_eq!(listen["value"], "127.0.0.1:7575");
    assert_eq!(listen["origin"]["path"], copy.as_str());
}

#[test]
fn mistakes_are_named_with_file_and_line_and_nothing_is_started() {
    let home = Home::new();
    let wrong = home.write("wrong.toml", "profile = \"testnet\"\n[api]\nlisen = \"127.0.0.1:1\"\n");
    let wrong = wrong.display().to_string();
    let at = home.join("n").display().to_string();
    for command in ["up", "status", "peers"] {
        let _ = run(&[command, "--home", &at, "--config", &wrong])
            .expect(2)
            .says(&format!("{wrong}:3: unknown setting \"api.lisen\""))
            .says("hint: did you mean api.listen?");
    }
    assert!(!home.join("n").exists());
    let newer = home.write("newer.toml", "version = 9\nteleport = true\n").display().to_string();
    let _ = run(&["up", "--home", &at, "--config", &newer])
        .expect(2)
        .says("newer.toml:1: configuration version 9, expected at most 1");
    // What needs no node does not care.
    let _ = run(&["network", "show", "--config", &newer]).expect(0);
    fs::write(&newer, "api.listen = \"0.0.0.0:0\"\n").unwrap();
    let _ =
        run(&["up", "--home", &at, "--config", &newer]).expect(1).says("needs TLS").says("api.certificate");
}
