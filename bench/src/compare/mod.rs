//! Two result files side by side.

mod bootstrap;
mod command;
mod entry;
mod verdict;

pub use command::{CompareArguments, run};
