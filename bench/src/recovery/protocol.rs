//! What parent and child tell each other. Times are of the monotonic clock, which all processes
//! share, in ns.

use frazil::RestoreMode;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a child is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildSettings {
    pub(super) task: Task,
    /// Keys and values, in records of 64 bytes.
    pub(super) state_bytes: u64,
    pub(super) checkpoints: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Task {
    /// Make the state, a base and a chain of about half its size; then wait to be killed.
    Build,
    /// Come back and process records; then wait to be killed.
    Restart(Restore),
}

/// How a child comes back to its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Restore {
    Eager,
    Mapped,
}

impl Restore {
    pub(crate) const ALL: [Self; 2] = [Self::Eager, Self::Mapped];

    pub(super) fn mode(self) -> RestoreMode {
        match self {
            Self::Eager => RestoreMode::Eager,
            Self::Mapped => RestoreMode::Mapped,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Mapped => "mapped",
        }
    }
}

/// What a child says, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum ChildEvent {
    Built { checkpoint: u64 },
    Restarted(Restarted),
}

/// A child that came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Restarted {
    /// When `main` began.
    pub(super) main_ns: u64,
    /// When the first image, or else the first delta, was opened.
    pub(super) open_ns: u64,
    /// When the first delta was.
    pub(super) chain_ns: u64,
    /// When the last byte of the chain had been read.
    pub(super) read_ns: u64,
    /// When the first record came out.
    pub(super) first_record_ns: u64,
    /// When all of the state was verified; none if it was before the first record.
    pub(super) verified_ns: Option<u64>,
    /// When the shard had taken no page fault for a while; none if that did not come.
    pub(super) steady_ns: Option<u64>,
    /// The key of the first record, and what was counted for it.
    pub(super) key: u64,
    pub(super) count: u64,
    /// The position of the first record in the sequence of keys.
    pub(super) position: u64,
    pub(super) state_bytes: u64,
}

pub(super) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let part = |field: i64| u64::try_from(field).expect("the clock is never negative");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
