//! Latency at a rate that does not wait for the engine: event i is due at `start + i / rate`, and
//! its latency runs from then, however late it was read.

mod activity;
mod command;
mod recorder;
mod report;
mod run;
#[cfg(test)]
mod synthetic_tests;
mod timed_source;
mod watched_storage;

pub use activity::Activity;
pub use command::{LatencyArguments, OverheadArguments, latency, overhead};
pub use recorder::Latencies;
pub use report::Report;
pub use run::{OpenLoop, Options, run};
pub use timed_source::{TimedReader, TimedSource};
