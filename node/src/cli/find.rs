mod watch;

use althing_card::{Query, QueryError};
use althing_gateway::api::{self, AgentReach, FindQuery, FoundAgent, Outcome, Source};

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text};
use super::session::Session;

pub(crate) async fn find(args: args::Find, session: &Session) -> Result<Page, Failure> {
    let query = query(&args)?;
    let found = session.client().await?.find(&query).await?;
    let mut text = Text::default();
    if !found.agents.is_empty() {
        let rows: Vec<Vec<String>> = found.agents.iter().map(row).collect();
        let head = ["AGENT", "NAME", "SKILLS", "FROM", "AGE", "LEASE", "REACH", "RTT", "SCORE", "SERVED BY"];
        text.table(&head, &rows).line("");
    }
    if let Some(explain) = &found.explain {
        explained(explain, &mut text);
    }
    text.line(&completeness(&found));
    Page::new(&found, text)
}

pub(crate) async fn watch(args: args::Find, session: &Session, screen: Screen) -> Result<Page, Failure> {
    watch::watch(query(&args)?, session, screen).await
}

fn query(args: &args::Find) -> Result<FindQuery, Failure> {
    let wanted = args.wanted().map_err(|error| wrong(&error))?;
    let wanted: Query = wanted.ok_or_else(|| {
        let hint =
            "for example `althing find --skill text/translate` or `althing find \"lang:fr OR lang:de\"`";
        Failure::new(Exit::Usage, "expected a query, --skill or --tag, found none").hint(hint.to_owned())
    })?;
    Ok(FindQuery {
        q: Some(wanted.to_string()),
        skill: None,
        limit: Some(args.limit.into()),
        after: None,
        live: Some(!args.local),
        healthy: Some(args.healthy),
        min_score: args.min_score,
        newcomers: args.newcomers,
        explain: Some(args.explain),
    })
}

fn wrong(error: &QueryError) -> Failure {
    let hint =
        error.hint().unwrap_or_else(|| "`althing find --help` shows how queries are written".to_owned());
    Failure::new(Exit::Usage, format!("query: {error}")).diagram(error.diagram()).hint(hint)
}

fn row(agent: &FoundAgent) -> Vec<String> {
    let from = match agent.source {
        Source::Lookup => "lookup",
        Source::Index => "index",
    };
    let served: Vec<&str> = agent.leases.iter().map(|lease| lease.node.as_str()).collect();
    vec![
        agent.agent.clone(),
        agent.name.clone(),
        agent.skills.join(" "),
        from.to_owned(),
        short(agent.age_ms),
        remaining(agent),
        reach_name(agent.reach).to_owned(),
        agent.round_trip_us.map_or_else(|| "-".to_owned(), round_trip),
        agent
            .service
            .map_or_else(|| "-".to_owned(), |score| format!("{}.{:03}", score / 1_000, score % 1_000)),
        served.join(" "),
    ]
}

fn reach_name(reach: AgentReach) -> &'static str {
    match reach {
        AgentReach::Direct => "direct",
        AgentReach::HolePunched => "hole-punched",
        AgentReach::Relay => "relay",
        AgentReach::Unreachable => "unreachable",
        AgentReach::Unknown => "unknown",
    }
}

/// How long the agent is served unless its lease is renewed.
fn remaining(agent: &FoundAgent) -> String {
    // The newest lease was made so long ago, on the node's own clock.
    let made = agent.leases.iter().map(|lease| lease.made_ms).max().unwrap_or_default();
    short(agent.served_until_ms.saturating_sub(made.saturating_add(agent.lease_age_ms)))
}

fn round_trip(us: u64) -> String {
    if us < 10_000 { format!("{}.{}ms", us / 1_000, us % 1_000 / 100) } else { format!("{}ms", us / 1_000) }
}

/// A time in its largest unit that is not less than two, rounded.
fn short(ms: u64) -> String {
    let rounded = |seconds: u64, unit: u64| (seconds + unit / 2) / unit;
    match ms / 1_000 {
        seconds @ 0..10 => format!("{seconds}.{}s", ms % 1_000 / 100),
        seconds @ 10..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", rounded(seconds, 60)),
        seconds @ 7_200..172_800 => format!("{}h", rounded(seconds, 3_600)),
        seconds => format!("{}d", rounded(seconds, 86_400)),
    }
}

fn explained(explain: &api::Explain, text: &mut Text) {
    text.pairs(&[("plan", explain.plan.clone())]).line("");
    if !explain.pages.is_empty() {
        let rows: Vec<Vec<String>> = explain
            .pages
            .iter()
            .map(|page| {
                let bits = if page.page.is_empty() { "root" } else { &page.page };
                let answered = if page.answered { "answered" } else { "silent" };
                vec![
                    page.term.clone(),
                    bits.to_owned(),
                    answered.to_owned(),
                    page.providers.to_string(),
                    format!("{}ms", page.ms),
                    page.key.clone(),
                ]
            })
            .collect();
        text.table(&["TERM", "PAGE", "", "PROVIDERS", "TIME", "KEY"], &rows).line("");
    }
    if !explain.peers.is_empty() {
        let rows: Vec<Vec<String>> = explain
            .peers
            .iter()
            .map(|peer| {
                let outcome = match peer.outcome {
                    Outcome::Answered => "answered",
                    Outcome::Silent => "silent",
                    Outcome::Invalid => "invalid",
                    Outcome::NotAsked => "not asked",
                };
                vec![
                    peer.node.clone(),
                    outcome.to_owned(),
                    peer.records.to_string(),
                    format!("{}ms", peer.ms),
                ]
            })
            .collect();
        text.table(&["PEER", "", "RECORDS", "TIME"], &rows).line("");
    }
}

/// How many were found, and how much that says.
fn completeness(found: &api::Find) -> String {
    let mut line = match found.agents.len() {
        0 => "no agent found".to_owned(),
        1 => "1 agent".to_owned(),
        count => format!("{count} agents"),
    };
    if found.cut {
        line.push_str(", and there may be more (--limit)");
    }
    if found.live {
        let silent = match found.providers_silent {
            1 => "1 provider silent".to_owned(),
            count => format!("{count} providers silent"),
        };
        line.push_str(&format!("; asked {} of {} pages, {silent}", found.pages_answered, found.pages));
        let asked_not = found.providers.saturating_sub(found.providers_asked);
        if asked_not > 0 {
            line.push_str(&format!(", {asked_not} not asked"));
        }
    } else {
        line.push_str("; from this node's own index, the network was not asked");
    }
    if found.live && !found.unkeyed.is_empty() {
        line.push_str(&format!("; from this node's own index alone: {}", found.unkeyed.join(", ")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(
            [0, 119_999, 120_000, 899_000, 7_200_000, 172_800_000].map(short),
            ["0.0s", "119s", "2m", "15m", "2h", "2d"]
        );
        assert_eq!(
            [0, 840, 1_250, 9_999, 12_345].map(round_trip),
            ["0.0ms", "0.8ms", "1.2ms", "9.9ms", "12ms"]
        );
    }
}
