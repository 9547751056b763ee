//! The command `idle`: what a job costs while it has nothing to do, and how soon it answers then.

mod command;

pub use command::{IdleArguments, IdleResult, run};
