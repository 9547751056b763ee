//! A job from the outside: settings, start, and the handle of a running one.

mod builder;
mod checkpoints;
mod cores;
mod end;
mod handle;
mod restart;
mod savepoints;
mod shards;
mod shared;
mod start;
mod start_from;
mod supervisor;
mod tuning;

pub use builder::{Job, JobBuilder};
pub use checkpoints::Checkpoints;
pub use cores::Cores;
pub use end::{JobEnd, Stopper};
pub use handle::JobHandle;
pub use restart::RestartStrategy;
pub use shared::RestartReport;
pub use start_from::StartFrom;
pub use tuning::Tuning;
