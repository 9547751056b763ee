//! Switches that tests and ablations need and users do not.

use frazil_state::{StagingSize, Switches};

/// Sizes of rings and pools, and mechanisms that can be switched off; the defaults are right for
/// jobs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Messages in every exchange ring.
    pub ring_messages: usize,
    /// Chunk pool of a shard.
    pub staging: StagingSize,
    /// Row buffers of a shard, 64 KiB each.
    pub row_buffers: usize,
    /// A chain of deltas is folded when it is longer than this, and longer than half of its base.
    pub fold_chain_bytes_min: u64,
    /// What the state does to be fast.
    pub state: Switches,
    /// Capture in slices between records; off, all at once as far as staging reaches.
    pub paced_capture: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            ring_messages: 64,
            staging: StagingSize::default(),
            row_buffers: 32,
            fold_chain_bytes_min: 32 << 20,
            state: Switches::default(),
            paced_capture: true,
        }
    }
}
