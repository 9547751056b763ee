//! The floor of this machine: what no engine on it can be faster than.

mod command;
mod crc;
pub(crate) mod disk;
mod memory;
pub mod ping_pong;

pub use command::{LimitsArguments, LimitsResult, measure, run};
pub use disk::RawDisk;
