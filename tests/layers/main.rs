//! Holds the picture of DESIGN: arrows point down only, and below the line there is no IO, no clock, no entropy and no
//! async runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on, of this workspace. A new edge is a decision: change it here, in a commit of its own.
const EDGES: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("store", &[]),
    ("sync", &["record"]),
    ("card", &["record", "store"]),
    ("group", &["record", "store"]),
    ("ballot", &["agree", "group", "record", "store", "tally"]),
    ("agree", &["record"]),
    ("trust", &["record"]),
    ("a2a", &["record"]),
    ("route", &[]),
    ("tally", &[]),
    ("engine", &["agree", "ballot", "card", "group", "record", "store", "sync", "tally", "trust"]),
    ("rocks", &["store"]),
    ("keystore", &["record"]),
    ("net", &["record"]),
    ("telemetry", &[]),
    ("tunnel", &["a2a", "record", "route", "trust"]),
    ("agent", &["tunnel"]),
    ("gateway", &["a2a", "ballot", "card", "engine", "record", "route", "trust", "tunnel"]),
    ("testnet", &["gateway", "record"]),
    (
        "node",
        &[
            "a2a",
            "agent",
            "ballot",
            "card",
            "engine",
            "gateway",
            "keystore",
            "net",
            "record",
            "rocks",
            "route",
            "store",
            "tally",
            "telemetry",
            "testnet",
            "trust",
            "tunnel",
        ],
    ),
    ("testkit", &["record"]),
    ("sim", &["agree", "ballot", "card", "engine", "record", "store", "testkit", "trust"]),
    ("tests", &[]),
];

/// Below the line.
const PURE: &[&str] = &[
    "record", "store", "sync", "card", "ballot", "group", "agree", "tally", "trust", "a2a", "route", "engine",
];

/// Outside crates that pure crates may name: formats, URLs, hashes, signatures, ciphers, secret sharing, seeded randomness,
/// and the rounds of an agreement, which have neither a clock nor a network of their own.
const PURE_OUTSIDE: &[&str] = &[
    "arc-malachitebft-core-driver",
    "arc-malachitebft-core-types",
    "base64",
    "blahaj",
    "bs58",
    "chacha20poly1305",
    "ciborium-io",
    "ciborium-ll",
    "curve25519-dalek",
    "ed25519-dalek",
    "hex",
    "hkdf",
    "negentropy",
    "rand_chacha",
    "rand_core",
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "sha2",
    "thiserror",
    "url",
    "x25519-dalek",
    "zeroize",
];

/// Words that code below the line never says, whatever it depends on.
const IMPURE_WORDS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::time",
    "Instant::now",
    "SystemTime",
    "tokio",
    "getrandom",
    "OsRng",
    "async fn",
    "println!",
    "eprintln!",
];

fn workspace() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// Normal dependencies by crate, as cargo sees them.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().expect("dependencies").iter();
            let normal = normal.filter(|dependency| dependency["kind"].is_null());
            (short(&text(&package["name"])), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

fn short(name: &str) -> String {
    match name.strip_prefix("althing-") {
        Some(short) => short.to_owned(),
        None if name == "althing" => "node".to_owned(),
        None => name.to_owned(),
    }
}

#[test]
fn every_edge_is_in_the_picture() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        let allowed = EDGES.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        let Some(allowed) = allowed else {
            wrong.push(format!("crate {name} is not in the picture"));
            continue;
        };
        let inside = dependencies.iter().filter(|name| name.starts_with("althing-"));
        for dependency in inside.map(|name| short(name)) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} → {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the picture does not have: {wrong:#?}");
}

#[test]
fn pure_crates_name_only_pure_crates() {
    let dependencies = dependencies();
    for name in PURE {
        for outside in dependencies[*name].iter().filter(|outside| !outside.starts_with("althing-")) {
            assert!(PURE_OUTSIDE.contains(&outside.as_str()), "{name} depends on {outside}");
        }
    }
}

/// Alone it takes altered, repeated and zeroth shares without a word. Both that name it check what it gives: the keystore
/// against a public key, sealed ballots by dealing again.
#[test]
fn only_the_keystore_and_ballots_name_the_shamir_library() {
    let named: Vec<String> = dependencies()
        .into_iter()
        .filter(|(_, dependencies)| dependencies.iter().any(|name| name == "blahaj" || name == "sharks"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, ["ballot", "keystore"]);
}

#[test]
fn code_below_the_line_does_no_io_and_reads_no_clock() {
    let mut wrong = Vec::new();
    for name in PURE {
        let mut folders = vec![workspace().join("crates").join(name).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the folder is readable").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.extend((!path.ends_with("tests")).then_some(path));
                } else if path.extension().is_some_and(|extension| extension == "rs")
                    && !path.ends_with("tests.rs")
                {
                    let source = std::fs::read_to_string(&path).expect("source is UTF-8");
                    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
                    let code: String = code
                        .lines()
                        .filter(|line| !line.trim_start().starts_with("//"))
                        .collect::<Vec<_>>()
                        .join("\n");
                    let found = IMPURE_WORDS.iter().filter(|word| code.contains(**word));
                    wrong.extend(found.map(|word| format!("{}: {word}", path.display())));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
