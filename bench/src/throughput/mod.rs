//! The highest rate that is sustained: events come at a fixed rate that does not wait for the
//! engine, and the highest one is searched at which no backlog grows and latency stays bounded.

mod command;
mod search;
mod trial;

pub use command::{ThroughputArguments, run};
pub(crate) use search::Precision;
pub(crate) use trial::{Highest, Limits, P99_MAX, Trial, highest};
