//! Who belongs to a group, and who may change that.
//!
//! A group begins with a Founding, and each Membership makes the [`State`] after the one that it names. A state follows
//! from the records on the way to it and from nothing else, so it is the same wherever and in whatever order these came,
//! and it never changes. Which of several states is the newest is for whoever holds the records to say.
//!
//! The crate deliberately signs nothing and does not know whether a key speaks for its agent.
//!
//! ```
//! use althing_group::State;
//! use althing_record::{AgentId, AgentKey, Change, RecordId};
//! use althing_testkit::{founding, network};
//!
//! let (ann, bob) = (AgentKey::from_seed(&[1; 32]), AgentId([2; 32]));
//! let state = State::founded(&founding(&ann, "translators"))?;
//! let state = state.after(RecordId([1; 32]), ann.agent(), &Change::Invite(bob))?;
//! assert!(!state.is_member(bob));
//! assert!(state.after(RecordId([2; 32]), bob, &Change::Add(bob)).is_err());
//! let state = state.after(RecordId([2; 32]), ann.agent(), &Change::Add(bob))?;
//! assert_eq!((state.height(), state.is_member(bob)), (2, true));
//! # Ok::<(), althing_group::GroupError>(())
//! ```

mod error;
mod state;
mod view;

pub use error::GroupError;
pub use state::{ADMINS_MAX, HEIGHT_MAX, INVITES_MAX, Invite, MEMBERS_MAX, Member, Right, Role, State};
pub use view::{
    Step, children, founding_key, groups, groups_of, index_founding, index_joining, index_step, is_named,
    joinings, step,
};
