//! Aya.
fn main() {}
