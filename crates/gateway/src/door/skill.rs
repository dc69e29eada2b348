use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_a2a::{Ending, EndingReader};
use althing_card::{Query, SkillPath, Term};
use althing_engine::{Answer, Ask, Find, Standing};
use althing_record::AgentId;
use althing_route::{
    Candidate, Choice, Outcome, Reputation, Router, Score, Strategy, Ticket, Ticks, Weighed,
};
use axum::response::Response;
use http::HeaderName;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;

use super::failure::{Cause, Failure, Style};
use super::request::{self, Incoming};
use super::response;
use crate::api::Newcomers;
use crate::edge::Edge;
use crate::life::Life;

/// Most agents that are looked at for one skill.
const CANDIDATES_MAX: usize = 64;

/// Skills whose agents are remembered, and for how long.
const SKILLS_MAX: usize = 256;
const SKILLS_FOR: Duration = Duration::from_secs(2);

/// Agents that one request is offered to.
const ATTEMPTS_MAX: usize = 3;

/// Tasks and contexts whose agents are remembered: what is asked of them later goes to the same agent.
const TASKS_MAX: usize = 16_384;

/// Bytes of a response in which the ids of its task are looked for.
const LEARNED_BYTES_MAX: usize = 64 * 1_024;

/// The header in which a client says how an agent is chosen.
pub(super) const STRATEGY_HEADER: HeaderName = HeaderName::from_static("althing-route");

/// The header in which a client says whether newcomers are tried.
pub(super) const NEWCOMERS_HEADER: HeaderName = HeaderName::from_static("althing-newcomers");

/// The header that tells the callee which skill a call is for.
const SKILL_HEADER: HeaderName = HeaderName::from_static("althing-skill");

/// How calls to skills went, and what follows from that for the next one.
#[derive(Clone, Debug)]
pub(crate) struct Routing(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    began: Instant,
    router: Router<AgentId>,
    skills: BTreeMap<String, (Instant, Vec<Candidate<AgentId>>)>,
    tasks: BTreeMap<String, AgentId>,
    /// Tasks, the oldest first.
    order: VecDeque<String>,
}

impl Default for Routing {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            router: Router::default(),
            skills: BTreeMap::new(),
            tasks: BTreeMap::new(),
            order: VecDeque::new(),
        })))
    }
}

impl Routing {
    fn with<T>(&self, work: impl FnOnce(&mut State, Ticks) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Ticks(u64::try_from(state.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        work(&mut state, now)
    }

    /// A user says that an agent's answer was worth nothing, or no longer says so.
    pub(crate) fn rated(&self, agent: AgentId, is_useless: bool) {
        self.with(|state, _| match is_useless {
            true => state.router.disappointed(&agent),
            false => state.router.reconciled(&agent),
        });
    }

    /// An agent turned a trial down.
    fn declined(&self, agent: AgentId) {
        self.with(|state, _| state.router.declined(&agent));
    }

    fn begin(&self, candidates: &[Candidate<AgentId>], strategy: Strategy) -> Result<Turn, Option<Ticks>> {
        let draw = draw();
        self.with(|state, now| {
            let choice = state.router.choose(candidates, strategy, now, draw).map_err(|none| none.soonest)?;
            Ok(self.turn(state, choice, now))
        })
    }

    /// Why each may be chosen now or is not, and when that is.
    pub(super) fn weigh(&self, candidates: &[Candidate<AgentId>]) -> (Weighed, Ticks) {
        self.with(|state, now| (state.router.weigh(candidates, now), now))
    }

    fn begin_with(&self, agent: AgentId) -> Turn {
        self.with(|state, now| self.turn(state, Choice::only(agent), now))
    }

    fn turn(&self, state: &mut State, choice: Choice<AgentId>, now: Ticks) -> Turn {
        let agent = choice.agent;
        Turn { agent, ticket: Some(state.router.began(choice, now)), routing: self.clone() }
    }

    fn agent_of(&self, task: &str) -> Option<AgentId> {
        self.with(|state, _| state.tasks.get(task).copied())
    }

    fn learn(&self, task: String, agent: AgentId) {
        self.with(|state, _| {
            if state.tasks.insert(task.clone(), agent).is_none() {
                state.order.push_back(task);
            }
            while state.tasks.len() > TASKS_MAX {
                let Some(oldest) = state.order.pop_front() else { break };
                state.tasks.remove(&oldest);
            }
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "the shell draws for the router")]
fn draw() -> u64 {
    let mut bytes = [0; 8];
    // Without entropy every draw is the same: agents are still chosen, only not by chance.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A call to one agent, until it has ended. Dropped, it ended in a way that says nothing about the agent.
struct Turn {
    agent: AgentId,
    ticket: Option<Ticket<AgentId>>,
    routing: Routing,
}

impl Turn {
    fn is_trial(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_trial)
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            let draw = draw();
            self.routing.with(|state, now| state.router.ended(ticket, outcome, now, draw));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end(Outcome::Dropped);
    }
}

/// The live agents with a skill, and how calls to them go.
pub(super) async fn candidates(edge: &Edge, skill: &str) -> Result<Vec<Candidate<AgentId>>, Failure> {
    let remembered = edge.routing().with(|state, _| {
        let (since, agents) = state.skills.get(skill)?;
        (since.elapsed() < SKILLS_FOR).then(|| agents.clone())
    });
    if let Some(agents) = remembered {
        return Ok(agents);
    }
    let path: SkillPath =
        skill.parse().map_err(|error| Failure::new(Cause::Target, format!("skill {skill}: {error}")))?;
    let query = Query::from(Term::Skill(path));
    // The engine looks in the network by itself when its own index has nobody.
    let find = Find { query, limit: CANDIDATES_MAX, after: None, live: false };
    let answer = edge.ask(Ask::Find(find)).await;
    let Ok(Answer::Found(found)) = answer else {
        return Err(Failure::new(Cause::AgentUnreachable, format!("the search for {skill} failed")));
    };
    let agents: Vec<_> = found
        .agents
        .into_iter()
        .filter(|found| !found.card.leases.is_empty())
        .filter(|found| althing_a2a::MeshCard::parse(&found.card.json).is_ok())
        .map(|found| Candidate { agent: found.card.agent, reputation: found.standing.map(reputation) })
        .collect();
    if !agents.is_empty() {
        edge.routing().with(|state, _| {
            if state.skills.len() >= SKILLS_MAX {
                state.skills.pop_first();
            }
            state.skills.insert(skill.to_owned(), (Instant::now(), agents.clone()));
        });
    }
    Ok(agents)
}

fn reputation(standing: Standing) -> Reputation {
    let evidence = u32::try_from(standing.evidence.whole()).unwrap_or(u32::MAX);
    Reputation { score: Score::from_units(standing.service().0), evidence }
}

/// Sends a request to the agent of its task, or else to the one that is chosen; and to another if it was not delivered.
pub(super) async fn send(
    edge: &Edge,
    skill: &str,
    mut incoming: Incoming,
    style: &Style,
    life: Life,
) -> Result<Response, Failure> {
    let (strategy, newcomers) = (strategy(&incoming)?, newcomers(&incoming)?);
    if let Ok(value) = HeaderValue::from_str(skill) {
        incoming.headers_mut().insert(SKILL_HEADER, value);
    }
    let routing = edge.routing();
    let bound = tasks_in(&incoming).into_iter().find_map(|task| routing.agent_of(&task));
    let mut left = match bound {
        Some(agent) => vec![Candidate::unknown(agent)],
        None => wanted(candidates(edge, skill).await?, newcomers),
    };
    let mut last = Failure::new(Cause::AgentNotFound, format!("no live agent has the skill {skill}"));
    for _ in 0..ATTEMPTS_MAX {
        if left.is_empty() {
            break;
        }
        let begun = match bound {
            Some(agent) => Ok(routing.begin_with(agent)),
            None => routing.begin(&left, strategy),
        };
        let mut turn = begun.map_err(|_| {
            let message = format!("every agent with the skill {skill} failed lately; try again in a moment");
            Failure::new(Cause::AgentUnreachable, message)
        })?;
        let agent = turn.agent;
        match request::attempt(edge, agent, &mut incoming).await {
            Ok(response) => {
                let is_trial = turn.is_trial();
                turn.end(Outcome::Success);
                let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                let reading =
                    EndingReader::new(response.status().as_u16(), kind.is_some_and(response::is_events));
                let learner = Learner {
                    agent,
                    routing: routing.clone(),
                    seen: Some(Vec::new()),
                    reading: Some(reading),
                    is_trial,
                };
                return Ok(response::pass(response, style.clone(), life, Some(learner)));
            }
            Err(failure) => {
                let is_of_the_request = failure.cause.is_of_the_request();
                turn.end(if is_of_the_request { Outcome::Dropped } else { Outcome::Failure });
                left.retain(|other| other.agent != agent);
                let ends = !failure.undelivered || is_of_the_request;
                last = failure;
                if ends {
                    break;
                }
            }
        }
    }
    Err(last)
}

fn strategy(incoming: &Incoming) -> Result<Strategy, Failure> {
    let Some(value) = incoming.strategy() else { return Ok(Strategy::default()) };
    value.parse().map_err(|error| Failure::new(Cause::Target, format!("{STRATEGY_HEADER}: {error}")))
}

fn newcomers(incoming: &Incoming) -> Result<Newcomers, Failure> {
    let Some(value) = incoming.newcomers() else { return Ok(Newcomers::default()) };
    value.parse().map_err(|error| Failure::new(Cause::Target, format!("{NEWCOMERS_HEADER}: {error}")))
}

/// Those that a client wants; all if there is none.
fn wanted(all: Vec<Candidate<AgentId>>, newcomers: Newcomers) -> Vec<Candidate<AgentId>> {
    let wanted: Vec<_> =
        all.iter().filter(|candidate| newcomers.wants(candidate.is_newcomer())).copied().collect();
    if wanted.is_empty() { all } else { wanted }
}

/// The tasks and contexts that a request names.
fn tasks_in(incoming: &Incoming) -> Vec<String> {
    let mut tasks = Vec::new();
    let path = incoming.path().strip_prefix("/v1").unwrap_or(incoming.path());
    if let Some(rest) = path.strip_prefix("/tasks/") {
        let task = rest.split(['/', ':']).next().unwrap_or_default();
        tasks.push(task.to_owned());
    }
    let body = incoming.message();
    let params = body.get("params").unwrap_or(&body);
    let message = params.get("message").unwrap_or(&Value::Null);
    for (from, name) in [(message, "taskId"), (message, "contextId"), (params, "id"), (params, "taskId")] {
        if let Some(task) = from.get(name).and_then(Value::as_str) {
            tasks.push(task.to_owned());
        }
    }
    tasks
}

/// Reads a response as it passes: for the ids of its task, so that what is asked of it later goes to the same agent, and for
/// how the agent did, which is judged as receipts are.
pub(super) struct Learner {
    agent: AgentId,
    routing: Routing,
    /// What came so far; none when the ids were found or are too far back.
    seen: Option<Vec<u8>>,
    /// None when it was judged.
    reading: Option<EndingReader>,
    is_trial: bool,
}

impl Learner {
    pub(super) fn note(&mut self, part: &[u8]) {
        if let Some(reading) = &mut self.reading {
            reading.push(part);
        }
        let Some(seen) = &mut self.seen else { return };
        seen.extend_from_slice(part);
        let ids = ids_in(seen);
        if ids.is_empty() && seen.len() <= LEARNED_BYTES_MAX {
            return;
        }
        for id in ids {
            self.routing.learn(id, self.agent);
        }
        self.seen = None;
    }

    /// The response came to its end, or broke off by itself. Of one that its client did not want any more nothing is said.
    pub(super) fn ended(&mut self, is_whole: bool) {
        let Some(reading) = self.reading.take() else { return };
        match reading.end() {
            Ending::Failed => self.routing.rated(self.agent, true),
            Ending::Done | Ending::Open | Ending::Refused if !is_whole => {
                self.routing.rated(self.agent, true);
            }
            Ending::Refused if self.is_trial => self.routing.declined(self.agent),
            Ending::Done | Ending::Open | Ending::Refused => {}
        }
    }
}

/// The ids of the task and the context in a response, or in the first event of a stream.
fn ids_in(seen: &[u8]) -> Vec<String> {
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let event =
        || seen.split(|byte| *byte == b'\n').find_map(|line| json(line.strip_prefix(b"data:")?.trim_ascii()));
    let Some(document) = json(seen).or_else(event) else { return Vec::new() };
    let result = document.get("result").unwrap_or(&document);
    let inner =
        ["task", "message", "statusUpdate", "artifactUpdate"].iter().find_map(|name| result.get(name));
    let said = inner.unwrap_or(result);
    let is_task = said.get("status").is_some();
    let names: &[&str] = if is_task { &["id", "taskId", "contextId"] } else { &["taskId", "contextId"] };
    names.iter().filter_map(|name| said.get(name)?.as_str()).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_every_form_of_response() {
        let found = |text: &str| ids_in(text.as_bytes());
        let v1 = r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"id":"t","contextId":"c","status":{}}}}"#;
        assert_eq!(found(v1), ["t", "c"]);
        assert_eq!(found(r#"{"task":{"id":"t","contextId":"c","status":{}}}"#), ["t", "c"]);
        let v0 = r#"{"jsonrpc":"2.0","id":1,"result":{"kind":"task","id":"t","contextId":"c","status":{}}}"#;
        assert_eq!(found(v0), ["t", "c"]);
        let message = r#"{"result":{"message":{"messageId":"m","contextId":"c","parts":[]}}}"#;
        assert_eq!(found(message), ["c"]);
        let stream =
            "data: {\"result\":{\"statusUpdate\":{\"taskId\":\"t\",\"contextId\":\"c\",\"status\":{}}}}\n\n";
        assert_eq!(found(stream), ["t", "c"]);
        assert!(found("data: {\"result\":{\"sta").is_empty());
    }

    const NEW: AgentId = AgentId([2; 32]);

    /// What a trial comes to whose answer reads so: how often the agent was useless, and the chance of the next trial in
    /// millionths, which is 100,000 if this one went well.
    fn tried(status: u16, is_stream: bool, body: &str, is_whole: Option<bool>) -> (u64, u32) {
        let routing = Routing::default();
        let rated = |score: u32| {
            let reputation = Some(Reputation { score: Score::from_per_mille(score), evidence: 50 });
            Candidate { agent: AgentId([1; 32]), reputation }
        };
        // Where all others are bad, the newcomer is tried.
        let mut turn = routing.begin(&[rated(300), Candidate::unknown(NEW)], Strategy::Best).unwrap();
        assert!(turn.agent == NEW && turn.is_trial());
        turn.end(Outcome::Success);
        let reading = Some(EndingReader::new(status, is_stream));
        let mut learner =
            Learner { agent: NEW, routing: routing.clone(), seen: Some(Vec::new()), reading, is_trial: true };
        body.as_bytes().chunks(7).for_each(|part| learner.note(part));
        if let Some(is_whole) = is_whole {
            learner.ended(is_whole);
            learner.ended(true);
        }
        drop(learner);
        let (weighed, _) = routing.weigh(&[rated(900), Candidate::unknown(NEW)]);
        let useless = routing.with(|state, now| state.router.standing(&NEW, now).useless);
        // One that disappoints is no newcomer any more.
        (useless, if useless > 0 { 0 } else { weighed.trial_per_million })
    }

    #[test]
    fn a_trial_goes_as_well_as_a_receipt_of_it_would_say() {
        let task =
            |state: &str| format!(r#"{{"result":{{"task":{{"id":"t","status":{{"state":"{state}"}}}}}}}}"#);
        let whole = |body: &str| tried(200, false, body, Some(true));
        assert_eq!(whole(&task("TASK_STATE_COMPLETED")), (0, 100_000));
        assert_eq!(whole(&task("TASK_STATE_WORKING")), (0, 100_000));
        assert_eq!(whole(&task("TASK_STATE_FAILED")), (1, 0));
        assert_eq!(whole(r#"{"jsonrpc":"2.0","error":{"code":-32603}}"#), (1, 0));
        assert_eq!(tried(502, false, "", Some(true)), (1, 0));
        // It may have had its reasons.
        assert_eq!(whole(&task("TASK_STATE_REJECTED")), (0, 50_000));
        assert_eq!(whole(r#"{"jsonrpc":"2.0","error":{"code":-32602}}"#), (0, 50_000));
        let event = |state: &str| {
            format!("data: {{\"result\":{{\"statusUpdate\":{{\"status\":{{\"state\":\"{state}\"}}}}}}}}\n\n")
        };
        let failed = event("TASK_STATE_WORKING") + &event("TASK_STATE_FAILED");
        assert_eq!(tried(200, true, &failed, Some(true)), (1, 0));
        // What breaks off is no answer, unless it is the client that goes.
        assert_eq!(tried(200, true, &event("TASK_STATE_WORKING"), Some(false)), (1, 0));
        assert_eq!(tried(200, true, &failed, None), (0, 100_000));
    }

    #[test]
    fn newcomers_are_left_out_on_request_unless_there_are_only_such() {
        let new = Candidate::unknown(AgentId([1; 32]));
        let reputation = Some(Reputation { score: Score::ONE, evidence: 3 });
        let known = Candidate { agent: AgentId([2; 32]), reputation };
        let both = vec![new, known];
        assert_eq!(wanted(both.clone(), Newcomers::With), both);
        assert_eq!(wanted(both.clone(), Newcomers::Without), [known]);
        assert_eq!(wanted(both, Newcomers::Only), [new]);
        assert_eq!(wanted(vec![new], Newcomers::Without), [new]);
        assert_eq!(wanted(vec![known], Newcomers::Only), [known]);
    }

    #[test]
    fn tasks_stay_with_their_agent_and_the_oldest_are_forgotten() {
        let routing = Routing::default();
        for number in 0..TASKS_MAX + 10 {
            routing.learn(number.to_string(), AgentId([1; 32]));
        }
        assert_eq!(routing.agent_of("9"), None);
        assert_eq!(routing.agent_of("10"), Some(AgentId([1; 32])));
    }
}
