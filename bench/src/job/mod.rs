//! The job that is run and measured: count every identifier of a text, and commit a row whenever a
//! count reaches a power of two, and all counts at the end.

mod engine;
mod start;
mod tally;

pub use engine::EngineSettings;
pub use start::start;
pub use tally::{Tallied, Tally, TallyCounter};
