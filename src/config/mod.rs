//! Reads what operators write.

pub mod records;
