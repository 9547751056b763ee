//! Which files are the input.
//!
//! Without `--input` these are the source texts of the crates that cargo fetched to build this
//! program: [`fetched::default_corpus`]. They are found through the lock file and not through
//! `cargo metadata`, which fails offline where another member's dev-dependency was not fetched.
//! Only packages are taken that every build on Linux has, so one lock file means the same bytes
//! on every machine.

pub mod error;
pub mod expand;
pub mod fetched;
pub mod lock_file;
pub mod manifest;
pub mod registry;
pub mod size;
pub mod tree;
