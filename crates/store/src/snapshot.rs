use crate::Table;

/// Most rows that one scan returns, whatever its limit says.
pub const MAX_SCAN: usize = 65_536;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The database could not be read. The node stops: a shorter history is never served in place of the real one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table {table}: {cause}")]
pub struct ReadError {
    /// The column family that was read.
    pub table: &'static str,
    /// What the database said, with the file's name where it gave one.
    pub cause: String,
}

/// Read access to the rows of a store. Reads see every batch that was applied before them.
pub trait Snapshot {
    /// The value of a row.
    ///
    /// # Errors
    /// When the database is damaged or gone.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// The rows with `from <= key < to` in ascending key order (bytewise), at most `limit` and [`MAX_SCAN`] of them.
    ///
    /// # Errors
    /// When the database is damaged or gone.
    fn scan(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError>;

    /// The rows whose key starts with `prefix`, in ascending key order, at most `limit` and [`MAX_SCAN`] of them.
    ///
    /// # Errors
    /// When the database is damaged or gone.
    fn scan_prefix(&self, table: Table, prefix: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        self.scan(table, prefix, &prefix_end(prefix), limit)
    }
}

impl<S: Snapshot + ?Sized> Snapshot for &S {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        (**self).get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        (**self).scan(table, from, to, limit)
    }
}

/// The smallest key above every key that starts with `prefix`. An empty or all-`0xff` prefix ends at 64 bytes of
/// `0xff`, which is above every key that the core writes.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; 64]
}
