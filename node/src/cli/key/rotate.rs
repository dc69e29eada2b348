use althing_gateway::api::KeyRotated;

use super::super::failure::Failure;
use super::super::page::{Page, Text};
use super::super::session::Session;

/// Has the node make a new key for an agent.
pub(super) async fn rotate(agent: &str, session: &Session) -> Result<Page, Failure> {
    let rotated = session.client().await?.rotate(agent).await?;
    Page::new(&rotated, text(&rotated))
}

fn text(rotated: &KeyRotated) -> Text {
    let KeyRotated { agent, name, key, former, rotations, card, .. } = rotated;
    let mut text = Text::default();
    text.pairs(&[
        ("agent", agent.clone()),
        ("name", name.clone()),
        ("key", key.clone()),
        ("former key", former.clone()),
        ("rotations", rotations.to_string()),
        ("card", if *card { "signed anew" } else { "none" }.to_owned()),
    ]);
    text.line("")
        .line("the agent is the same, with its name, its ratings and its place in votes; the former key and the former")
        .line("recovery key are gone from this home and do not count any more")
        .line(&format!("next: move the new recovery key, {name}-recovery.key in keys/agents, to a safe place"))
        .line(&format!("and make copies of {name}.key and {name}.identity in place of older ones"));
    text
}
