//! What parent and child tell each other.

use crate::job::EngineSettings;
use crate::progress::ProgressSample;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// The job that the child is to run; the same for its first and its second start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSettings {
    /// The input, sorted.
    pub files: Vec<PathBuf>,
    /// How often it is read.
    pub rounds: NonZeroU64,
    /// Shards and driver.
    pub engine: EngineSettings,
    /// Time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Where checkpoints go.
    pub checkpoints: PathBuf,
    /// Where committed rows go.
    pub output: PathBuf,
}

/// What the child says, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChildEvent {
    /// Where the job stands.
    Progress(ProgressSample),
    /// A checkpoint is durable, and its output is committed.
    CheckpointDurable {
        /// Its number.
        checkpoint_number: u64,
        /// Rows committed with it, in bytes.
        committed_bytes: u64,
    },
    /// The job went on from a checkpoint.
    Recovered(Recovered),
    /// Something that people should read.
    Message {
        /// One line.
        line: String,
    },
    /// All input is counted and all output is committed.
    Finished(Finished),
}

/// A recovery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// The checkpoint that the job went on from.
    pub checkpoint_number: u64,
    /// From the start of the process to the first record, in milliseconds.
    pub recovery_ms: f64,
    /// Input in front of the positions of that checkpoint, which is not read again, in bytes.
    pub restored_bytes: u64,
}

/// The end of a job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Checkpoints that became durable since this process started.
    pub checkpoint_count: u64,
    /// Since this process started, in seconds.
    pub elapsed_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_tagged_lines_that_read_back() {
        let events = [
            ChildEvent::Progress(ProgressSample::default()),
            ChildEvent::CheckpointDurable {
                checkpoint_number: 3,
                committed_bytes: 9,
            },
            ChildEvent::Recovered(Recovered {
                checkpoint_number: 3,
                recovery_ms: 1.5,
                restored_bytes: 7,
            }),
            ChildEvent::Message {
                line: "two\nlines".into(),
            },
            ChildEvent::Finished(Finished {
                checkpoint_count: 5,
                elapsed_seconds: 0.5,
            }),
        ];
        for event in events {
            let line = serde_json::to_string(&event).unwrap();
            assert!(
                line.starts_with("{\"event\":\"") && !line.contains('\n'),
                "{line}"
            );
            assert_eq!(serde_json::from_str::<ChildEvent>(&line).unwrap(), event);
        }
    }
}
