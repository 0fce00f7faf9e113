//! The demo: what it answers (a table written by hand), and its drills, through the program itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "tests are sentences; what goes wrong in one has failed it")]

#[path = "../support/mod.rs"]
mod support;

mod drill;
mod table;
