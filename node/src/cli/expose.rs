//! Exposing an agent, and watching its calls.

use althing_gateway::api::{CallSeen, CallsQuery, ExposeRequest, Exposed};
use althing_gateway::{CallReader, Client};

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text, clean, note, print};
use super::session::Session;

/// How wide the caller's did is shown in the log.
const DID_CHARS: usize = 24;

pub(crate) async fn expose(args: args::Expose, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let client = session.client().await?;
    if args.list {
        return list(&client).await;
    }
    let bg = args.bg;
    let exposed = client.expose(&wish(args)).await?;
    let page = page(&exposed, session)?;
    if bg {
        return Ok(page);
    }
    // Opened before anything is said: from here on the agent is exposed for as long as this program runs.
    let query = CallsQuery { agent: Some(exposed.name.clone()), limit: None, hold: Some(true) };
    let mut calls = client.calls(&query).await?;
    screen.show(&page);
    if exposed.kept {
        note("it stays exposed after Ctrl-C, as it was before; its calls follow");
    } else {
        note("exposed until Ctrl-C; its calls follow");
    }
    tokio::select! {
        ended = follow(&mut calls, screen) => ended?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Failure::new(Exit::Failed, format!("cannot wait for Ctrl-C: {error}")))?;
        }
    }
    drop(calls);
    if !exposed.kept {
        note(&format!("{} is no longer exposed", exposed.name));
    }
    Ok(Page::nothing())
}

pub(crate) async fn unexpose(name: &str, session: &Session) -> Result<Page, Failure> {
    let ended = session.client().await?.unexpose(name).await?;
    let mut text = Text::default();
    text.pairs(&[("unexposed", ended.name.clone()), ("agent", ended.agent.clone())]);
    Page::new(&ended, text)
}

fn wish(args: args::Expose) -> ExposeRequest {
    ExposeRequest {
        url: args.url,
        exec: args.exec,
        idempotent: args.idempotent,
        echo: args.echo,
        name: args.name,
        skills: args.skills.iter().map(ToString::to_string).collect(),
        keep: args.bg,
        follow: args.follow,
        no_probe: args.no_probe,
        concurrency: args.concurrency,
        rate: args.rate,
        face: args.face,
    }
}

async fn list(client: &Client) -> Result<Page, Failure> {
    let all = client.exposures().await?;
    let rows: Vec<Vec<String>> = all
        .exposures
        .iter()
        .map(|exposed| {
            let state = exposed.fault.clone().unwrap_or_else(|| "takes calls".to_owned());
            vec![
                exposed.name.clone(),
                exposed.origin.clone(),
                exposed.skills.join(" "),
                state,
                exposed.agent.clone(),
            ]
        })
        .collect();
    let mut text = Text::default();
    if rows.is_empty() {
        text.line("nothing is exposed");
    } else {
        text.table(&["NAME", "ORIGIN", "SKILLS", "STATE", "AGENT"], &rows);
    }
    Page::new(&all, text)
}

fn page(exposed: &Exposed, session: &Session) -> Result<Page, Failure> {
    let skills = if exposed.skills.is_empty() { "none".to_owned() } else { exposed.skills.join(" ") };
    let tried = exposed.probe_ms.map_or_else(|| "not tried".to_owned(), |ms| format!("answered in {ms} ms"));
    let found = match (exposed.found_by, exposed.asked) {
        (Some(found), Some(asked)) => format!("{found} of {asked} connected nodes"),
        _ => "-".to_owned(),
    };
    let mut text = Text::default();
    text.pairs(&[
        ("agent", exposed.agent.clone()),
        ("name", format!("{} ({})", exposed.name, exposed.title)),
        ("origin", format!("{} ({tried})", exposed.origin)),
        ("card", exposed.card.clone().unwrap_or_else(|| "its own".to_owned())),
        ("pinned", exposed.pin.clone()),
        ("skills", skills),
        ("protocols", exposed.protocols.join(" ")),
        ("found by", found),
        ("local url", exposed.url.clone()),
    ]);
    for line in &exposed.notes {
        text.line(&format!("note: {line}"));
    }
    text.line(&format!("call it from any node with `althing send {} --text hello`", exposed.agent));
    if exposed.kept {
        let home = session.home_flag();
        text.line(&format!("it stays exposed; `althing unexpose {}{home}` ends that", exposed.name));
    }
    Page::new(exposed, text)
}

/// Prints calls as they end, until the node stops.
async fn follow(calls: &mut CallReader, screen: Screen) -> Result<(), Failure> {
    while let Some(call) = calls.next().await? {
        let mut line = if screen.json {
            serde_json::to_string(&call).map_err(|error| Failure::new(Exit::Failed, error))?
        } else {
            clean(&line_of(&call))
        };
        line.push('\n');
        print(line.as_bytes()).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write to standard output: {error}"))
        })?;
    }
    Err(Failure::new(Exit::Down, "the node stopped; the agent is no longer exposed"))
}

fn line_of(call: &CallSeen) -> String {
    let caller: String = call.caller.as_deref().unwrap_or("-").chars().take(DID_CHARS).collect();
    let end = match (&call.error, call.whole) {
        (Some(error), _) => format!("  {error}"),
        (None, true) => String::new(),
        (None, false) => "  cut off".to_owned(),
    };
    format!(
        "{}  {}  {} {} ms {} B  from {caller}…{end}",
        call.time, call.request, call.status, call.ms, call.bytes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line() {
        let call = CallSeen {
            time: "2026-11-26T12:00:00.000Z".into(),
            caller: Some("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp".into()),
            request: "POST /".into(),
            status: 200,
            ms: 12,
            bytes: 345,
            whole: true,
            ..CallSeen::default()
        };
        let line = "2026-11-26T12:00:00.000Z  POST /  200 12 ms 345 B  from did:key:z6MkiTBz1ymuepAQ…";
        assert_eq!(line_of(&call), line);
        assert!(line_of(&CallSeen { whole: false, ..call }).ends_with("cut off"));
    }
}
