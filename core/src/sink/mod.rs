//! Where records go: the contract of sinks, and the sinks that Frazil brings along.
//!
//! | file | says |
//! |---|---|
//! | `contract` | what a sink promises so that no row is lost and none appears twice |
//! | `error` | what can go wrong with a sink |
//! | `csv_files` | rows in CSV files, exactly once |
//! | `file_committer` | the committer of sinks that write files |
//! | `channel` | records to the application's threads, when they are durable |
//! | `callback` | a function called for each record, at once |
//! | `count` | only the number of records |
//! | `no_commit` | the committer of sinks without rows |

mod callback;
mod channel;
mod contract;
mod count;
mod csv_files;
mod error;
mod file_committer;
mod no_commit;
#[cfg(test)]
mod tests;

pub use callback::{ForEach, ForEachWriter};
pub use channel::{ChannelSink, ChannelWriter};
pub use contract::{Committer, Restored, Sink, SinkWriter};
pub use count::{Count, CountWriter};
pub use csv_files::{CsvFiles, CsvWriter};
pub use error::SinkError;
