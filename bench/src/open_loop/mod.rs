//! Latency at a rate that does not wait for the engine: event i is due at `start + i / rate`, and
//! its latency runs from then, however late it was read.

mod activity;
mod latency;
mod loads;
mod moment;
mod overhead;
mod pace;
mod part;
mod recorder;
mod report;
mod run;
mod session;
mod stored;
#[cfg(test)]
mod synthetic_tests;
mod timed_source;
mod watched_storage;
mod work;

pub use activity::Activity;
pub use latency::{LatencyArguments, PaceArguments, latency};
pub(crate) use latency::{around, check_samples};
pub use moment::{Moment, Watcher};
pub(crate) use overhead::{INTERVAL_DEFAULT, of_session};
pub use overhead::{Overhead, OverheadArguments, overhead, run_overhead};
pub(crate) use pace::{TIMED_PER_SECOND_MAX, sample_every};
pub use part::Part;
pub use recorder::Latencies;
pub use report::Report;
pub use run::{OpenLoop, Options, run};
pub(crate) use session::Session;
pub use timed_source::{TimedReader, TimedSource};
pub use work::{Interval, WorkArguments};
