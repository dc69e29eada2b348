use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use althing_keystore::{
    DEFAULT_AGENT, Keystore, KeystoreError, Misfit, MisfitKind, Part, RestoreError, Restored, Share,
    restore as combine,
};
use althing_rocks::{OpenError, Options, Rocks};
use althing_store::CommitNo;
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Text};
use super::files::{self, Found};
use super::{Place, unopened};
use crate::daemon;
use crate::daemon::home::{RECOVERY_SUFFIX, noted_recovery_hash, recovery_hash};

/// Most shares whose faults are told one by one.
const NAMED_MAX: usize = 10;

pub(super) fn restore(
    from: &[PathBuf],
    name: Option<&str>,
    place: &Place,
    home_flag: &str,
) -> Result<Page, Failure> {
    let (restored, shares) = gather(files::read(from)?)?;
    let (name, is_new) = match restored.part {
        Part::Signing => signing(&restored, name, place, home_flag)?,
        Part::Recovery => recovery(&restored, name, place, home_flag)?,
    };
    page(&restored, &shares, &name, is_new, place, home_flag)
}

/// The key, if every share that was given has a part in it.
fn gather(found: Vec<Found>) -> Result<(Restored, Vec<Share>), Failure> {
    let given = found.len();
    let (mut good, mut places, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for Found { place, share } in found {
        match share {
            Ok(share) => {
                good.push(share);
                places.push(place);
            }
            Err(error) => faults.push(format!("{place}: {error}")),
        }
    }
    let outcome = combine(&good);
    if let Err(RestoreError::Misfits { misfits, .. }) = &outcome {
        faults.extend(misfits.iter().map(|misfit| misfit_text(misfit, &places)));
    }
    if !faults.is_empty() {
        let left: Option<(Vec<u8>, u8)> = match &outcome {
            Ok(_) => good.first().map(|first| (numbers(&good), first.deal().threshold())),
            Err(
                RestoreError::Misfits { good, threshold, .. } | RestoreError::TooFew { good, threshold, .. },
            ) => Some((good.clone(), *threshold)),
            Err(RestoreError::Nothing | RestoreError::OtherKey { .. }) => None,
        };
        return Err(unfit(&faults, given, left));
    }
    match outcome {
        Ok(restored) => Ok((restored, good)),
        Err(error) => Err(too_few(&error, &good)),
    }
}

fn misfit_text(misfit: &Misfit, places: &[String]) -> String {
    let place = &places[misfit.position];
    let index = misfit.index;
    match misfit.kind {
        MisfitKind::Repeated { of } => format!("{place}: share {index} again, the same as {}", places[of]),
        MisfitKind::Contradicts { of } => {
            format!("{place}: share {index} differs from share {index} in {}", places[of])
        }
        MisfitKind::OtherAgent { found, expected } => {
            format!("{place}: a share of {found}, the others are of {expected}")
        }
        MisfitKind::OtherSet { found, expected } => {
            format!("{place}: a share of another split ({found}), the others are of {expected}")
        }
    }
}

/// Some shares are wrong; `left` is what the others are: their numbers, and how many it takes.
fn unfit(faults: &[String], given: usize, left: Option<(Vec<u8>, u8)>) -> Failure {
    let mut named = faults.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    if faults.len() > NAMED_MAX {
        named.push_str(&format!("; and {} more", faults.len() - NAMED_MAX));
    }
    let cause = format!("{} of {given} shares cannot be used: {named}", faults.len());
    let hint = match left {
        None => "nothing was restored; look for other copies of these shares".to_owned(),
        Some((good, threshold)) if good.len() >= usize::from(threshold) => {
            format!("leave out what is named here: the others ({}) are enough", list(&good))
        }
        Some((good, threshold)) => format!(
            "the others ({}) are not enough: it takes {threshold}; look for other copies, or further shares",
            list(&good)
        ),
    };
    Failure::new(Exit::Invalid, cause).hint(hint)
}

fn too_few(error: &RestoreError, shares: &[Share]) -> Failure {
    match error {
        RestoreError::TooFew { good, threshold, .. } => {
            let count = shares.first().map_or(0, |share| share.deal().shares());
            let set = shares.first().map(|share| share.set().to_string()).unwrap_or_default();
            let elsewhere: Vec<u8> = (1..=count).filter(|number| !good.contains(number)).collect();
            let more = usize::from(*threshold).saturating_sub(good.len());
            Failure::new(Exit::Failed, error)
                .hint(format!("get {more} more of the shares {} of set {set}", list(&elsewhere)))
        }
        RestoreError::OtherKey { .. } => Failure::new(Exit::Invalid, error).hint(
            "the agent signed shares that do not fit together; try others of the set, no more than it takes"
                .to_owned(),
        ),
        RestoreError::Nothing | RestoreError::Misfits { .. } => Failure::new(Exit::Invalid, error),
    }
}

/// Puts an agent's key into the home: its local name, and whether it was not there before.
fn signing(
    restored: &Restored,
    wanted: Option<&str>,
    place: &Place,
    home_flag: &str,
) -> Result<(String, bool), Failure> {
    if let Some(wanted) = wanted.filter(|wanted| wanted.ends_with(RECOVERY_SUFFIX)) {
        let cause = format!("the name \"{wanted}\" would be that of a recovery key");
        return Err(Failure::new(Exit::Usage, cause).hint("choose another --name".to_owned()));
    }
    if let Some(wanted) = wanted {
        Keystore::admit_name(wanted).map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let keystore = place.open()?;
    let here = keystore.as_ref().map_or(Ok(None), |keystore| name_of(keystore, restored))?;
    let name = match (wanted, &here) {
        (Some(wanted), Some(here)) if wanted != here => {
            let cause = format!("{} is in {} already, as \"{here}\"", restored.agent, place.home.display());
            return Err(Failure::new(Exit::Failed, cause).hint("leave out --name".to_owned()));
        }
        (_, Some(here)) => here.clone(),
        (wanted, None) => wanted.unwrap_or(DEFAULT_AGENT).to_owned(),
    };
    admit_name(restored, &name, keystore.as_ref(), place)?;
    daemon::home::make(&place.home).map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))?;
    if here.is_none() {
        // Before the key: one that is there must never vote as if it had always been.
        mark(place, home_flag)?;
    }
    let adopted = match keystore {
        Some(keystore) => keystore.adopt(&name, &restored.key),
        None => Keystore::adopt_agent(&place.keys(), place.unlock()?, &name, &restored.key),
    };
    let is_new = adopted.map_err(|error| unadopted(&error))?;
    recovery_hash(&place.home, &name, || Ok(restored.recovery_key_hash))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok((name, is_new))
}

/// Puts a recovery key beside the key of its agent.
fn recovery(
    restored: &Restored,
    wanted: Option<&str>,
    place: &Place,
    home_flag: &str,
) -> Result<(String, bool), Failure> {
    let keystore = place.open()?;
    let name = keystore.as_ref().map_or(Ok(None), |keystore| name_of(keystore, restored))?;
    let (Some(keystore), Some(name)) = (keystore, name) else {
        let cause = format!(
            "these shares are of the recovery key of {}, and that agent is not in {}",
            restored.agent,
            place.home.display()
        );
        return Err(Failure::new(Exit::Failed, cause)
            .hint(format!("restore its signing key first: `althing key restore FILE FILE …{home_flag}`")));
    };
    if wanted.is_some_and(|wanted| wanted != name) {
        let cause = format!("{} is in {} as \"{name}\"", restored.agent, place.home.display());
        return Err(Failure::new(Exit::Usage, cause).hint("leave out --name".to_owned()));
    }
    admit_name(restored, &name, Some(&keystore), place)?;
    let is_new = keystore
        .adopt(&format!("{name}{RECOVERY_SUFFIX}"), &restored.key)
        .map_err(|error| unadopted(&error))?;
    Ok((name, is_new))
}

/// The local name under which the agent is here.
fn name_of(keystore: &Keystore, restored: &Restored) -> Result<Option<String>, Failure> {
    for name in keystore.agent_names().map_err(|error| unopened(&error))? {
        if !name.ends_with(RECOVERY_SUFFIX)
            && keystore.agent_of(&name).map_err(|error| unopened(&error))? == restored.agent
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Refuses a name that this home knows as another agent's: by its key, or by the hash of its recovery key.
fn admit_name(
    restored: &Restored,
    name: &str,
    keystore: Option<&Keystore>,
    place: &Place,
) -> Result<(), Failure> {
    let other = format!("choose another --name, or another --home; \"{name}\" stays as it is");
    if let Some(keystore) = keystore {
        if keystore.identity(name).map_err(|error| unopened(&error))?.is_some() {
            let cause = format!("the key of \"{name}\" in {} was rotated since", place.home.display());
            return Err(Failure::new(Exit::Failed, cause).hint(
                "these shares are of a key that does not count any more; nothing was restored".to_owned(),
            ));
        }
        match keystore.agent_key(name) {
            Ok(key) if key.agent() != restored.agent => {
                let cause = format!(
                    "\"{name}\" in {} is {}, not {}",
                    place.home.display(),
                    key.agent(),
                    restored.agent
                );
                return Err(Failure::new(Exit::Failed, cause).hint(other));
            }
            Ok(_) | Err(KeystoreError::NoSuchAgent { .. }) => {}
            Err(error) => return Err(unopened(&error)),
        }
    }
    let noted = noted_recovery_hash(&place.home, name)
        .map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))?;
    if noted.is_some_and(|noted| noted != restored.recovery_key_hash) {
        let path = place.home.join("recovery");
        let cause = format!("{}: the line of \"{name}\" is of another recovery key", path.display());
        return Err(Failure::new(Exit::Failed, cause).hint(other));
    }
    Ok(())
}

/// Makes the home's store one that asks other voters' nodes before it votes, and takes away the book of Accepts: without it
/// none is signed before the next rating epoch. The store's lock keeps a running node out.
fn mark(place: &Place, home_flag: &str) -> Result<(), Failure> {
    let dir = daemon::store_dir(&place.home);
    let opened = Rocks::open(&dir, Options::default()).map_err(|error| {
        let failure = Failure::new(Exit::Failed, &error).hint(error.hint());
        if matches!(error, OpenError::Locked { .. }) {
            failure.hint(format!(
                "stop the node first, `althing down{home_flag}`: it reads its keys when it starts"
            ))
        } else {
            failure
        }
    })?;
    let accepts = daemon::accepts_file(&place.home);
    match fs::remove_file(&accepts) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Failure::file("remove", &accepts, &error));
        }
        Ok(()) | Err(_) => {}
    }
    fs::File::open(&dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| Failure::file("write", &dir, &error))?;
    let no = CommitNo(opened.commit.0 + 1);
    opened
        .committer
        .try_submit(no, althing_engine::joined_by_restored_key(opened.commit))
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", dir.display())))?;
    let last = opened.committer.close();
    if last.no < no {
        let cause =
            last.failed.map_or_else(|| "not committed".to_owned(), |(_, failure)| failure.to_string());
        return Err(Failure::new(Exit::Failed, format!("cannot write {}: {cause}", dir.display())));
    }
    Ok(())
}

fn unadopted(error: &KeystoreError) -> Failure {
    let failure = unopened(error);
    if matches!(error, KeystoreError::OtherAgent { .. }) {
        failure.hint("choose another --name, or another --home".to_owned())
    } else {
        failure
    }
}

fn page(
    restored: &Restored,
    shares: &[Share],
    name: &str,
    is_new: bool,
    place: &Place,
    home_flag: &str,
) -> Result<Page, Failure> {
    let set = shares.first().map(|share| share.set().to_string()).unwrap_or_default();
    let used = numbers(shares);
    let mut text = Text::default();
    text.pairs(&[
        (if is_new { "restored" } else { "is here" }, format!("the {}", restored.part)),
        ("agent", restored.agent.to_string()),
        ("name", name.to_owned()),
        ("home", place.home.display().to_string()),
        ("shares", format!("{} of set {set}", list(&used))),
    ]);
    text.line("");
    if !is_new {
        text.line("the key was here already; nothing was changed");
    } else if restored.part == Part::Signing {
        text.line("the agent must not run anywhere else: two live copies count as one that cheats, and a second")
            .line("ballot on a question is a proof of it that never goes away")
            .line("before a ballot the node asks the nodes of the other voters what this agent cast; it takes no")
            .line("calls before the next rating epoch, since it does not know what was promised")
            .line(&format!(
                "next: `althing up{home_flag}`, with --genesis and --join as in the home before, and publish its card"
            ));
    } else {
        text.line("move it to a safe place; the node does not need it");
    }
    let document = json!({
        "schema": "althing.key-restore/v1",
        "agent": restored.agent.to_string(),
        "name": name,
        "key": super::word(restored.part),
        "home": place.home.display().to_string(),
        "set": set,
        "shares": used,
        "new": is_new,
    });
    Page::new(&document, text)
}

fn numbers(shares: &[Share]) -> Vec<u8> {
    let mut numbers: Vec<u8> = shares.iter().map(Share::index).collect();
    numbers.sort_unstable();
    numbers
}

fn list(numbers: &[u8]) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}
