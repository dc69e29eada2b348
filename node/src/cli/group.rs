use althing_gateway::Client;
use althing_gateway::api::{
    self, FoundGroupRequest, GroupChange, GroupChangeRequest, GroupsQuery, JoiningRequest, ResolveRequest,
};
use althing_record::GroupId;

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Text};
use super::session::Session;
use super::vote::{matching, whole_id};

mod by_vote;

/// Shortest beginning of a group's id that is looked up, in hex digits.
const PREFIX_MIN: usize = 4;
/// How much of a group's id a table shows, in hex digits: enough for `group show`.
const SHOWN: usize = 16;

const LIST: &str = "`althing group ls --all` lists the groups";

pub(crate) async fn group(command: args::Group, session: &Session) -> Result<Page, Failure> {
    let client = session.client().await?;
    match command {
        args::Group::Create { name, members, agent } => {
            let members = members.iter().map(ToString::to_string).collect();
            let agent = agent.map(|agent| agent.to_string());
            let group = client.found_group(&FoundGroupRequest { name, members, agent }).await?;
            let hint = format!("invite with `althing group invite {} DID`", short(&group.summary.group));
            group_page(&group, Some(&hint))
        }
        args::Group::Invite(given) if given.by_vote => {
            by_vote::change(session, GroupChange::Invite, &given).await
        }
        args::Group::Remove(given) if given.by_vote => {
            by_vote::change(session, GroupChange::Remove, &given).await
        }
        args::Group::Promote(given) if given.by_vote => {
            by_vote::change(session, GroupChange::Promote, &given).await
        }
        args::Group::Demote(given) if given.by_vote => {
            by_vote::change(session, GroupChange::Demote, &given).await
        }
        args::Group::Invite(change) => {
            let group = changed(&client, GroupChange::Invite, &change).await?;
            let id = short(&group.summary.group);
            let hint = format!("{} joins with `althing group join {id}`", change.about);
            group_page(&group, Some(&hint))
        }
        args::Group::Remove(change) => {
            group_page(&changed(&client, GroupChange::Remove, &change).await?, None)
        }
        args::Group::Promote(change) => {
            group_page(&changed(&client, GroupChange::Promote, &change).await?, None)
        }
        args::Group::Demote(change) => {
            group_page(&changed(&client, GroupChange::Demote, &change).await?, None)
        }
        args::Group::Join(join) => said(&client, join, false).await,
        args::Group::Leave(join) => said(&client, join, true).await,
        args::Group::Resolve(resolve) => resolved(&client, resolve).await,
        args::Group::Show { group } => {
            let id = resolve(&client, &group).await?;
            group_page(&client.group(&id).await?, None)
        }
        args::Group::Ls { all } => {
            groups_page(&client.groups(&GroupsQuery { all: all.then_some(true) }).await?, all)
        }
    }
}

async fn changed(
    client: &Client,
    change: GroupChange,
    given: &args::GroupChange,
) -> Result<api::Group, Failure> {
    let id = resolve(client, &given.group).await?;
    let agent = given.agent.map(|agent| agent.to_string());
    let request = GroupChangeRequest { change, about: given.about.to_string(), agent };
    Ok(client.change_group(&id, &request).await?)
}

async fn said(client: &Client, join: args::GroupJoin, leave: bool) -> Result<Page, Failure> {
    let id = resolve(client, &join.group).await?;
    let agent = join.agent.map(|agent| agent.to_string());
    let group = client.join_group(&id, &JoiningRequest { leave, agent }).await?;
    let waits = group.invited.iter().any(|invite| invite.joining && is_own(&group, &invite.agent))
        || group.members.iter().any(|member| member.leaving && is_own(&group, &member.agent))
        || (leave && group.invited.iter().any(|invite| is_own(&group, &invite.agent)));
    let hint = format!("waits for the node of {}, who changed the group last", group.summary.keeper);
    group_page(&group, waits.then_some(&hint))
}

/// Votes on a fork, and says where the vote is to be seen.
async fn resolved(client: &Client, given: args::GroupResolve) -> Result<Page, Failure> {
    let id = resolve(client, &given.group).await?;
    let keep = match whole_id(&given.keep, "change", FORK)? {
        Some(keep) => keep,
        None => {
            let fork = client.group(&id).await?.summary.fork.unwrap_or_default();
            matching(&given.keep, fork.iter().map(String::as_str), "change", FORK)?
        }
    };
    let window_ms = given.window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
    let agent = given.agent.map(|agent| agent.to_string());
    let resolution = client.resolve_group(&id, &ResolveRequest { keep, window_ms, agent }).await?;
    let mut text = Text::default();
    text.pairs(&[
        ("group", resolution.group.clone()),
        ("keep", resolution.keep.clone()),
        ("proposal", resolution.proposal.clone()),
        ("voted", resolution.agent.clone()),
    ]);
    let how = if resolution.new { "the others vote with" } else { "others have voted already;" };
    text.line(&format!("{how} `althing group resolve {} --keep ID`", short(&resolution.group)));
    text.line(&format!("see `althing vote show {}`", short(&resolution.proposal)));
    Page::new(&resolution, text)
}

const FORK: &str = "`althing group show` names the two changes that fork it";

fn is_own(group: &api::Group, agent: &str) -> bool {
    group.summary.own.iter().any(|own| own.agent == agent)
}

/// The full id of a group of which the user gave all or the beginning.
pub(crate) async fn resolve(client: &Client, id: &str) -> Result<String, Failure> {
    let id = id.to_ascii_lowercase();
    if id.parse::<GroupId>().is_ok() {
        return Ok(id);
    }
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || id.len() < PREFIX_MIN || id.len() > 2 * GroupId::LEN {
        let cause =
            format!("expected a group's id, or its first {PREFIX_MIN} or more hex digits, found \"{id}\"");
        return Err(Failure::new(Exit::Usage, cause).hint(LIST.to_owned()));
    }
    let groups = client.groups(&GroupsQuery { all: Some(true) }).await?.groups;
    let mut matching = groups.iter().map(|group| &group.group).filter(|group| group.starts_with(&id));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(Failure::not_found(format!("no group here begins with {id}")).hint(LIST.to_owned())),
        (Some(_), Some(_)) => Err(Failure::new(Exit::Failed, format!("several groups begin with {id}"))
            .hint("give more of its digits".to_owned())),
    }
}

fn group_page(group: &api::Group, hint: Option<&String>) -> Result<Page, Failure> {
    let summary = &group.summary;
    let mut text = Text::default();
    text.pairs(&[
        ("group", summary.group.clone()),
        ("name", summary.name.clone()),
        ("founder", summary.founder.clone()),
        ("changes", summary.height.to_string()),
        ("state", summary.head.clone()),
        ("kept by", summary.keeper.clone()),
    ]);
    if let Some([first, second]) = &summary.fork {
        text.line(&format!("forked: {first} and {second} both follow; it takes no proposals and no changes"));
        text.line(&format!("settle it with `althing group resolve {} --keep ID`", short(&summary.group)));
    }
    for settled in &summary.settled {
        text.line(&format!("forked after {}, settled for {} by {}", settled.at, settled.kept, settled.by));
    }
    let members = group.members.iter().map(|member| {
        let leaving = if member.leaving { ", leaving" } else { "" };
        vec![member.agent.clone(), format!("{}{leaving}", member.role)]
    });
    let invited = group.invited.iter().map(|invite| {
        let joining = if invite.joining { ", joining" } else { "" };
        vec![invite.agent.clone(), format!("invited{joining}")]
    });
    text.line("").table(&["AGENT", "ROLE"], &members.chain(invited).collect::<Vec<_>>());
    if let Some(hint) = hint {
        text.line("").line(hint);
    }
    Page::new(group, text)
}

fn groups_page(groups: &api::Groups, all: bool) -> Result<Page, Failure> {
    let mut text = Text::default();
    if groups.groups.is_empty() {
        text.line(if all { "no groups are known here" } else { "no agent of this node is in a group" });
        return Page::new(groups, text);
    }
    let rows: Vec<Vec<String>> = groups
        .groups
        .iter()
        .map(|group| {
            let own = group.own.iter().map(|own| own.role.as_str()).collect::<Vec<_>>().join(", ");
            let own = if own.is_empty() { "-".to_owned() } else { own };
            let name =
                if group.fork.is_some() { format!("{} (forked)", group.name) } else { group.name.clone() };
            vec![short(&group.group), group.size.to_string(), group.height.to_string(), own, name]
        })
        .collect();
    text.table(&["GROUP", "MEMBERS", "CHANGES", "OWN ROLE", "NAME"], &rows);
    Page::new(groups, text)
}

fn short(group: &str) -> String {
    group.chars().take(SHOWN).collect()
}
