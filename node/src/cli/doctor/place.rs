//! What can be said about the machine: home, disk, store, limits.

use super::check::Check;
use super::facts::{Disk, Facts, Store};

/// Below this many free bytes there is reason to look.
const FREE_LOW: u64 = 512 << 20;
/// Below this many the node writes nothing.
const FREE_MIN: u64 = 64 << 20;

pub(super) fn node(facts: &Facts) -> Check {
    const NAME: &str = "node";
    match (&facts.node, &facts.unreachable) {
        (Some(node), _) if node.status.ready => {
            Check::ok(NAME, format!("running (pid {}), ready", node.status.pid))
        }
        (Some(node), _) => Check::warn(
            NAME,
            format!("running (pid {}), waiting for {}", node.status.pid, node.status.waiting_for.join(", ")),
            format!("see below; `althing logs{}` shows what it is doing", facts.home_flag),
        ),
        (None, Some(cause)) => Check::fail(
            NAME,
            cause.clone(),
            format!("`althing logs{}` shows what it did last", facts.home_flag),
        ),
        (None, None) => Check::warn(
            NAME,
            format!("none runs in {}; what needs one was not checked", facts.home.display()),
            format!("`althing up{}` starts it", facts.home_flag),
        ),
    }
}

pub(super) fn settings(facts: &Facts) -> Check {
    const NAME: &str = "settings";
    match &facts.settings {
        Ok(()) => Check::ok(NAME, "readable"),
        Err(cause) => {
            Check::fail(NAME, cause.clone(), "`althing config show --origin` says where each comes from")
        }
    }
}

pub(super) fn versions(facts: &Facts) -> Check {
    const NAME: &str = "version";
    match &facts.node {
        Some(node) if node.status.version != facts.version => Check::warn(
            NAME,
            format!("the node is althing {}, this program {}", node.status.version, facts.version),
            format!("`althing down{0} && althing up{0} --detach` starts the node anew", facts.home_flag),
        ),
        Some(_) | None => Check::ok(NAME, format!("althing {}", facts.version)),
    }
}

pub(super) fn disk(facts: &Facts) -> Check {
    const NAME: &str = "disk";
    let no_space =
        |node: &super::facts::Running| node.status.waiting_for.iter().any(|missing| missing.contains("disk"));
    match &facts.disk {
        Err(cause) => Check::warn(NAME, cause.clone(), "check that the home's path exists and can be read"),
        Ok(Disk { read_only: true, .. }) => Check::fail(
            NAME,
            format!("the file system of {} is mounted read-only", facts.home.display()),
            "mount it writable; `dmesg` may say why it is not",
        ),
        Ok(disk) if facts.node.as_ref().is_some_and(no_space) => Check::fail(
            NAME,
            format!("full: the node takes nothing new; {} free", size(disk.free)),
            "free some space; the node goes on by itself",
        ),
        Ok(Disk { free, .. }) if *free < FREE_MIN => Check::fail(
            NAME,
            format!("{} free; the node writes nothing below that", size(*free)),
            "free some space",
        ),
        Ok(Disk { free, .. }) if *free < FREE_LOW => Check::warn(
            NAME,
            format!("{} free", size(*free)),
            "free some space before the node has to stop writing",
        ),
        Ok(Disk { free, .. }) => Check::ok(NAME, format!("{} free", size(*free))),
    }
}

pub(super) fn store(facts: &Facts) -> Check {
    const NAME: &str = "store";
    let copy = "keep a copy of it, and restore a snapshot into another home: `althing store restore --help`";
    let no_votes = "SECURITY.md, \"The vote guard, for operators\", says what that means; nothing repairs it";
    if let Some(why) = facts.node.as_ref().and_then(|node| node.status.voting_stopped.as_ref()) {
        return Check::warn(NAME, format!("the node signs no votes: {why}"), no_votes);
    }
    match &facts.store {
        Store::InUse if facts.node.is_some() => Check::ok(NAME, "open, and the vote guard is trusted"),
        Store::InUse => Check::ok(NAME, "in use, so not looked at"),
        Store::None => Check::ok(NAME, "none yet"),
        Store::Unreadable(cause) => Check::fail(NAME, cause.clone(), copy),
        Store::Read { damage: Some(damage), .. } => Check::fail(NAME, format!("damaged: {damage}"), copy),
        Store::Read { guard, trusted: false, .. } => Check::warn(NAME, guard.clone(), no_votes),
        Store::Read { guard, .. } => Check::ok(NAME, format!("read from end to end; {guard}")),
    }
}

pub(super) fn files(facts: &Facts) -> Check {
    const NAME: &str = "open files";
    let needed = facts.files.needed;
    match facts.files.allowed {
        Some(allowed) if allowed < needed => Check::fail(
            NAME,
            format!("{allowed} allowed, and {needed} may be needed"),
            format!("raise the limit: `ulimit -n {needed}`, or LimitNOFILE={needed} in the unit file"),
        ),
        Some(u64::MAX) => Check::ok(NAME, "no limit"),
        Some(allowed) => Check::ok(NAME, format!("{allowed} allowed")),
        None => Check::warn(NAME, "the limit cannot be read", "`ulimit -n` shows that of this shell"),
    }
}

pub(super) fn modes(facts: &Facts) -> Check {
    const NAME: &str = "modes";
    let [(path, mode), rest @ ..] = &facts.open_modes[..] else {
        return Check::ok(NAME, "the home lets nobody else in");
    };
    let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
    Check::fail(
        NAME,
        format!("{} has mode {mode:04o}: others can get at it{more}", path.display()),
        format!("chmod -R go= '{}'", facts.home.display()),
    )
}

fn size(bytes: u64) -> String {
    if bytes >= 10 << 30 { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) }
}
