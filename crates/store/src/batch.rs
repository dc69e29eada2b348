use crate::{Guard, Table};

/// One change to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a row, replacing what was there.
    Put {
        /// Where.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
        /// The row's new value.
        value: Vec<u8>,
    },
    /// Removes a row; removing one that is absent is not an error.
    Delete {
        /// Where.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
    },
}

/// Changes that become visible and durable together or not at all. Later changes to a row win over earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<Op>,
    guard: Option<Guard>,
    durable: bool,
}

impl Batch {
    /// Sets a row.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push(Op::Put { table, key: key.into(), value: value.into() });
    }

    /// Adds a change.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Removes a row.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.ops.push(Op::Delete { table, key: key.into() });
    }

    /// Asks that the batch be synced to disk before its commit is acknowledged.
    pub fn require_sync(&mut self) {
        self.durable = true;
    }

    /// Has the vote guard written and synced before the batch itself. Implies [`Batch::require_sync`].
    pub fn set_guard(&mut self, guard: Guard) {
        self.guard = Some(guard);
        self.durable = true;
    }

    /// The changes, in order.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The vote guard to write first, if the batch carries something newly signed.
    #[must_use]
    pub fn guard(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// Whether the batch must be synced before it is acknowledged.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.guard.is_none()
    }
}
