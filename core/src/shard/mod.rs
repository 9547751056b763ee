//! One pinned thread's part of a job: its loop, and what it shares with the helper threads.

mod clock;
mod context;
mod control;
mod pacing;
mod progress;
mod shard_loop;
mod snapshot_cycle;
mod stillness;
mod watchdog;
mod writer_link;

pub use clock::LogicalClock;
pub(crate) use clock::{Clock, unix_ms};
pub(crate) use context::Context;
pub(crate) use control::JobControl;
pub(crate) use progress::JobProgress;
pub(crate) use shard_loop::{Shard, ShardEnd, ShardParts, ShardProbe};
pub(crate) use stillness::{Finding, Stillness};
pub use watchdog::{StuckAction, StuckShard, Watchdog};
pub(crate) use writer_link::{
    FromWriter, LinkSize, ShardLink, SnapshotReport, ToWriter, WriterLink,
};
