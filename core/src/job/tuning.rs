//! Switches that tests and ablations need and users do not.

use frazil_state::StagingSize;

/// Sizes of rings and pools; the defaults are right for jobs.
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
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            ring_messages: 64,
            staging: StagingSize::default(),
            row_buffers: 32,
            fold_chain_bytes_min: 32 << 20,
        }
    }
}
