use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Sources without a file, and with these variables.
fn sources(variables: &[(&str, &str)]) -> Sources {
    let mut variables: BTreeMap<_, _> =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    variables.entry("HOME".into()).or_insert("/home/x".into());
    Sources { config: Some("".into()), variables, ..Sources::default() }
}

fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("althing.toml");
    fs::write(&path, text).unwrap();
    let sources = Sources { config: Some(path), ..sources(&[]) };
    (dir, sources)
}

fn said(text: &str) -> (String, String) {
    let (_dir, sources) = with_file(text);
    let error = Settings::read(&sources).unwrap_err();
    let message = error.to_string();
    (message.split_once("althing.toml").unwrap().1.to_owned(), error.hint())
}

#[test]
fn flags_win_over_variables_over_files_over_defaults() {
    let (_dir, mut sources) = with_file("profile = \"testnet\"\n[api]\nlisten = \"127.0.0.1:1\"\n");
    let origin = |sources: &Sources, key| {
        let settings = Settings::read(sources).unwrap();
        let (_, texts, origin) = settings.listing().into_iter().find(|(found, ..)| *found == key).unwrap();
        (texts.concat(), origin)
    };
    assert!(matches!(origin(&sources, Key::ApiListen).1, Origin::File { line: 3, .. }));
    assert_eq!(origin(&sources, Key::LogFormat), ("text".into(), Origin::Default));
    assert!(!Settings::read(&sources).unwrap().mdns, "off with the testnet profile");
    sources.variables.insert("ALTHING_API_LISTEN".into(), "127.0.0.1:2".into());
    let variable = Origin::Variable("ALTHING_API_LISTEN".into());
    assert_eq!(origin(&sources, Key::ApiListen), ("127.0.0.1:2".into(), variable));
    sources.flags.insert(Key::ApiListen, vec!["127.0.0.1:3".into()]);
    assert_eq!(origin(&sources, Key::ApiListen), ("127.0.0.1:3".into(), Origin::Flag));
    assert_eq!(Settings::read(&sources).unwrap().api_listen.port(), 3);
}

#[test]
fn project_wins_over_user_over_system() {
    let dir = tempfile::tempdir().unwrap();
    let user = dir.path().join("config/althing");
    let system = dir.path().join("etc");
    fs::create_dir_all(&user).unwrap();
    fs::create_dir_all(&system).unwrap();
    fs::write(user.join("althing.toml"), "genesis = \"user\"\n").unwrap();
    fs::write(system.join("althing.toml"), "genesis = \"system\"\npassphrase_file = \"secret\"\n").unwrap();
    let config = dir.path().join("config").display().to_string();
    let sources =
        Sources { config: None, system: system.clone(), ..sources(&[("XDG_CONFIG_HOME", &config)]) };
    assert_eq!(
        sources.files().iter().map(|(path, _)| path.as_path()).collect::<Vec<_>>(),
        [Path::new("althing.toml"), &user.join("althing.toml"), &system.join("althing.toml"),]
    );
    let settings = Settings::read(&sources).unwrap();
    assert_eq!(settings.genesis, Some(user.join("user")), "paths start at their file");
    assert_eq!(settings.passphrase_file, Some(system.join("secret")));
}

#[test]
fn unknown_setting_is_named_with_its_line_and_the_nearest_one() {
    let (message, hint) = said("profile = \"default\"\n\n[api]\nlisen = \"127.0.0.1:1\"\n");
    assert_eq!(message, ":4: unknown setting \"api.lisen\"");
    assert_eq!(hint, "did you mean api.listen?");
    let (message, hint) = said("[frobnication]\nspeed = 9\n");
    assert_eq!(message, ":2: unknown setting \"frobnication.speed\"");
    assert_eq!(hint, "`althing config show --config \"\"` lists the settings");
    assert_eq!(said("api = 3\n").0, ":1: unknown setting \"api\"");
    assert_eq!(said("[frobnication]\n").0, ":1: unknown setting \"frobnication\"");
}

#[test]
fn misspelt_variable_is_named_and_foreign_ones_are_left_alone() {
    let error = Settings::read(&sources(&[("ALTHING_API_LISTN", "127.0.0.1:1")])).unwrap_err();
    assert_eq!(error.hint(), "did you mean ALTHING_API_LISTEN?");
    for foreign in ["ALTHING_BIN", "ALTHING_SIM_SEEDS", "ALTHING_TEST_SKIPS", "ALTHING_CONFIG_DUMP_9"] {
        assert!(Settings::read(&sources(&[(foreign, "x")])).is_ok(), "{foreign}");
    }
}

#[test]
fn wrong_shapes_and_values_are_named_with_their_line() {
    assert_eq!(said("join = \"a\"\n").0, ":1: join is string, expected an array of strings");
    assert_eq!(said("\nmdns = \"yes\"\n").0, ":2: mdns is string, expected true or false");
    assert_eq!(said("home = 7\n").0, ":1: home is integer, expected a string");
    assert_eq!(said("join = [7]\n").0, ":1: join is integer, expected an array of strings");
    assert!(said("api.listen = \"x\"\n").0.contains(":1: api.listen = \"x\": expected ADDRESS:PORT"));
    assert!(said("profile = \"x\"\n").0.contains("expected default or testnet"));
    assert!(said("log.format = \"x\"\n").0.contains("expected text or json"));
    assert!(said("join = [\"/ip4/1.2.3.4/x\"]\n").0.contains(":1: join = \"/ip4/1.2.3.4/x\": "));
    assert!(said("join = [\"\"]\n").0.contains("expected a value"));
    assert!(said("a = 1\na = 2\n").0.starts_with(":2: "), "{:?}", said("a = 1\na = 2\n"));
    assert!(said("genesis = \"\"\n").0.contains("expected a path"));
    assert_eq!(said("api.certificate = \"a\"\n").0, ":1: api.certificate is set and api.private_key is not");
    let error = Settings::read(&sources(&[("ALTHING_PROFILE", "x")])).unwrap_err();
    assert!(error.to_string().starts_with("ALTHING_PROFILE: profile = \"x\": "), "{error}");
}

#[test]
fn file_of_a_later_version_is_not_blamed_for_what_it_says() {
    let (message, _) = said("frob = 1\nversion = 2\n");
    assert_eq!(message, ":2: configuration version 2, expected at most 1");
    let (_dir, sources) = with_file("version = 1\n");
    assert!(Settings::read(&sources).is_ok());
}

#[test]
fn what_others_may_have_written_is_refused_unless_it_was_named() {
    let (_dir, mut sources) = with_file("mdns = false\n");
    let path = sources.config.clone().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(!Settings::read(&sources).unwrap().mdns, "--config names it");
    sources.config = None;
    sources.system = path.parent().unwrap().to_owned();
    let error = Settings::read(&sources).unwrap_err();
    assert!(error.to_string().contains("has mode 0666: every user can write it"), "{error}");
}

/// What comes of settings that lie where they are looked for; never waited for.
fn found_in(dir: &Path) -> Result<Settings, SettingsError> {
    let sources = Sources { config: None, system: dir.to_owned(), ..sources(&[]) };
    let (send, receive) = mpsc::sync_channel(1);
    std::thread::spawn(move || drop(send.send(Settings::read(&sources))));
    receive.recv_timeout(Duration::from_secs(20)).expect("nothing is waited for")
}

#[test]
fn a_pipe_that_lies_where_settings_are_looked_for_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("mkfifo").arg(dir.path().join("althing.toml")).status();
    assert!(made.is_ok_and(|made| made.success()));
    let error = found_in(dir.path()).unwrap_err();
    assert!(error.to_string().contains("it is no plain file"), "{error}");
}

#[test]
fn a_link_of_another_user_is_refused_wherever_it_leads() {
    let (dir, _) = with_file("mdns = false\n");
    let there = tempfile::tempdir().unwrap();
    let link = there.path().join("althing.toml");
    std::os::unix::fs::symlink(dir.path().join("althing.toml"), &link).unwrap();
    assert!(!found_in(there.path()).unwrap().mdns, "one's own link");
    if let Err(error) = std::os::unix::fs::lchown(&link, Some(4_242), None) {
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return althing_tests::skip("giving a file to another user needs root");
    }
    let error = found_in(there.path()).unwrap_err();
    assert!(error.to_string().contains("belongs to user 4242"), "{error}");
}

#[test]
fn file_that_was_named_must_be_there() {
    let mut sources = sources(&[]);
    sources.config = Some("/nonexistent/althing.toml".into());
    let error = Settings::read(&sources).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/althing.toml"), "{error}");
    sources.config = None;
    sources.variables.insert("ALTHING_CONFIG".into(), "/nonexistent/b.toml".into());
    assert!(Settings::read(&sources).unwrap_err().to_string().contains("b.toml"));
}

#[test]
fn every_setting_has_its_own_name_and_variable() {
    for key in Key::ALL {
        assert_eq!(Key::named(key.name()), Some(key));
        assert_eq!(Key::ALL.iter().filter(|other| other.variable() == key.variable()).count(), 1);
    }
}

#[test]
fn bounds_are_whole_numbers_within_bounds_of_their_own() {
    let read = |text: &str| {
        let (_dir, sources) = with_file(text);
        let settings = Settings::read(&sources).unwrap();
        (settings.api_connections, settings.calls_per_peer)
    };
    assert_eq!(read(""), (128, 2_048));
    assert_eq!(read("api.connections = 10_000\ncalls.per_peer = 1\n"), (10_000, 1));
    for (text, cause) in [
        ("api.connections = \"9\"\n", "expected a whole number"),
        ("api.connections = 0\n", "from 1 to 65536"),
        ("calls.per_peer = 16385\n", "from 1 to 16384"),
        ("calls.per_peer = -1\n", "from 1 to 16384"),
        ("reputation.checkpoint_seconds = -1\n", "from 0 to 31622400"),
    ] {
        let (message, _) = said(text);
        assert!(message.contains(cause), "{text}: {message}");
    }
    let mut sources = sources(&[("ALTHING_CALLS_PER_PEER", "70")]);
    sources.flags.insert(Key::ApiConnections, vec!["60".into()]);
    let settings = Settings::read(&sources).unwrap();
    assert_eq!((settings.api_connections, settings.calls_per_peer), (60, 70));
}
