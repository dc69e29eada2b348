//! What is done to nodes and to the network between them.

use althing_engine::Input;

use super::Sim;

impl Sim {
    /// Cuts the network: nodes of different sides do not reach each other. Nodes in no list are alone together.
    pub fn partition(&mut self, one: &[usize], other: &[usize]) {
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.side = match (one.contains(&number), other.contains(&number)) {
                (true, _) => 1,
                (false, true) => 2,
                (false, false) => 3,
            };
        }
        self.say(format!("partition {one:?} | {other:?}"));
        self.settle_sides();
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.side = 0);
        self.say("heal".into());
        self.settle_sides();
    }

    /// Kills a node's process: what was on its way to its disk is lost.
    pub fn crash(&mut self, node: usize) {
        self.say(format!("crash {node}"));
        self.nodes[node].disk.crash();
        self.stop(node);
    }

    /// Cuts a node's power: what was not synced is lost too.
    pub fn lose_power(&mut self, node: usize) {
        self.say(format!("power loss {node}"));
        self.nodes[node].disk.lose_power();
        self.stop(node);
    }

    /// Has a node crash exactly between the next vote guard that it writes and the batch which that guards.
    pub fn crash_after_next_guard(&mut self, node: usize) {
        self.nodes[node].crashes_after_guard = true;
    }

    /// Leaves no space on a node's disk.
    pub fn fill_disk(&mut self, node: usize) {
        self.say(format!("disk of {node} is full"));
        self.nodes[node].disk_is_full = true;
    }

    /// Makes space on a node's disk.
    pub fn free_disk(&mut self, node: usize) {
        if std::mem::take(&mut self.nodes[node].disk_is_full) {
            self.say(format!("disk of {node} has space"));
            self.handle(node, Input::Writable);
        }
    }

    /// Sets how far a node's wall clock is off.
    pub fn set_clock(&mut self, node: usize, skew_ms: i64) {
        self.nodes[node].skew_ms = skew_ms;
    }

    /// Takes back every [`Sim::crash_after_next_guard`].
    pub fn spare(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.crashes_after_guard = false);
    }

    /// Starts a node that is down.
    pub fn restart(&mut self, node: usize) {
        if self.nodes[node].life.is_none() {
            self.say(format!("restart {node}"));
            self.start(node);
            self.connect();
        }
    }

    /// Has a node prove scores with wrong paths, or no longer.
    pub fn falsify_scores(&mut self, node: usize, falsifies: bool) {
        self.nodes[node].falsifies_scores = falsifies;
    }

    /// Damages every response of a node on its way, or no longer.
    pub fn garble(&mut self, node: usize, garbles: bool) {
        self.nodes[node].garbles = garbles;
    }
}
