use std::sync::Arc;

use althing_a2a::{IDEMPOTENT_EXTENSION_URI, OriginCard};
use althing_agent::{BUILTIN_URL, BuiltinAgent, Command};
use althing_engine::{Refusal, RefusalKind};
use althing_gateway::api::ExposeRequest;
use althing_tunnel::Doors;
use serde_json::json;

use super::{Source, refuse};

/// What stands in the card of an agent that has no address. No request is ever sent there.
const NOWHERE: &str = "http://builtin.invalid/";

/// The host of [`NOWHERE`].
const NOWHERE_HOST: &str = "builtin.invalid";

/// An agent that the node runs itself: it echoes, or runs a command.
pub(super) fn source(wish: &ExposeRequest) -> Result<Source, Refusal> {
    let (agent, shown) = match &wish.exec {
        Some(line) => {
            let command: Command = line.parse().map_err(|error: althing_agent::CommandError| {
                refuse(
                    RefusalKind::Invalid,
                    format!("the command cannot be run: {error}"),
                    Some(&error.hint()),
                )
            })?;
            (BuiltinAgent::exec(command), format!("exec: {line}"))
        }
        None => (BuiltinAgent::echo(), "echo".to_owned()),
    };
    let name = wish.name.as_deref().unwrap_or_default();
    let mut card = agent.card(name, "", &wish.skills);
    // An echo does the same each time.
    if wish.idempotent || wish.exec.is_none() {
        let description = "A message may come again.";
        card["capabilities"]["extensions"] =
            json!([{"uri": IDEMPOTENT_EXTENSION_URI, "description": description}]);
    }
    let card = card.to_string().replace(BUILTIN_URL, NOWHERE);
    let card = OriginCard::parse(card.as_bytes())
        .map_err(|faults| refuse(RefusalKind::Invalid, format!("no card can be made: {faults}"), None))?;
    let doors = Doors::of(&card, |url| url.host_str() == Some(NOWHERE_HOST));
    Ok(Source { card, doors, origin: Arc::new(agent), http: None, shown, card_url: None, notes: Vec::new() })
}
