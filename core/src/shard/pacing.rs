//! How much of a snapshot a shard captures between two looks at its input.

use crate::flow::Progress;

/// Bytes copied in one slice: some microseconds.
const SLICE_BYTES: usize = 16 << 10;
/// The same while input is waiting: some hundredths of what the records of a turn take, so that a
/// capture ends whatever the load is.
const BEHIND_SLICE_BYTES: usize = 1 << 10;
/// The same while records wait for the capture.
const HURRIED_SLICE_BYTES: usize = 256 << 10;
/// A shard that was behind for so long is saturated: no time to spare will come.
const SATURATED_AFTER_NS: u64 = 1_000_000_000;

/// Finds the time for the capture where no record has to wait for it.
///
/// While all memory is dirty, first writes make records dearer, at half load by so much that a
/// fixed share for the walk on top left a backlog growing by 0.16 ms each ms. So a turn that took
/// all that it could leaves the walk next to nothing, and one that reached the end of its input
/// gives it a whole slice. Saturated shards (replay, a source without a pace) get whole slices in
/// every turn: the walk copies a line at half the cost of a first write, and no latency is lost.
pub(super) struct Pacing {
    /// False where all that staging takes is captured at once.
    is_on: bool,
    is_behind: bool,
    now_ns: u64,
    /// The last turn that reached the end of its input.
    caught_up_ns: u64,
}

impl Pacing {
    pub(super) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            is_behind: false,
            now_ns: 0,
            caught_up_ns: 0,
        }
    }

    /// Notes how far the stages came in the turn that began at `now_ns`.
    #[inline]
    pub(super) fn turn(&mut self, progress: Progress, now_ns: u64) {
        self.now_ns = now_ns;
        self.is_behind = progress == Progress::Full;
        if !self.is_behind {
            self.caught_up_ns = now_ns;
        }
    }

    /// Bytes to capture in this turn; `must_wait` says that no record is taken meanwhile.
    pub(super) fn slice_bytes(&self, must_wait: bool) -> usize {
        let is_saturated = self.now_ns - self.caught_up_ns > SATURATED_AFTER_NS;
        match self.is_behind {
            _ if !self.is_on => usize::MAX,
            _ if must_wait => HURRIED_SLICE_BYTES,
            true if !is_saturated => BEHIND_SLICE_BYTES,
            _ => SLICE_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_is_behind_captures_little_until_it_is_saturated() {
        let mut pacing = Pacing::new(true);
        let mut slice = |progress, now_ns| {
            pacing.turn(progress, now_ns);
            pacing.slice_bytes(false)
        };
        assert_eq!(slice(Progress::Worked, 1_000), SLICE_BYTES);
        assert_eq!(slice(Progress::Full, 2_000), BEHIND_SLICE_BYTES);
        assert_eq!(slice(Progress::Waiting, 3_000), SLICE_BYTES);
        let saturated_ns = 3_000 + SATURATED_AFTER_NS;
        assert_eq!(slice(Progress::Full, saturated_ns), BEHIND_SLICE_BYTES);
        assert_eq!(slice(Progress::Full, saturated_ns + 1), SLICE_BYTES);
        assert_eq!(slice(Progress::Worked, saturated_ns + 2), SLICE_BYTES);
        assert_eq!(slice(Progress::Full, saturated_ns + 3), BEHIND_SLICE_BYTES);
    }

    #[test]
    fn the_capture_is_hurried_while_records_wait_for_it() {
        let mut pacing = Pacing::new(true);
        pacing.turn(Progress::Full, 1_000);
        assert_eq!(pacing.slice_bytes(true), HURRIED_SLICE_BYTES);
        assert_eq!(Pacing::new(false).slice_bytes(true), usize::MAX);
    }
}
