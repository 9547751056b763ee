//! Recovery after a real `kill -9`: a child builds state and checkpoints it, is killed, and another
//! one is started; how long until the first correct record comes out, against reading the same
//! bytes.

mod build;
pub mod child;
mod command;
mod files;
mod protocol;
mod restart;
mod trial;
mod watched;

pub use command::{RecoveryArguments, run};
pub(crate) use protocol::Restore;
pub(crate) use trial::{Restarts, Split};
