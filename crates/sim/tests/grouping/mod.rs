//! Groups as the clients of nodes found, change and see them.

#![allow(dead_code, reason = "not every test file needs all of it")]

use althing_engine::{Answer, Ask, Group, GroupAsk};
use althing_record::{Change, GroupId};
use althing_sim::Sim;

pub(crate) fn group_ask(net: &mut Sim, node: usize, ask: GroupAsk) -> Answer {
    let no = net.node(node).ask(Ask::Group(ask));
    net.answer(no)
}

pub(crate) fn taken(answer: Answer) -> Group {
    let Answer::Group { group, .. } = answer else { panic!("expected a group, found {answer:?}") };
    *group
}

pub(crate) fn show_group(net: &mut Sim, node: usize, group: GroupId) -> Group {
    taken(group_ask(net, node, GroupAsk::Show { group }))
}

pub(crate) fn change(net: &mut Sim, node: usize, group: GroupId, change: Change) -> Answer {
    let agent = net.agent(node);
    group_ask(net, node, GroupAsk::Change { agent, group, change })
}

/// A group of the agents of so many nodes, which the first one's founds.
pub(crate) fn founded(net: &mut Sim, count: usize) -> GroupId {
    let members = net.agents(1..count);
    let ask = GroupAsk::Found { agent: net.agent(0), name: "translators".into(), members };
    taken(group_ask(net, 0, ask)).group
}
