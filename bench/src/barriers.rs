//! What the barriers of checkpoints wait for: options of all commands whose flow makes checkpoints
//! under load.

use clap::{Args, ValueEnum};
use frazil::{CheckpointMode, Checkpoints};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How barriers pass records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct Barriers {
    /// What checkpoints promise and wait for
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Wait of an aligned barrier before it overtakes records, as 100ms or 1s [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub alignment_timeout: Option<Duration>,
}

/// [`CheckpointMode`] on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Exactly once: barriers wait for each other
    #[default]
    Aligned,
    /// Exactly once: barriers overtake queued records, which then belong to the checkpoint
    Unaligned,
    /// Nobody waits; records may count twice after a recovery
    AtLeastOnce,
}

impl Barriers {
    /// The same checkpoints with these barriers.
    pub(crate) fn of(self, checkpoints: Checkpoints) -> Checkpoints {
        let mode = match self.mode {
            Mode::Aligned => CheckpointMode::Aligned,
            Mode::Unaligned => CheckpointMode::Unaligned,
            Mode::AtLeastOnce => CheckpointMode::AtLeastOnce,
        };
        let checkpoints = checkpoints.mode(mode);
        match self.alignment_timeout {
            Some(timeout) => checkpoints.alignment_timeout(timeout),
            None => checkpoints,
        }
    }
}
