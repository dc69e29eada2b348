use althing_gateway::{Client, percent_encoded};
use serde_json::Value;

use super::answer::Answer;
use super::direct::{Direct, Met};
use super::interface::{Interface, Wanted};
use super::reply::Reply;
use super::request::Request;
use super::stream::Stream;
use super::{Envelope, Limit, Operation, Target, wire};
use crate::cli::args::{How, Secret};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::{Session, quoted};

/// Where the card is, below a door.
const CARD: &str = ".well-known/agent-card.json";

/// The header that says how one of several agents is chosen.
const ROUTE: &str = "althing-route";

/// An agent whose card was read, ready to be called.
#[derive(Debug)]
pub(crate) struct Agent {
    way: Way,
    target: Target,
    /// What other commands must be given to reach the same node; empty if none is needed.
    home_flag: String,
    /// What the paths of requests begin with.
    base: String,
    interface: Interface,
    streams: bool,
    headers: Vec<(String, Secret)>,
    /// What goes into the query of every request; empty if nothing does.
    query: String,
    limit: Limit,
}

/// How requests get to it.
#[derive(Debug)]
enum Way {
    Door(Client),
    Direct(Direct),
}

impl Agent {
    /// Reads the agent's card and chooses how to speak with it.
    pub(crate) async fn meet(
        target: Target,
        how: &How,
        limit: Limit,
        session: &Session,
    ) -> Result<Self, Failure> {
        let given = how.svc_param.iter().map(|given| (given.name.clone(), given.value.clone()));
        let route = how.route.map(|strategy| (ROUTE.to_owned(), Secret(strategy.to_string())));
        let headers: Vec<_> = given.chain(route).collect();
        let wanted = Wanted { protocol: how.a2a_version, bindings: &how.transport };
        let (way, base, query, interface, card) = match target.door() {
            Ok(door) => {
                let client = limit.run(session.client()).await?;
                let card = card_at(&door, &client, limit).await?;
                let interface = Interface::choose(&card, wanted)?;
                (Way::Door(client), door, String::new(), interface, card)
            }
            Err(outside) => {
                let met = limit.run(Direct::meet(outside, wanted, session.trace())).await?;
                let Met { direct, card, interface, path, query } = met;
                (Way::Direct(direct), path, query, interface, card.value().clone())
            }
        };
        let streams = card["capabilities"]["streaming"] == Value::Bool(true);
        let home_flag = match way {
            Way::Door(_) => session.home_flag().to_owned(),
            Way::Direct(_) => String::new(),
        };
        let mut agent = Self { way, target, home_flag, base, interface, streams, headers, query, limit };
        agent.take_credentials(how, &card)?;
        Ok(agent)
    }

    /// Whether it says that it streams.
    pub(crate) fn streams(&self) -> bool {
        self.streams
    }

    /// How long all calls may take together.
    pub(crate) fn limit(&self) -> Limit {
        self.limit
    }

    /// A command about one of its tasks, for people to type. The agent chose the task's id.
    pub(crate) fn command(&self, name: &str, task: &str, options: &str) -> String {
        format!("`althing task {name} {} {}{options}{}`", self.target, quoted(task), self.home_flag)
    }

    /// The command that answers an agent that waits for the caller.
    pub(crate) fn reply_command(&self, task: &str) -> String {
        format!("`althing send {} --task-id {} --text \"…\"{}`", self.target, quoted(task), self.home_flag)
    }

    /// Asks for something whose answer comes whole.
    pub(crate) async fn call(&self, operation: &Operation) -> Result<Value, Failure> {
        let reading = async { Reply::read(self.ask(operation).await?).await };
        self.limit.run(reading).await?.result(&self.interface, operation.is_wrapped())
    }

    /// Asks for something whose answer is a stream. An agent that answers with one document is heard out, too.
    pub(crate) async fn stream(&self, operation: &Operation) -> Result<Stream, Failure> {
        let answer = self.limit.run(self.ask(operation)).await?;
        if (200..300).contains(&answer.status()) && answer.media_type() == "text/event-stream" {
            return Ok(Stream::open(answer.events(), self.interface.clone(), self.limit));
        }
        let reply = self.limit.run(Reply::read(answer)).await?;
        Ok(Stream::of_one(reply.result(&self.interface, true)?, self.interface.clone(), self.limit))
    }

    async fn ask(&self, operation: &Operation) -> Result<Answer, Failure> {
        let request = wire::request(&self.base, &self.query, &self.interface, operation)?;
        let headers = self.headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, value.clone()));
        match &self.way {
            Way::Door(client) => Ok(Answer::Door(client.door(request.into_door()?).await?)),
            Way::Direct(direct) => direct.ask(request).await,
        }
    }

    /// Puts the caller's credentials where the card wants them.
    fn take_credentials(&mut self, how: &How, card: &Value) -> Result<(), Failure> {
        if let Some(Secret(token)) = &how.bearer {
            self.headers.push(("authorization".to_owned(), Secret(format!("Bearer {token}"))));
        }
        let Some(Secret(key)) = &how.api_key else { return Ok(()) };
        let (location, name) = key_place(card).ok_or_else(|| {
            let hint = "--bearer sends a token, --svc-param a header of any name".to_owned();
            Failure::new(Exit::Usage, "the agent's card does not say where --api-key goes").hint(hint)
        })?;
        match location {
            "query" => {
                let key = format!("{}={}", percent_encoded(name), percent_encoded(key));
                self.query = if self.query.is_empty() { key } else { format!("{}&{key}", self.query) };
            }
            "cookie" => self.headers.push(("cookie".to_owned(), Secret(format!("{name}={key}")))),
            _ => self.headers.push((name.to_owned(), Secret(key.clone()))),
        }
        Ok(())
    }
}

/// The card that a door shows.
async fn card_at(door: &str, client: &Client, limit: Limit) -> Result<Value, Failure> {
    let request = Request::get(format!("{door}{CARD}")).header("accept", "application/json").into_door()?;
    let reading = async { Reply::read(Answer::Door(client.door(request).await?)).await };
    let reply = limit.run(reading).await?;
    reply.json().map_err(|failure| match failure.exit {
        Exit::Failed if reply.is_absent() => {
            Failure::new(Exit::Down, failure.cause()).envelope(Envelope::own("A2ACLI_ERR_CARD_NOT_FOUND"))
        }
        Exit::Failed => failure.envelope(Envelope::own("A2ACLI_ERR_CARD_INVALID")),
        Exit::Done | Exit::Usage | Exit::Down | Exit::Auth | Exit::Timeout | Exit::Invalid => failure,
    })
}

/// Where the first scheme with a key wants it, and under which name.
fn key_place(card: &Value) -> Option<(&str, &str)> {
    let schemes = card.get("securitySchemes")?.as_object()?;
    let text = |scheme: &'_ Value, name: &str| scheme.get(name).and_then(Value::as_str).map(str::to_owned);
    schemes.values().find_map(|scheme| {
        let new = scheme.get("apiKeySecurityScheme");
        let is_old = text(scheme, "type").as_deref() == Some("apiKey");
        let (scheme, location) = match new {
            Some(new) => (new, "location"),
            None if is_old => (scheme, "in"),
            None => return None,
        };
        let (location, name) = (scheme.get(location)?.as_str()?, scheme.get("name")?.as_str()?);
        Some((location, name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_goes_where_the_card_says() {
        let new = json!({"securitySchemes": {
            "login": {"httpAuthSecurityScheme": {"scheme": "Bearer"}},
            "key": {"apiKeySecurityScheme": {"location": "header", "name": "X-Key"}},
        }});
        assert_eq!(key_place(&new), Some(("header", "X-Key")));
        let old = json!({"securitySchemes": {"key": {"type": "apiKey", "in": "cookie", "name": "k"}}});
        assert_eq!(key_place(&old), Some(("cookie", "k")));
        assert_eq!(key_place(&json!({"securitySchemes": {"login": {"type": "http"}}})), None);
        assert_eq!(key_place(&json!({})), None);
    }
}
