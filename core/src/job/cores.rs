//! How many shards, and on which CPUs.

use frazil_io::runtime::{CpuId, available_cpus};

use crate::error::Error;

/// Most shards of a job.
const SHARDS_MAX: usize = 64;

/// The cores that a job runs on: one shard each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores(Choice);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    All,
    AllBut(usize),
    Count(usize),
}

impl Cores {
    /// All cores that the process may use: the highest throughput.
    #[must_use]
    pub fn all() -> Self {
        Self(Choice::All)
    }

    /// All but `count` cores, at least one shard: the cores left over are for Frazil's helper
    /// threads, which makes for the lowest latency.
    #[must_use]
    pub fn all_but(count: usize) -> Self {
        Self(Choice::AllBut(count))
    }

    /// `count` shards; where there are fewer cores they share them.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self(Choice::Count(count))
    }

    /// The CPU of every shard, and whether each has one of its own, so that it may spin.
    pub(crate) fn place(self) -> Result<(Vec<CpuId>, bool), Error> {
        let cpus = available_cpus();
        let count = match self.0 {
            Choice::All => cpus.len().min(SHARDS_MAX),
            Choice::AllBut(spared) => cpus.len().saturating_sub(spared).clamp(1, SHARDS_MAX),
            Choice::Count(count) => count,
        };
        if count == 0 || count > SHARDS_MAX {
            let expected = format!("1 to {SHARDS_MAX}");
            return Err(Error::setting("cores", expected, count.to_string()));
        }
        let placed = cpus.iter().copied().cycle().take(count).collect();
        Ok((placed, count <= cpus.len()))
    }
}
