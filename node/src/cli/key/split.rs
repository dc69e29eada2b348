use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use althing_keystore::{DEFAULT_AGENT, Deal, Dealer, Keystore, Part, Share};
use althing_record::{AgentId, AgentKey, Digest, Millis, recovery_key_hash};
use serde_json::json;
use zeroize::Zeroizing;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Screen, Text, print};
use super::{Place, files, unopened};
use crate::daemon::home::{RECOVERY_SUFFIX, noted_recovery_hash};

/// What the user wants.
pub(super) struct Wish {
    pub(super) agent: Option<String>,
    pub(super) threshold: u8,
    pub(super) shares: u8,
    pub(super) recovery: bool,
    pub(super) out: PathBuf,
}

pub(super) fn split(wish: &Wish, place: &Place, home_flag: &str, screen: Screen) -> Result<Page, Failure> {
    let deal = Deal::new(wish.threshold, wish.shares).map_err(|error| Failure::new(Exit::Usage, error))?;
    let is_piped = wish.out == Path::new("-");
    if is_piped {
        admit_stdout(screen)?;
    }
    let keystore = place.open()?.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("no keys in {}", place.home.display()))
            .hint("check --home or ALTHING_HOME; `althing up` makes a home with keys".to_owned())
    })?;
    let name = name(&keystore, wish.agent.as_deref())?;
    if keystore.identity(&name).map_err(|error| unopened(&error))?.is_some() {
        let cause = format!("the key of \"{name}\" was rotated; shares are of an agent's first key only");
        return Err(Failure::new(Exit::Failed, cause)
            .hint("copy the agent's files in keys/agents to a safe place instead".to_owned()));
    }
    let key = keystore.agent_key(&name).map_err(|error| unopened(&error))?;
    let recovery = recovery_key_of(&keystore, &name)?;
    let noted = noted_recovery_hash(&place.home, &name)
        .map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))?;
    let hash: Digest =
        noted.or_else(|| recovery.as_ref().map(|key| recovery_key_hash(&key.public()))).ok_or_else(|| {
            let cause = format!("{}: no line for \"{name}\"", place.home.join("recovery").display());
            Failure::new(Exit::Failed, cause).hint(format!(
                "start the node once, `althing up{home_flag}`: it notes the hash of the recovery key there"
            ))
        })?;
    let dealer = Dealer { key: &key, recovery_key_hash: hash, made: now() };
    let shares = if wish.recovery {
        let recovery = recovery.ok_or_else(|| {
            let file = place.keys().join("agents").join(format!("{name}{RECOVERY_SUFFIX}.key"));
            Failure::new(Exit::Failed, format!("no recovery key here: {} is missing", file.display()))
                .hint("put it back for the time of the split, if you moved it to a safe place".to_owned())
        })?;
        dealer.recovery(&recovery, deal)
    } else {
        dealer.signing(deal)
    };
    let shares = shares.map_err(|error| Failure::new(Exit::Failed, error))?;
    if is_piped {
        let all: usize = shares.iter().map(|share| files::text(share).len() + 1).sum();
        let mut text = Zeroizing::new(String::with_capacity(all));
        for share in &shares {
            text.push_str(&files::text(share));
            text.push('\n');
        }
        print(text.as_bytes()).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write to standard output: {error}"))
        })?;
        return Ok(Page::nothing());
    }
    let paths = files::write(&wish.out, &shares)?;
    page(&shares, &paths, &name, home_flag)
}

/// Shares do not stay in the lines of a terminal.
fn admit_stdout(screen: Screen) -> Result<(), Failure> {
    if screen.json {
        return Err(Failure::new(Exit::Usage, "--json and shares both want standard output")
            .hint("name a directory with --out, or leave --json out".to_owned()));
    }
    if io::stdout().is_terminal() {
        return Err(Failure::new(Exit::Usage, "shares are not printed on a terminal")
            .hint("redirect standard output, or name a directory with --out".to_owned()));
    }
    Ok(())
}

/// The local name of an agent that was named either way.
fn name(keystore: &Keystore, wanted: Option<&str>) -> Result<String, Failure> {
    let names = keystore.agent_names().map_err(|error| unopened(&error))?;
    let mut names = names.into_iter().filter(|name| !name.ends_with(RECOVERY_SUFFIX)).collect::<Vec<_>>();
    names.sort_by_key(|name| (name != DEFAULT_AGENT, name.clone()));
    let listed = names.join(", ");
    let found = match wanted {
        None => names.into_iter().next(),
        Some(wanted) => match wanted.parse::<AgentId>() {
            Ok(agent) => {
                let of = |name: &String| Ok(keystore.agent_of(name)? == agent);
                let mut found = None;
                for name in names {
                    if of(&name).map_err(|error| unopened(&error))? {
                        found = Some(name);
                        break;
                    }
                }
                found
            }
            Err(_) => names.into_iter().find(|name| name == wanted),
        },
    };
    found.ok_or_else(|| {
        let cause =
            wanted.map_or_else(|| "no agent here".to_owned(), |wanted| format!("no agent \"{wanted}\" here"));
        Failure::not_found(cause).hint(format!("there are: {listed}"))
    })
}

fn recovery_key_of(keystore: &Keystore, name: &str) -> Result<Option<AgentKey>, Failure> {
    let file = format!("{name}{RECOVERY_SUFFIX}");
    let names = keystore.agent_names().map_err(|error| unopened(&error))?;
    if !names.contains(&file) {
        return Ok(None);
    }
    keystore.agent_key(&file).map(Some).map_err(|error| unopened(&error))
}

fn page(shares: &[Share], paths: &[PathBuf], name: &str, home_flag: &str) -> Result<Page, Failure> {
    let first = shares.first().ok_or_else(|| Failure::new(Exit::Failed, "no shares were made"))?;
    let deal = first.deal();
    let mut text = Text::default();
    text.pairs(&[
        ("agent", first.agent().to_string()),
        ("name", name.to_owned()),
        ("split", format!("its {}", first.part())),
        ("set", first.set().to_string()),
        ("restores", format!("any {} of {} shares", deal.threshold(), deal.shares())),
    ]);
    text.line("");
    let rows: Vec<Vec<String>> = shares
        .iter()
        .zip(paths)
        .map(|(share, path)| vec![share.index().to_string(), path.display().to_string()])
        .collect();
    text.table(&["SHARE", "FILE"], &rows);
    text.line("")
        .line("give each to another person or machine, then delete it here; never keep all in one place")
        .line(&format!("whoever has {} of them is the agent; fewer say nothing", deal.threshold()))
        .line("to restore: `althing key restore FILE FILE …`");
    if first.part() == Part::Signing {
        text.line(&format!(
            "the recovery key is not in them: `althing key split --agent {name} --recovery --out DIR{home_flag}`"
        ));
    }
    let document = json!({
        "schema": "althing.key-split/v1",
        "agent": first.agent().to_string(),
        "name": name,
        "key": super::word(first.part()),
        "set": first.set().to_string(),
        "threshold": deal.threshold(),
        "shares": deal.shares(),
        "files": paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    });
    Page::new(&document, text)
}

#[expect(clippy::disallowed_methods, reason = "the shares say for people when they were made")]
fn now() -> Millis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
