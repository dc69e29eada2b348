use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Cheap enough for a debug build; the default is exercised once.
const CHEAP: Stretch = Stretch { memory_kib: 64, passes: 1, lanes: 1 };

struct Home {
    _root: tempfile::TempDir,
    keys: PathBuf,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let keys = root.path().join("home/keys");
        Self { _root: root, keys }
    }

    fn machine(&self) -> Result<Keystore, KeystoreError> {
        Keystore::open_or_create(&self.keys, Unlock::Machine)
    }

    fn passphrase(&self, text: &str) -> Result<Keystore, KeystoreError> {
        Keystore::open_or_create_stretched(
            &self.keys,
            Unlock::Passphrase(Zeroizing::new(text.to_owned())),
            CHEAP,
        )
    }

    fn node_file(&self) -> PathBuf {
        self.keys.join(NODE_FILE)
    }

    /// Changes the text of the node's file and mends its checksum, as somebody with an editor could.
    fn edit_node_file(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.node_file()).unwrap();
        let body = &text[..text.rfind("check: ").unwrap()];
        assert!(body.contains(from), "{body}");
        fs::write(self.node_file(), with_check(body.replacen(from, to, 1))).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_survive_reopening_and_differ_from_each_other() {
    for open in [Home::machine, |home: &Home| home.passphrase("correct horse")] {
        let home = Home::new();
        let first = open(&home).unwrap();
        first.create_agent("writer").unwrap();
        let again = open(&home).unwrap();
        assert_eq!(again.agent_names().unwrap(), ["default", "writer"]);
        assert_eq!(first.node_key().public(), again.node_key().public());
        let mut publics = vec![again.node_key().public()];
        for name in ["default", "writer"] {
            assert_eq!(first.agent_key(name).unwrap().public(), again.agent_key(name).unwrap().public());
            publics.push(again.agent_key(name).unwrap().public());
        }
        publics.sort();
        publics.dedup();
        assert_eq!(publics.len(), 3);
    }
}

#[test]
fn default_stretch_is_written_into_the_file() {
    let home = Home::new();
    Keystore::open_or_create(&home.keys, Unlock::Passphrase(Zeroizing::new("pass".to_owned()))).unwrap();
    assert!(fs::read_to_string(home.node_file()).unwrap().contains("kdf: argon2id m=65536 t=3 p=1 salt="));
}

#[test]
fn files_are_private_and_no_secret_is_in_them() {
    let home = Home::new();
    let keys = home.machine().unwrap();
    assert_eq!(mode(&home.keys), 0o700);
    assert_eq!(mode(&home.keys.join(AGENTS_DIR)), 0o700);
    for file in [NODE_FILE, SECRET_FILE, "agents/default.key"] {
        assert_eq!(mode(&home.keys.join(file)), 0o600, "{file}");
    }
    let text = fs::read_to_string(home.node_file()).unwrap();
    assert!(!text.contains(&hex::encode(keys.node_key().seed().as_slice())));
    assert!(text.contains(&hex::encode(keys.node_key().public())));
}

#[test]
fn wrong_passphrase_is_named_and_makes_nothing() {
    let home = Home::new();
    home.passphrase("right").unwrap();
    let refused = home.passphrase("wrong").unwrap_err();
    assert!(matches!(refused, KeystoreError::WrongPassphrase { .. }), "{refused}");
    fs::remove_file(home.node_file()).unwrap();
    assert!(matches!(home.passphrase("wrong"), Err(KeystoreError::WrongPassphrase { .. })));
    assert!(!home.node_file().exists());
    home.passphrase("right").unwrap();
    assert!(matches!(home.passphrase(""), Err(KeystoreError::PassphraseEmpty)));
}

#[test]
fn the_other_way_to_unlock_is_named() {
    let home = Home::new();
    home.passphrase("right").unwrap();
    assert!(matches!(home.machine(), Err(KeystoreError::PassphraseNeeded { .. })));
    assert!(!home.keys.join(SECRET_FILE).exists());
    let home = Home::new();
    home.machine().unwrap();
    assert!(matches!(home.passphrase("x"), Err(KeystoreError::PassphraseUnexpected { .. })));
}

#[test]
fn a_lost_or_exchanged_machine_secret_is_named() {
    let (home, other) = (Home::new(), Home::new());
    home.machine().unwrap();
    other.machine().unwrap();
    let secret = home.keys.join(SECRET_FILE);
    fs::copy(other.keys.join(SECRET_FILE), &secret).unwrap();
    assert!(matches!(home.machine(), Err(KeystoreError::WrongMachineSecret { .. })));
    fs::remove_file(&secret).unwrap();
    assert!(matches!(home.machine(), Err(KeystoreError::MachineSecretMissing { .. })));
    assert!(!secret.exists());
}

#[test]
fn every_truncation_is_named() {
    let home = Home::new();
    home.machine().unwrap();
    let whole = fs::read(home.node_file()).unwrap();
    for len in 0..whole.len() {
        fs::write(home.node_file(), &whole[..len]).unwrap();
        let refused = home.machine().unwrap_err();
        // A cut that leaves a line of just the right length looks like an edit.
        let named = matches!(refused, KeystoreError::Truncated { .. } | KeystoreError::Damaged { .. });
        assert!(named, "{len}: {refused}");
    }
}

#[test]
fn every_flipped_byte_is_named() {
    let home = Home::new();
    home.machine().unwrap();
    let whole = fs::read(home.node_file()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        fs::write(home.node_file(), &bytes).unwrap();
        let refused = home.machine().unwrap_err();
        let named = matches!(refused, KeystoreError::Damaged { .. } | KeystoreError::Truncated { .. });
        assert!(named, "{at}: {refused}");
    }
}

#[test]
fn edits_with_a_mended_checksum_do_not_open() {
    let edits =
        [("m=64 ", "m=65 "), ("t=1 ", "t=2 "), ("nonce: ", "nonce: 00"), ("what: node", "what: agent")];
    for (from, to) in edits {
        let home = Home::new();
        home.passphrase("right").unwrap();
        home.edit_node_file(from, to);
        let refused = home.passphrase("right").unwrap_err();
        assert!(
            matches!(refused, KeystoreError::WrongPassphrase { .. } | KeystoreError::Malformed { .. }),
            "{from:?}: {refused}"
        );
    }
}

#[test]
fn a_newer_version_is_named() {
    let home = Home::new();
    home.machine().unwrap();
    home.edit_node_file("althing-key 1", "althing-key 2");
    assert!(matches!(home.machine(), Err(KeystoreError::NewerVersion { found: 2, newest: 1, .. })));
}

#[test]
fn stretching_asked_for_by_a_file_is_bounded() {
    for (from, to) in [("m=64", "m=1048577"), ("t=1", "t=17"), ("p=1", "p=5")] {
        let home = Home::new();
        home.passphrase("right").unwrap();
        home.edit_node_file(from, to);
        assert!(matches!(home.passphrase("right"), Err(KeystoreError::TooCostly { .. })), "{to}");
    }
}

#[test]
fn a_file_under_another_name_is_named() {
    let home = Home::new();
    let keys = home.machine().unwrap();
    fs::copy(home.node_file(), home.keys.join("agents/copy.key")).unwrap();
    assert!(matches!(keys.agent_key("copy"), Err(KeystoreError::OtherKey { .. })));
}

#[test]
fn a_seed_that_does_not_give_the_public_key_is_named() {
    let home = Home::new();
    let keys = home.machine().unwrap();
    let text = Envelope::seal(&Owner::Node, &keys.kdf, &keys.key, &[1; 32], &[2; 32]).unwrap();
    fs::write(home.node_file(), text).unwrap();
    assert!(matches!(home.machine(), Err(KeystoreError::PublicKeyMismatch { .. })));
}

#[test]
fn too_open_modes_are_refused_with_the_command_to_run() {
    for file in ["", AGENTS_DIR, NODE_FILE, SECRET_FILE] {
        let home = Home::new();
        home.machine().unwrap();
        let path = home.keys.join(file);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let refused = home.machine().unwrap_err();
        assert!(matches!(refused, KeystoreError::TooOpen { found: 0o644, .. }), "{refused}");
        let message = refused.to_string();
        assert!(message.contains("0644") && message.contains("run: chmod "), "{message}");
        assert!(message.contains(&path.display().to_string().trim_end_matches('/').to_owned()), "{message}");
    }
}

#[test]
fn symbolic_links_and_other_things_are_refused() {
    let home = Home::new();
    home.machine().unwrap();
    let aside = home.keys.join("aside");
    fs::rename(home.node_file(), &aside).unwrap();
    symlink(&aside, home.node_file()).unwrap();
    assert!(matches!(home.machine(), Err(KeystoreError::Symlink { .. })));
    fs::remove_file(home.node_file()).unwrap();
    fs::create_dir(home.node_file()).unwrap();
    assert!(matches!(home.machine(), Err(KeystoreError::NotExpected { .. })));

    let linked = Home::new();
    fs::create_dir_all(linked.keys.parent().unwrap()).unwrap();
    symlink(&home.keys, &linked.keys).unwrap();
    assert!(matches!(linked.machine(), Err(KeystoreError::Symlink { .. })));
}

// Even root cannot read the memory of a process from offset 0, and the file has mode 0600.
#[cfg(target_os = "linux")]
#[test]
fn an_unreadable_file_is_named() {
    let refused = files::read(Path::new("/proc/self/mem")).unwrap_err();
    assert!(matches!(refused, KeystoreError::Unreadable { .. }), "{refused}");
}

#[test]
fn agents_are_never_overwritten_and_have_plain_names() {
    let home = Home::new();
    let keys = home.machine().unwrap();
    let before = keys.agent_key("default").unwrap().public();
    assert!(matches!(keys.create_agent("default"), Err(KeystoreError::Exists { .. })));
    assert_eq!(keys.agent_key("default").unwrap().public(), before);
    assert!(matches!(keys.agent_key("nobody"), Err(KeystoreError::NoSuchAgent { .. })));
    for name in ["", "../node", ".hidden", "Upper", "a/b", "ä", &"x".repeat(65)] {
        assert!(matches!(keys.create_agent(name), Err(KeystoreError::Name { .. })), "{name}");
    }
    keys.create_agent("a.b-c_0").unwrap();
}

#[test]
fn leftovers_of_a_crash_are_swept_and_what_is_missing_is_made() {
    let home = Home::new();
    let before = home.machine().unwrap();
    fs::remove_file(home.keys.join("agents/default.key")).unwrap();
    let left = home.keys.join("agents/.default.key.0011.tmp");
    fs::write(&left, b"half a k").unwrap();
    let after = home.machine().unwrap();
    assert!(!left.exists());
    assert_eq!(before.node_key().public(), after.node_key().public());
    after.agent_key("default").unwrap();
}

const CRASH_DIR: &str = "ALTHING_KEYSTORE_CRASH_DIR";

/// Not a test of its own: the child that [`a_killed_process_leaves_whole_keys`] starts and kills.
#[test]
fn crash_child() {
    let Some(dir) = std::env::var_os(CRASH_DIR) else { return };
    let keys = Keystore::open_or_create(Path::new(&dir), Unlock::Machine).unwrap();
    for n in 0.. {
        keys.create_agent(&format!("a{n}")).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_whole_keys() {
    for round in 0..8 {
        let home = Home::new();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "keystore::tests::crash_child"])
            .env(CRASH_DIR, &home.keys)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Each round waits for another number of keys, so that the kill falls at another place.
        let agents = home.keys.join(AGENTS_DIR);
        while fs::read_dir(&agents).map_or(0, Iterator::count) < 3 * round {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let keys = home.machine().unwrap();
        for name in keys.agent_names().unwrap() {
            keys.agent_key(&name).unwrap();
        }
        assert!(files::names(&agents).unwrap().iter().all(|name| name.ends_with(KEY_SUFFIX)));
    }
}

#[test]
fn debug_shows_no_secret() {
    let home = Home::new();
    let keys = home.passphrase("open sesame").unwrap();
    let shown = format!("{keys:?} {:?}", Unlock::Passphrase(Zeroizing::new("open sesame".to_owned())));
    assert!(!shown.contains("sesame"), "{shown}");
    assert!(!shown.contains(&hex::encode(keys.node_key().seed().as_slice())), "{shown}");
}

#[test]
fn a_key_that_exists_is_adopted_and_overwrites_nothing() {
    let home = Home::new();
    let key = AgentKey::from_seed(&[7; 32]);
    let adopt = |name: &str| Keystore::adopt_agent(&home.keys, Unlock::Machine, name, &key);
    assert!(Keystore::open(&home.keys, Unlock::Machine).unwrap().is_none());
    assert!(matches!(adopt("../x"), Err(KeystoreError::Name { .. })));
    assert!(!home.keys.exists(), "nothing was made so far");
    assert!(adopt("default").unwrap());
    let keys = Keystore::open(&home.keys, Unlock::Machine).unwrap().unwrap();
    assert_eq!(keys.agent_names().unwrap(), ["default"], "and no other agent");
    assert_eq!(keys.agent_key("default").unwrap().public(), key.public());
    assert_eq!(keys.node_key().public(), home.machine().unwrap().node_key().public());
    assert!(!adopt("default").unwrap(), "it is there");
    let other = keys.create_agent("other").unwrap().agent();
    let refused = adopt("other").unwrap_err();
    assert!(matches!(refused, KeystoreError::OtherAgent { found, .. } if found == other), "{refused}");
    assert_eq!(keys.agent_key("other").unwrap().agent(), other);
}

#[test]
fn opening_makes_nothing_and_needs_the_same_secret() {
    let home = Home::new();
    home.passphrase("right").unwrap();
    let open = |unlock| Keystore::open(&home.keys, unlock);
    assert!(matches!(open(Unlock::Machine), Err(KeystoreError::PassphraseNeeded { .. })));
    assert!(!home.keys.join(SECRET_FILE).exists());
    let wrong = Unlock::Passphrase(Zeroizing::new("wrong".to_owned()));
    assert!(matches!(open(wrong), Err(KeystoreError::WrongPassphrase { .. })));
    let right = Unlock::Passphrase(Zeroizing::new("right".to_owned()));
    assert!(open(right).unwrap().is_some());
}
