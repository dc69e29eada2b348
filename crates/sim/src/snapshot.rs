use crate::Sim;
use crate::disk::Disk;

/// What a node's database held at one moment.
pub struct Snapshot(Disk);

impl Sim {
    /// A copy of a node's database as it is now, its vote guard left out.
    #[must_use]
    pub fn snapshot(&self, of: usize) -> Snapshot {
        Snapshot(self.nodes[of].disk.restored())
    }

    /// Replaces the directory of a node that is down by one that is restored from a snapshot; its keys stay. What its
    /// clients were told since is not promised any more.
    ///
    /// # Panics
    /// When the node runs.
    pub fn restore(&mut self, node: usize, snapshot: &Snapshot) {
        assert!(!self.is_up(node), "only a node that is down is restored");
        self.say(format!("restore {node}"));
        self.nodes[node].disk = snapshot.0.copy();
        self.nodes[node].promises.clear();
        self.restart(node);
    }
}
