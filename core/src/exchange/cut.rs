//! Where a sender cut a ring whose barrier still waits in the outbox.
//!
//! The word lets the barrier overtake: the receiver sees it although the ring is full. The sender
//! writes the place, then the epoch (release), then hands over what lies behind the cut. A receiver
//! that sees a message sees every word that was written before it was handed over, so it never
//! takes one from behind the cut for one in front of it. The next cut is written only after this
//! one's checkpoint is over on all shards.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct CutWord {
    message_count: AtomicU64,
    epoch: AtomicU64,
}

impl CutWord {
    /// Cuts behind the first `message_count` messages that the ring ever had.
    pub(super) fn cut(&self, epoch: u64, message_count: u64) {
        self.message_count.store(message_count, Ordering::Relaxed);
        self.epoch.store(epoch, Ordering::Release);
    }

    /// The newest epoch that was cut here; 0 before the first.
    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Messages in front of the cut, of which the epoch was seen.
    pub(super) fn message_count(&self) -> u64 {
        self.message_count.load(Ordering::Relaxed)
    }
}
