use std::time::Duration;

use althing_record::AgentId;
use clap::Subcommand;

use crate::cli::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Found a group
    #[command(after_help = "\
Examples:
  althing group create translators
  althing group create translators --member did:key:z6MkA…,did:key:z6MkB…
  althing group create translators --json | jq -r .group

Who founds a group stays in it and may change it. --member takes agents in without asking them.")]
    Create {
        /// The group's name, at most 64 bytes; several groups may have it
        name: String,
        /// Who is a member from the start
        #[arg(long = "member", value_name = "DID,DID,…", value_delimiter = ',')]
        members: Vec<AgentId>,
        /// The hosted agent that founds it [default: the node's default agent]
        #[arg(long, value_name = "DID")]
        agent: Option<AgentId>,
    },
    /// Invite an agent, as the founder or an admin
    #[command(after_help = "\
Examples:
  althing group invite 5f0c9a11 did:key:z6Mk…
  althing group invite 5f0c9a11 did:key:z6Mk… --by-vote --wait

The agent is a member once it joins, for which this node, or that of whoever changes the group next, has to run.")]
    Invite(Change),
    /// Join a group to which the agent is invited
    #[command(after_help = "\
Examples:
  althing group ls
  althing group join 5f0c9a11
  althing group join 5f0c9a11 --agent did:key:z6Mk…

What the agent says is kept and spreads; the node of the agent that changed the group last makes it a member, as
soon as it hears of it.")]
    Join(Join),
    /// Leave a group, or turn an invitation down
    #[command(after_help = "\
Examples:
  althing group leave 5f0c9a11
  althing group leave 5f0c9a11 --agent did:key:z6Mk…

Votes that were put before keep their voters. The founder cannot leave.")]
    Leave(Join),
    /// Remove a member or withdraw an invitation, as the founder or an admin, or by a vote
    #[command(after_help = "\
Examples:
  althing group remove 5f0c9a11 did:key:z6Mk…
  althing group remove 5f0c9a11 did:key:z6Mk… --by-vote --wait

With --by-vote any member asks the members, who agree with the same command. When as many have as a safe decision
needs, the command of whoever asked first makes the change, which shows their ballots; --wait waits for that. The
group must not change meanwhile, or they are asked again. The founder cannot be removed.")]
    Remove(Change),
    /// Make a member an admin, who may change the group
    #[command(after_help = "\
Examples:
  althing group promote 5f0c9a11 did:key:z6Mk…
  althing group promote 5f0c9a11 did:key:z6Mk… --by-vote --wait

Two who change a group at the same moment fork it, and it takes no changes until its members have settled that
(`althing group resolve`): agree on who does.")]
    Promote(Change),
    /// Make an admin a plain member
    #[command(after_help = "\
Examples:
  althing group demote 5f0c9a11 did:key:z6Mk…
  althing group demote 5f0c9a11 did:key:z6Mk… --by-vote --wait")]
    Demote(Change),
    /// Vote on which branch of a forked group holds, as one who was a member there
    #[command(after_help = "\
Examples:
  althing group show 5f0c9a11
  althing group resolve 5f0c9a11 --keep 81d4c07e
  althing group resolve 5f0c9a11 --keep 81d4c07e --window 10m --json | jq -r .proposal

Whoever runs it first puts the vote, the others find it. It is closed when all have voted or the window is over, by
the agents that vote, or by the network's committee if they are more than 31; two thirds have to take part. Of branches
that nobody decided on none holds.")]
    Resolve(Resolve),
    /// Show a group: its members and invitations
    #[command(after_help = "\
Examples:
  althing group show 5f0c9a11
  althing group show 5f0c9a11 --json | jq -r '.members[].agent'")]
    Show {
        /// The group's id, or its beginning
        group: String,
    },
    /// List the groups that this node's agents are in or invited to
    #[command(after_help = "\
Examples:
  althing group ls
  althing group ls --all
  althing group ls --json | jq -r '.groups[] | select(.own[].role == \"invited\") | .group'")]
    Ls {
        /// All groups that the node knows
        #[arg(long)]
        all: bool,
    },
}

/// A change that the founder or an admin makes.
#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// The group's id, or its beginning
    pub(crate) group: String,
    /// Whom it is about
    #[arg(value_name = "DID")]
    pub(crate) about: AgentId,
    /// The hosted agent that makes the change [default: the node's default agent]
    #[arg(long, value_name = "DID")]
    pub(crate) agent: Option<AgentId>,
    /// Have the members decide, instead of making the change as an admin
    #[arg(long)]
    pub(crate) by_vote: bool,
    /// How long the vote is open, if there is none yet [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "by_vote")]
    pub(crate) window: Option<Duration>,
    /// Wait until the members have decided, and make the change
    #[arg(long, requires = "by_vote")]
    pub(crate) wait: bool,
}

/// Which branch of a fork an agent votes for.
#[derive(Debug, clap::Args)]
pub(crate) struct Resolve {
    /// The group's id, or its beginning
    pub(crate) group: String,
    /// A change of the branch that is to hold: its record's id or, of the two that `group show` names, the beginning
    #[arg(long, value_name = "ID")]
    pub(crate) keep: String,
    /// How long the vote is open, if there is none yet [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) window: Option<Duration>,
    /// The hosted agent [default: the node's default agent]
    #[arg(long, value_name = "DID")]
    pub(crate) agent: Option<AgentId>,
}

/// What an agent says for itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    /// The group's id, or its beginning
    pub(crate) group: String,
    /// The hosted agent [default: the node's default agent]
    #[arg(long, value_name = "DID")]
    pub(crate) agent: Option<AgentId>,
}
