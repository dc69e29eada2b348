//! RocksDB behind the store contract, and the vote guard files.
