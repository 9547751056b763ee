//! The same keyed count with what people would otherwise take for it: a bare map, timely dataflow
//! and RocksDB, beside Frazil with and without checkpoints.

mod bare;
mod command;
mod contestant;
mod flow;
#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(feature = "timely")]
mod timely_count;

pub use command::{BaselinesArguments, run};
