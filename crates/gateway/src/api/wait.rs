use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longest that a request for a vote waits.
pub const WAIT_MAX: Duration = Duration::from_secs(25);

/// The query of one vote: whether to answer at once, or when something has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Answer when this has come, or when the wait is over; at once if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub until: Option<Until>,
    /// How long to wait, in milliseconds, 1 to 25,000; 25,000 if not given. Means nothing without `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// What a request for a vote waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// This node knows the proposal.
    Known,
    /// Nothing about its outcome can change any more.
    Settled,
}
