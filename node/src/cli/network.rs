use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use althing_card::JSON_BYTES_MAX;
use althing_gateway::api::rfc3339;
use althing_record::cbor::Text as BoundedText;
use althing_record::{AgentId, GENESIS_BYTES_MAX, Genesis, Millis, Network};
use serde_json::json;

use super::args;
use super::duration;
use super::failure::{Exit, Failure};
use super::page::{Page, Text};

pub(crate) fn network(command: args::Network) -> Result<Page, Failure> {
    match command {
        args::Network::Init { name, anchors, committee, rating_epoch, out } => {
            let network = Network::new(genesis(&name, anchors, committee, rating_epoch)?)
                .map_err(|error| Failure::new(Exit::Usage, error))?;
            write_new(&out, &network.to_bytes())?;
            let mut text = describe(&network);
            text.line("")
                .line(&format!("wrote {}; every node needs it: `althing up --genesis {0}`", out.display()));
            Page::new(&document(&network), text)
        }
        args::Network::Show { file } => {
            let network = file.as_deref().map_or_else(|| Ok(Network::builtin()), read)?;
            Page::new(&document(&network), describe(&network))
        }
    }
}

/// Reads a genesis file.
pub(crate) fn read(file: &Path) -> Result<Network, Failure> {
    let failed = |error| Failure::file("read the genesis file", file, &error);
    let mut bytes = Vec::new();
    // Not by the file's length: a device or pipe has none.
    File::open(file)
        .and_then(|open| open.take(GENESIS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() > GENESIS_BYTES_MAX {
        let cause = format!("{} is larger than a genesis file's {GENESIS_BYTES_MAX} bytes", file.display());
        return Err(Failure::new(Exit::Failed, cause));
    }
    Network::from_bytes(&bytes).map_err(|error| {
        Failure::new(Exit::Failed, format!("{}: {error}", file.display()))
            .hint("`althing network init` writes genesis files; copy it as binary".to_owned())
    })
}

/// Writes a file that does not exist yet.
pub(crate) fn write_new(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let open = OpenOptions::new().write(true).create_new(true).open(file);
    let written = open.and_then(|mut open| {
        open.write_all(bytes)?;
        open.sync_all()
    });
    written.map_err(|error| {
        if file.is_dir() {
            return Failure::new(Exit::Failed, format!("cannot write {}: it is a directory", file.display()))
                .hint("name a file in it".to_owned());
        }
        let failure = Failure::file("write", file, &error);
        if error.kind() == ErrorKind::AlreadyExists {
            failure.hint("choose another name, or move that file away".to_owned())
        } else {
            failure
        }
    })
}

fn genesis(
    name: &str,
    anchors: Vec<AgentId>,
    committee: Vec<AgentId>,
    rating_epoch: Duration,
) -> Result<Genesis, Failure> {
    let usage = |cause: String| Failure::new(Exit::Usage, cause);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = BoundedText::try_from(name)
        .map_err(|_| usage(format!("expected a name of at most 64 bytes, found {}", name.len())))?;
    let mut genesis = Genesis::plain(name, Millis(millis(now)));
    genesis.rating_epoch_ms = millis(rating_epoch);
    let (given_anchors, given_committee) = (anchors.len(), committee.len());
    genesis.anchors = anchors
        .try_into()
        .map_err(|_| usage(format!("expected at most 256 anchors, found {given_anchors}")))?;
    genesis.committee = committee
        .try_into()
        .map_err(|_| usage(format!("expected at most 100 committee members, found {given_committee}")))?;
    Ok(genesis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn describe(network: &Network) -> Text {
    let genesis = network.genesis();
    let limits = &genesis.limits;
    let mut pairs = vec![
        ("name", genesis.name.to_string()),
        ("network", network.id().to_string()),
        ("created", rfc3339(genesis.created)),
        ("rating epoch", duration::written(genesis.rating_epoch_ms)),
        ("anchors", count(&genesis.anchors, "none: only personal scores exist")),
        ("committee", count(&genesis.committee, "none: closed votes above 31 voters are refused")),
        (
            "limits",
            format!(
                "{} bytes a record, {} a card record ({JSON_BYTES_MAX} of JSON), {} a ballot",
                limits.record_bytes, limits.card_bytes, limits.ballot_bytes
            ),
        ),
    ];
    pairs.extend(genesis.anchors.iter().map(|agent| ("anchor", agent.to_string())));
    pairs.extend(genesis.committee.iter().map(|agent| ("member", agent.to_string())));
    let mut text = Text::default();
    text.pairs(&pairs);
    text
}

fn count(agents: &[AgentId], none: &str) -> String {
    if agents.is_empty() { none.to_owned() } else { agents.len().to_string() }
}

fn document(network: &Network) -> serde_json::Value {
    let genesis = network.genesis();
    let dids = |agents: &[AgentId]| agents.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "schema": "althing.network/v1",
        "network": network.id().to_string(),
        "name": genesis.name.to_string(),
        "created": rfc3339(genesis.created),
        "created_ms": genesis.created.0,
        "rating_epoch_ms": genesis.rating_epoch_ms,
        "anchors": dids(&genesis.anchors),
        "committee": dids(&genesis.committee),
        "limits": {
            "record_bytes": genesis.limits.record_bytes,
            "card_bytes": genesis.limits.card_bytes,
            "ballot_bytes": genesis.limits.ballot_bytes,
        },
        "versions": {"record": genesis.versions.record, "wire": genesis.versions.wire},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_files_are_not_read_to_their_end() {
        let failure = read(Path::new("/dev/zero")).unwrap_err();
        assert!(failure.cause().contains("is larger than a genesis file's"), "{}", failure.cause());
    }

    #[test]
    fn nothing_is_written_over() {
        let failure = write_new(Path::new("/"), b"x").unwrap_err();
        assert_eq!(failure.cause(), "cannot write /: it is a directory");
    }
}
