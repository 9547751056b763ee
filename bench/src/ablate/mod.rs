//! What each mechanism of the design is worth: the same work with it and without it, in turn.

mod ablation;
mod cell;
mod command;

pub use command::{AblateArguments, run};
