use althing_gateway::{Client, DoorAnswer, DoorRequest, percent_encoded};
use serde_json::Value;

use super::interface::{Interface, Wanted};
use super::reply::Reply;
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
    client: Client,
    target: Target,
    /// What other commands must be given to reach the same node.
    home_flag: String,
    interface: Interface,
    streams: bool,
    headers: Vec<(String, Secret)>,
    /// What goes into the query of every request; empty if nothing does.
    query: String,
    limit: Limit,
}

impl Agent {
    /// Reads the agent's card and chooses how to speak with it.
    pub(crate) async fn meet(
        target: Target,
        how: &How,
        limit: Limit,
        session: &Session,
    ) -> Result<Self, Failure> {
        let client = limit.run(session.client()).await?;
        let given = how.svc_param.iter().map(|given| (given.name.clone(), given.value.clone()));
        let route = how.route.map(|strategy| (ROUTE.to_owned(), Secret(strategy.to_string())));
        let headers: Vec<_> = given.chain(route).collect();
        let request =
            DoorRequest::get(format!("{}{CARD}", target.door())).header("accept", "application/json")?;
        let reply = limit.run(async { Reply::read(client.door(request).await?).await }).await?;
        let card = reply.json().map_err(|failure| match failure.exit {
            Exit::Failed if reply.is_absent() => {
                Failure::new(Exit::Down, failure.cause()).envelope(Envelope::own("A2ACLI_ERR_CARD_NOT_FOUND"))
            }
            Exit::Failed => failure.envelope(Envelope::own("A2ACLI_ERR_CARD_INVALID")),
            Exit::Done | Exit::Usage | Exit::Down | Exit::Auth | Exit::Timeout | Exit::Invalid => failure,
        })?;
        let wanted = Wanted { protocol: how.a2a_version, bindings: &how.transport };
        let interface = Interface::choose(&card, wanted)?;
        let streams = card["capabilities"]["streaming"] == Value::Bool(true);
        let home_flag = session.home_flag().to_owned();
        let mut agent =
            Self { client, target, home_flag, interface, streams, headers, query: String::new(), limit };
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
        let reading = async { Ok::<_, Failure>(Reply::read(self.ask(operation).await?).await?) };
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

    async fn ask(&self, operation: &Operation) -> Result<DoorAnswer, Failure> {
        let mut request = wire::request(&self.target.door(), &self.query, &self.interface, operation)?;
        for (name, value) in &self.headers {
            request = request.header(name, &value.0)?;
        }
        Ok(self.client.door(request).await?)
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
            "query" => self.query = format!("{}={}", percent_encoded(name), percent_encoded(key)),
            "cookie" => self.headers.push(("cookie".to_owned(), Secret(format!("{name}={key}")))),
            _ => self.headers.push((name.to_owned(), Secret(key.clone()))),
        }
        Ok(())
    }
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
