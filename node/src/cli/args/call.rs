use std::time::Duration;

use a2a::TaskState;
use althing_a2a::Binding;
use althing_card::SkillPath;
use althing_route::Strategy;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::Parts;
use crate::cli::call::Target;
use crate::cli::duration;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing send did:key:z6Mk… --text \"hello\"
  althing send --skill text/translate --text \"hello\" --data options.json
  althing send --skill text/translate --route fastest --text \"hello\"
  althing send did:key:z6Mk… --file report.bin --media-type application/pdf
  althing send did:key:z6Mk… --text \"a long story\" --stream --json | jq .
  althing send did:key:z6Mk… --text \"work on it\" --async
  althing send did:key:z6Mk… --task-id 43667960 --text \"from Paris to Rome\"
  althing send --agent-card https://agent.example --text \"hello\"
  althing send --agent-card card.json --text \"hello\" --stream --verbose

Waits until the task has ended or needs something, for 10 minutes unless --timeout says otherwise;
a stream is followed for as long as it lasts. The exit code says whether the call was made: a task
that failed is 0, too, and its state is in the output. With --json the output is the agent's own:
{\"task\": …} or {\"message\": …}, with --stream an event a line, and of an error {\"error\": …}.

An agent that --agent-card names by a URL or a file is called directly, without a node and without
a receipt. Redirects are not followed, and a card from the network leads neither from a public
address to one that is not, nor from TLS to none.")]
pub(crate) struct Send {
    /// The agent: its did, or a name that this node knows
    #[arg(value_name = "AGENT", required_unless_present_any = ["agent_card", "skill"])]
    agent: Option<Target>,
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[command(flatten)]
    whom: Whom,
    /// Add to a context: a new task beside those that are in it
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) context_id: Option<String>,
    /// Continue a task, as one that waits for input
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) task_id: Option<String>,
    /// The message's id, to send the same message again [default: a new one]
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) message_id: Option<String>,
    /// A JSON object that goes with the request
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub(crate) metadata: Option<Object>,
    /// Return at once; `althing task get --wait` waits later
    #[arg(long = "async", aliases = ["return-immediately", "no-wait"], conflicts_with_all = ["stream", "wait"])]
    pub(crate) at_once: bool,
    /// Wait until the task has ended or needs something; the default
    #[arg(long)]
    wait: bool,
    /// Show what happens as it happens
    #[arg(long)]
    pub(crate) stream: bool,
    #[command(flatten)]
    pub(crate) poll: Poll,
    #[command(flatten)]
    pub(crate) how: How,
}

impl Send {
    /// Whom to call.
    pub(crate) fn target(&self) -> Result<Target, String> {
        one_of(self.agent.clone(), &self.whom)
    }
}

/// Commands about tasks that agents have.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Show a task: its state and what it made
    #[command(after_help = "\
Examples:
  althing task get did:key:z6Mk… 43667960
  althing task get did:key:z6Mk… 43667960 --wait --timeout 1h
  althing task get --skill text/translate 43667960 --history 10 --json
  althing task get --agent-card https://agent.example 43667960")]
    Get {
        #[command(flatten)]
        task: TaskWords,
        /// How many messages of its history to show
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
        history: Option<i32>,
        /// Wait until it has ended or needs something, for 10 minutes unless --timeout says otherwise
        #[arg(long, alias = "watch")]
        wait: bool,
        #[command(flatten)]
        poll: Poll,
        #[command(flatten)]
        how: How,
    },
    /// List the tasks that an agent has of this caller, the newest first
    #[command(after_help = "\
Examples:
  althing task list did:key:z6Mk…
  althing task list did:key:z6Mk… --status working --json | jq -r '.tasks[].id'")]
    List {
        /// The agent: its did, or a name that this node knows
        #[arg(value_name = "AGENT", required_unless_present_any = ["agent_card", "skill"])]
        agent: Option<Target>,
        #[command(flatten)]
        whom: Whom,
        /// Only those of this context
        #[arg(long, value_name = "ID", value_parser = id)]
        context_id: Option<String>,
        /// Only those in this state, such as working or input-required
        #[arg(long, value_name = "STATE", value_parser = state)]
        status: Option<TaskState>,
        /// How many at most; the agent may give fewer
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100))]
        page_size: Option<i32>,
        /// Go on where a list ended
        #[arg(long, value_name = "TOKEN")]
        page_token: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Ask an agent to cancel a task
    #[command(after_help = "\
Examples:
  althing task cancel did:key:z6Mk… 43667960")]
    Cancel {
        #[command(flatten)]
        task: TaskWords,
        #[command(flatten)]
        how: How,
    },
    /// Follow a task that is under way
    #[command(after_help = "\
Examples:
  althing task subscribe did:key:z6Mk… 43667960 --stream
  althing task subscribe did:key:z6Mk… 43667960 --json | jq .status

Without --stream it shows the task once it has ended or needs something.")]
    Subscribe {
        #[command(flatten)]
        task: TaskWords,
        /// Show what happens as it happens
        #[arg(long)]
        stream: bool,
        #[command(flatten)]
        poll: Poll,
        #[command(flatten)]
        how: How,
    },
}

impl Task {
    /// How the agent is spoken to, and what is printed.
    pub(crate) fn how(&self) -> &How {
        match self {
            Self::Get { how, .. }
            | Self::List { how, .. }
            | Self::Cancel { how, .. }
            | Self::Subscribe { how, .. } => how,
        }
    }
}

/// Other ways to say whom to call.
#[derive(Debug, Args)]
pub(crate) struct Whom {
    /// Any agent with this skill, the best one at the moment
    #[arg(long, value_name = "SKILL", value_parser = skill, conflicts_with = "agent_card")]
    skill: Option<SkillPath>,
    /// The agent by its card: a URL of it or of what it is below, or a file (with / or .json in its name), for an agent
    /// outside of the mesh; a did or a name is the same as AGENT
    #[arg(short, long, value_name = "URL|FILE|AGENT", value_parser = Target::of_card)]
    agent_card: Option<Target>,
    /// Take any certificate of an agent that --agent-card names by an https URL
    #[arg(long, requires = "agent_card")]
    insecure: bool,
}

impl Whom {
    /// Whom these options name.
    pub(crate) fn target(&self) -> Result<Option<Target>, String> {
        let named = self.skill.clone().map(Target::Skill).or_else(|| self.agent_card.clone());
        if self.insecure { named.map(Target::insecure).transpose() } else { Ok(named) }
    }
}

/// The agent and its task.
#[derive(Debug, Args)]
pub(crate) struct TaskWords {
    /// The agent, unless an option says which, and the task's id
    #[arg(value_name = "[AGENT] TASK", num_args = 1..=2, required = true)]
    words: Vec<String>,
    #[command(flatten)]
    whom: Whom,
}

impl TaskWords {
    /// Whom to call, and about which task.
    pub(crate) fn read(&self) -> Result<(Target, String), String> {
        match (&self.words[..], self.whom.target()?) {
            ([task], Some(target)) => Ok((target, id(task)?)),
            ([agent, task], None) => Ok((agent.parse()?, id(task)?)),
            ([_], None) => Err("expected an agent and the id of its task, found one word".to_owned()),
            _ => Err("the agent is named twice".to_owned()),
        }
    }
}

/// Whom a command is about.
pub(crate) fn one_of(agent: Option<Target>, whom: &Whom) -> Result<Target, String> {
    match (agent, whom.target()?) {
        (Some(_), Some(_)) => Err("the agent is named twice".to_owned()),
        (named, other) => named.or(other).ok_or_else(|| "no agent is named".to_owned()),
    }
}

/// How often to ask.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Poll {
    /// How long between two looks at the task while waiting; the first ones are closer together
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub(crate) poll_interval: Duration,
}

/// How to speak with the agent, and what to print.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Text for people, or the agent's own JSON; --json is -o json
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// The version of A2A to speak [default: the newest that the agent does]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) a2a_version: Option<althing_a2a::Protocol>,
    /// The preferred binding, JSONRPC or HTTP+JSON; may be given several times [default: the agent's choice]
    #[arg(long, value_name = "BINDING", value_parser = binding)]
    pub(crate) transport: Vec<Binding>,
    /// A token for the agent, sent as Authorization: Bearer
    #[arg(long, value_name = "TOKEN", env = "A2ACLI_BEARER", hide_env_values = true)]
    pub(crate) bearer: Option<Secret>,
    /// A key for the agent, sent where its card says
    #[arg(long, value_name = "KEY", env = "A2ACLI_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<Secret>,
    /// A service parameter, sent as a header; may be given several times
    #[arg(long, value_name = "NAME:VALUE", value_parser = parameter)]
    pub(crate) svc_param: Vec<Parameter>,
    /// How one of the agents with --skill is chosen: best, round-robin, least-connections, least-load or fastest
    #[arg(long, value_name = "STRATEGY", requires = "skill")]
    pub(crate) route: Option<Strategy>,
}

/// Formats of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

/// What must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A header's name and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: Secret,
}

/// A JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object(pub(crate) Map<String, Value>);

/// Longest id of a task, a context or a message.
const ID_BYTES_MAX: usize = 1_024;

fn id(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("expected an id, found nothing".to_owned()),
        1..=ID_BYTES_MAX => Ok(text.to_owned()),
        length => Err(format!("expected an id of at most {ID_BYTES_MAX} bytes, found {length}")),
    }
}

pub(super) fn skill(text: &str) -> Result<SkillPath, String> {
    SkillPath::derive(text).map_err(|error| error.to_string())
}

fn object(text: &str) -> Result<Object, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(Object(object)),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(format!("expected a JSON object: {error}")),
    }
}

fn version(text: &str) -> Result<althing_a2a::Protocol, String> {
    match text {
        "1" | "1.0" => Ok(althing_a2a::Protocol::V1),
        "0.3" => Ok(althing_a2a::Protocol::V0),
        _ => Err("expected 1.0 or 0.3".to_owned()),
    }
}

fn binding(text: &str) -> Result<Binding, String> {
    match Binding::of(text) {
        binding @ (Binding::JsonRpc | Binding::HttpJson) => Ok(binding),
        Binding::Grpc | Binding::Other(_) => Err("expected JSONRPC or HTTP+JSON".to_owned()),
    }
}

/// A state of tasks: as A2A writes it, or in short.
fn state(text: &str) -> Result<TaskState, String> {
    let short = text.trim_start_matches("TASK_STATE_").replace('-', "_").to_ascii_uppercase();
    match serde_json::from_value(format!("TASK_STATE_{short}").into()) {
        Ok(TaskState::Unspecified) | Err(_) => {
            Err("expected submitted, working, input-required, auth-required, \
             completed, failed, canceled or rejected"
                .to_owned())
        }
        Ok(state) => Ok(state),
    }
}

fn parameter(text: &str) -> Result<Parameter, String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "expected NAME:VALUE".to_owned())?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("expected the name of a header before the colon".to_owned());
    }
    if althing_a2a::is_own_header(name) {
        return Err("names that begin with althing- are the node's own".to_owned());
    }
    Ok(Parameter { name: name.to_owned(), value: Secret(value.to_owned()) })
}
