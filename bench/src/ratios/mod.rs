//! The table of ratios: what Frazil costs by what the machine itself can do.

mod bound;
pub mod child;
mod command;
mod g01_throughput;
mod g03_checkpointing;
mod g05_freeze;
mod g07_latency;
mod g09_bytes;
mod g10_bandwidth;
mod g12_hop;
mod g13_growth;
mod g14_recovery;
mod g15_memory;
mod g16_faults;
mod hop_source;
mod ratio;
mod setting;

pub(crate) use bound::what;
pub use command::{RatiosArguments, run};
pub use ratio::Ratio;
pub(crate) use ratio::short;
