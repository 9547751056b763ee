//! What one checkpoint is made of: the freeze, the capture, the bytes, and the time until it is
//! durable, against the disk alone.

mod command;
mod cycles;

pub use command::{CheckpointArguments, run};
pub(crate) use cycles::dirty_record_bytes;
