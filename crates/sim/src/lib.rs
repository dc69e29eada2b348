//! A seeded network of engines on one thread.
