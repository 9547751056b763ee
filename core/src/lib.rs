//! Frazil: an embeddable, low-latency, stateful stream-processing engine for one Linux machine.
//!
//! A [`Job`] runs a [`Flow`] on pinned cores, one shard each, with keyed state that survives
//! crashes exactly once:
//!
//! ```no_run
//! use std::time::Duration;
//! use frazil::{Checkpoints, Cores, CsvFiles, Job, TextFiles};
//!
//! # fn main() -> Result<(), frazil::Error> {
//! let job = Job::builder("word-count")
//!     .cores(Cores::all())
//!     .checkpoints(Checkpoints::every(Duration::from_millis(100)).dir("checkpoints"))
//!     .build()?;
//! let handle = job.start(|flow| {
//!     flow.source(TextFiles::new(["input.txt"]))
//!         .flat_map(|line, out| for word in line.split_whitespace() { out.push(word) })
//!         .key_by(|word| word)
//!         .aggregate("count", 0u64, |count, _word| *count += 1)
//!         .sink(CsvFiles::new("out"));
//! })?;
//! handle.wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! Start it again after a crash and it goes on from its newest whole checkpoint. [`guide`] shows a
//! job's whole life in an application; `DESIGN.md` beside the crate tells how it works.

mod checkpoint;
mod error;
mod exchange;
mod flow;
pub mod guide;
mod in_flight;
mod job;
mod lock;
mod shard;
mod sink;
mod source;
mod statistics;

pub use checkpoint::{
    CheckpointEvent, CheckpointListener, CheckpointMode, CheckpointOutcome, CheckpointReport,
    CheckpointSettings, CheckpointTrace, DataAtRisk, Ended, Part, PastMaxAge, PhaseTime, Preflight,
    PreflightLine, RecoveryReport, RestoreMode, RestoredSplit, Restoring, SavepointReport,
    ShardTrace, SkippedCheckpoint, StoredCheckpoint, StoredCheckpoints, Verdict,
};
pub use error::Error;
pub use flow::{
    AggregatedStream, AggregatingState, BroadcastContext, BroadcastProcess, BroadcastState,
    BroadcastStream, ConnectedStream, ExpiringAggregatingState, ExpiringListState,
    ExpiringMapState, ExpiringReducingState, ExpiringStates, ExpiringValueState, Flow, FlowError,
    KeyWalks, Keyed, KeyedState, KeyedStream, ListProcess, ListState, MapState, Out, PendingTimers,
    Plain, Process, ProcessContext, ProcessResult, ProcessedStream, ReadContext, Record,
    RecordBatch, ReducingState, SideOutput, States, Stream, Timers, ValueState,
};
pub use frazil_io::IoError;
pub use frazil_io::runtime::{Driver, DriverChoice, DriverDecision, choose_driver};
pub use frazil_io::storage;
pub use frazil_state as state;
pub use frazil_state::{Expiry, ExpiryPolicy, Key, StagingSize, StateError, Value};
pub use job::{
    Checkpoints, Cores, Job, JobBuilder, JobEnd, JobHandle, RestartReport, RestartStrategy,
    StartFrom, Stopper, Tuning,
};
#[doc(hidden)]
pub use shard::LogicalClock;
pub use shard::{StuckAction, StuckShard, Watchdog};
pub use sink::{
    ChannelSink, ChannelWriter, Committer, Count, CountWriter, CsvFiles, CsvWriter, ForEach,
    ForEachWriter, Restored, Sink, SinkError, SinkWriter,
};
pub use source::{
    Iter, IterReader, ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader, TextFiles,
    TextFilesReader, push,
};
pub use statistics::{CheckpointStatistics, Latency, Statistics};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeDoctests;
