//! Althing.
fn main() {}
