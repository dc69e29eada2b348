use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document;

/// The answer of `POST /v1/keys/{name}/rotation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRotated {
    /// Always `althing.key-rotated/v1`.
    #[schema(example = "althing.key-rotated/v1")]
    pub schema: String,
    /// The agent, which stays the same.
    pub agent: String,
    /// Its local name.
    pub name: String,
    /// The key that speaks for it from now on, as a did:key.
    pub key: String,
    /// The key that did before.
    pub former: String,
    /// The record that says so.
    pub record: String,
    /// How many times its key was rotated, with this one.
    pub rotations: u64,
    /// Whether it has a card, which the new key signed.
    pub card: bool,
}

document!(KeyRotated, "althing.key-rotated/v1");
