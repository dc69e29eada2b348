/// How a data directory is opened. The defaults suit a node that idles in less than 50 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Open a database that is older than its guard instead of refusing it. The node then must not vote.
    pub accept_rollback: bool,
    /// Size in bytes of the file that is given up when the disk is full, so that what was begun can be finished.
    pub reserve_bytes: u64,
    /// Bytes that stay free beside a commit; with fewer free the commit is refused before it is begun. Zero turns that
    /// look ahead off, for file systems whose free space means nothing; a full disk is then met where it is hit.
    pub headroom_bytes: u64,
    /// Batches that may wait to be committed; a further [`Committer::submit`](crate::Committer::submit) waits.
    pub queue_max: usize,
    /// Bytes of blocks that are kept in memory, for all tables together.
    pub cache_bytes: usize,
    /// Bytes of one table's unflushed rows, four times as many of calls. All tables together flush at eight times as many.
    pub write_buffer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accept_rollback: false,
            reserve_bytes: 8 << 20,
            headroom_bytes: 16 << 20,
            queue_max: 1_024,
            cache_bytes: 8 << 20,
            write_buffer_bytes: 2 << 20,
        }
    }
}
