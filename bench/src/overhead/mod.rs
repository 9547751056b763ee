//! What checkpoints cost: the job of the demo over lines in memory, with checkpoints off and on in
//! turn.
//!
//! Each run starts afresh, is warmed up until every line was read once (so that all keys are
//! there), and is then measured for a fixed time. What was recorded before that is taken off.

mod lines;
mod measure;
mod report;

pub use lines::Lines;
pub use measure::{Measurement, Plan, measure};
pub use report::write_report;
