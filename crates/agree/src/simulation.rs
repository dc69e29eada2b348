//! A seeded network of closers, some of them faulty, on virtual time.

mod node;
mod villain;
mod world;

#[cfg(test)]
mod tests;
