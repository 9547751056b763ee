//! Freeze, capture, and what follows a checkpoint's end.
//!
//! `Idle -> Capturing -> Captured -> Idle` for a checkpoint that became durable; from `Capturing`
//! and `Captured` an abort leads through `Merging` back to `Idle`. Only in `Idle` may the next
//! freeze come.
//!
//! A frozen line stands in exactly one place: in its page's `masks[frozen]` (not captured yet) or
//! in `retained` (captured). Both moves, capture and the first write while merging, go from the
//! former to the latter, so merging finds every line whatever the order of events was.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::arena::{Arena, DirtyList, line_count};
use crate::page::{LINE_BYTES, PAGE_BYTES, PageId};
use crate::staging::ChunkUse;

/// Masks with at least this many of 64 lines set are staged as the whole page: one copy instead of
/// many runs.
const WHOLE_PAGE_LINES_MIN: u32 = 56;

/// How many pages before its turn a frozen page's masks are asked for, and then its lines: frozen
/// pages lie where records happened to be, so every look at one would wait for memory.
const MASKS_AHEAD: usize = 24;
const LINES_AHEAD: usize = 6;
/// Lines asked for in a page; hardware finds the rest of a long run by itself.
const LINES_AHEAD_MAX: usize = 16;

/// Where the snapshot of the frozen epoch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No snapshot in flight.
    Idle,
    /// Frozen pages from `cursor` on may still be uncaptured.
    Capturing { cursor: usize },
    /// Everything is staged; the checkpoint is not durable yet.
    Captured,
    /// Aborted: frozen lines from `cursor` on go back to the live masks. `declined` until it was
    /// reported.
    Merging { cursor: usize, declined: bool },
}

/// Outcome of one slice of capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureStatus {
    /// Frozen pages remain.
    More,
    /// Frozen pages remain and the staging pool is empty.
    NeedsChunk,
    /// All frozen lines are staged.
    Done,
    /// The pool was empty when a frozen page had to be written: the snapshot is being merged back.
    Declined,
}

impl Arena {
    /// Begins the next epoch: what is dirty is frozen. O(1).
    pub(crate) fn freeze(&mut self) {
        assert_eq!(
            self.phase,
            Phase::Idle,
            "freeze while the snapshot before is in flight"
        );
        self.live ^= 1;
        self.dirty[self.live].count = 0;
        self.dirty_line_count = 0;
        self.phase = Phase::Capturing { cursor: 0 };
    }

    /// Pages that are frozen and perhaps not captured yet; 0 where none is.
    pub(crate) fn uncaptured_pages_max(&self) -> usize {
        match self.phase {
            Phase::Capturing { cursor } => self.dirty[self.live ^ 1].count - cursor,
            Phase::Idle | Phase::Captured | Phase::Merging { .. } => 0,
        }
    }

    /// Stages frozen pages until about `max_bytes` were copied.
    pub(crate) fn capture(&mut self, max_bytes: usize) -> CaptureStatus {
        let Phase::Capturing { mut cursor } = self.phase else {
            return match self.phase {
                Phase::Merging { .. } => CaptureStatus::Declined,
                Phase::Idle | Phase::Captured | Phase::Capturing { .. } => CaptureStatus::Done,
            };
        };
        let frozen = self.live ^ 1;
        let end = self.dirty[frozen].count;
        let mut copied_bytes = 0;
        let mut status = CaptureStatus::More;
        while cursor < end && copied_bytes < max_bytes {
            self.prefetch_frozen(&self.dirty[frozen], cursor);
            let id = PageId(self.dirty[frozen].ids[cursor]);
            let mask = self.metas[id.index()].masks[frozen];
            if mask != 0 {
                if !self.stage(id, u64::MAX, ChunkUse::Paced) {
                    status = CaptureStatus::NeedsChunk;
                    break;
                }
                copied_bytes += mask.count_ones() as usize * LINE_BYTES;
            }
            // A page that was captured on its first write costs a look, so that empty walks are
            // bounded too.
            copied_bytes += 16;
            cursor += 1;
        }
        self.phase = Phase::Capturing { cursor };
        if cursor == end {
            self.staging.finish();
            self.phase = Phase::Captured;
            status = CaptureStatus::Done;
        }
        status
    }

    /// Asks for the memory that the walk will look at some pages after `cursor`.
    #[inline]
    fn prefetch_frozen(&self, list: &DirtyList, cursor: usize) {
        let id_at = |ahead: usize| {
            let index = cursor + ahead;
            (index < list.count).then(|| PageId(list.ids[index]))
        };
        if let Some(id) = id_at(MASKS_AHEAD) {
            self.prefetch_meta(id);
        }
        if let Some(id) = id_at(LINES_AHEAD) {
            let mut mask = self.metas[id.index()].masks[self.live ^ 1];
            for _ in 0..LINES_AHEAD_MAX.min(mask.count_ones() as usize) {
                self.prefetch(id, mask.trailing_zeros() as usize * LINE_BYTES);
                mask &= mask - 1;
            }
        }
    }

    /// Saves those frozen lines of a page that are about to be written.
    ///
    /// Not the page's other lines: right after a freeze nearly every record writes to a page for
    /// the first time, and copying 4 KiB from cold memory for each was measured to take twelve
    /// times what a record may take at half load, so that a backlog of tens of milliseconds grew.
    /// The paced walk takes the other lines when there is time.
    #[cold]
    #[inline(never)]
    pub(crate) fn before_first_write(&mut self, id: PageId, mask: u64) {
        if let Phase::Capturing { .. } = self.phase {
            if self.stage(id, mask, ChunkUse::FirstWrite) {
                self.captured_on_first_write_count += 1;
                return;
            }
            self.begin_merge(true);
        }
        assert!(
            matches!(self.phase, Phase::Merging { .. }),
            "page={} has frozen lines in phase={:?}",
            id.0,
            self.phase
        );
        self.retain(id, u64::MAX);
    }

    /// The checkpoint is durable: the frozen lines need not be kept.
    pub(crate) fn forget_snapshot(&mut self) {
        assert_eq!(
            self.phase,
            Phase::Captured,
            "a checkpoint became durable before its capture was done"
        );
        self.phase = Phase::Idle;
    }

    /// The checkpoint failed: its lines become dirty again, in slices by [`Arena::merge`].
    pub(crate) fn begin_merge(&mut self, declined: bool) {
        match self.phase {
            Phase::Capturing { .. } | Phase::Captured => {
                self.staging.discard();
                self.phase = Phase::Merging {
                    cursor: 0,
                    declined,
                };
            }
            Phase::Merging { .. } | Phase::Idle => {}
        }
    }

    /// Merges up to `max_pages` pages back; true when the snapshot is gone.
    pub(crate) fn merge(&mut self, max_pages: usize) -> bool {
        let Phase::Merging { cursor, declined } = self.phase else {
            return self.phase == Phase::Idle;
        };
        let frozen = self.live ^ 1;
        let end = self.dirty[frozen].count.min(cursor + max_pages);
        for index in cursor..end {
            let id = PageId(self.dirty[frozen].ids[index]);
            if self.metas[id.index()].masks[frozen] != 0 {
                self.retain(id, u64::MAX);
            }
            self.restore_retained(id);
        }
        if end == self.dirty[frozen].count {
            self.phase = Phase::Idle;
            return true;
        }
        self.phase = Phase::Merging {
            cursor: end,
            declined,
        };
        false
    }

    /// Copies those frozen lines of a page that are among `lines` into a chunk; false if the pool
    /// has none for this use.
    fn stage(&mut self, id: PageId, lines: u64, chunk_use: ChunkUse) -> bool {
        let frozen = self.live ^ 1;
        let meta = &self.metas[id.index()];
        let mut mask = meta.masks[frozen] & lines;
        let is_last_of_page = mask == meta.masks[frozen];
        // Lines outside the mask are as they were at the freeze only if none was written since.
        let is_as_frozen = meta.masks[self.live] == 0;
        if mask.count_ones() >= WHOLE_PAGE_LINES_MIN && is_last_of_page && is_as_frozen {
            mask = u64::MAX;
        }
        // Entries of a page apply in the order in which they are staged: the first may zero it.
        let fresh = meta.fresh[frozen] != 0;
        let page: &[u8; PAGE_BYTES] = &self.pages[id.index()].0;
        if !self.staging.push(chunk_use, id.0, fresh, mask, page) {
            return false;
        }
        self.retain(id, lines);
        true
    }

    /// Moves those frozen lines that are among `lines` from "not captured" to "captured".
    fn retain(&mut self, id: PageId, lines: u64) {
        let frozen = self.live ^ 1;
        let meta = &mut self.metas[id.index()];
        if meta.half_captured == 0 {
            // What stands there is of an earlier snapshot.
            (meta.retained, meta.retained_fresh) = (0, 0);
        }
        meta.retained |= meta.masks[frozen] & lines;
        meta.retained_fresh |= std::mem::take(&mut meta.fresh[frozen]);
        meta.masks[frozen] &= !lines;
        meta.half_captured = u8::from(meta.masks[frozen] != 0);
    }

    fn restore_retained(&mut self, id: PageId) {
        let live = self.live;
        let meta = &mut self.metas[id.index()];
        let was_clean = meta.masks[live] == 0;
        self.dirty_line_count += line_count(meta.retained & !meta.masks[live]);
        meta.masks[live] |= meta.retained;
        meta.fresh[live] |= meta.retained_fresh;
        if was_clean {
            let list = &mut self.dirty[live];
            list.ids[list.count] = id.0;
            list.count += 1;
        }
    }
}
