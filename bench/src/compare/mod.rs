//! Two files of ratios side by side.

mod command;
mod verdict;

pub use command::{CompareArguments, run};
