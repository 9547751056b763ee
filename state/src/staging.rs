//! The bounded pool of chunks that captured lines are copied into.
//!
//! `chunks here + chunks at the checkpoint writer = chunk_count`, fixed at creation: capture
//! allocates nothing.

use std::collections::VecDeque;

use crate::format::Chunk;

/// How many chunks of which size a shard has for staging.
#[derive(Clone, Copy, Debug)]
pub struct StagingSize {
    /// Chunks in the pool.
    pub chunk_count: usize,
    /// Bytes in a chunk; one chunk becomes one frame.
    pub chunk_bytes: usize,
}

impl Default for StagingSize {
    /// 128 chunks of 256 KiB: 32 MiB a shard.
    fn default() -> Self {
        Self {
            chunk_count: 128,
            chunk_bytes: 256 << 10,
        }
    }
}

/// Room that a run of 64 records needs in the worst case: each splits a bucket and so writes first
/// to seven pages.
const RUN_BYTES_MAX: usize = 64 * 7 * ENTRY_BYTES_MAX;
/// A whole page in a chunk.
const ENTRY_BYTES_MAX: usize = crate::page::PAGE_BYTES + 16;

/// What a chunk is filled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkUse {
    /// The paced walk over the frozen pages, which can wait: it leaves a quarter of the pool.
    Paced,
    /// A write that cannot wait: it may take the last chunk.
    FirstWrite,
}

/// The chunks of one shard.
pub(crate) struct Staging {
    current: Option<Chunk>,
    /// Takes records in flight.
    in_flight: Option<Chunk>,
    free: Vec<Chunk>,
    full: VecDeque<Chunk>,
    size: StagingSize,
}

impl Staging {
    pub(crate) fn new(size: StagingSize) -> Self {
        let free: Vec<Chunk> = (0..size.chunk_count)
            .map(|_| Chunk::with_capacity(size.chunk_bytes))
            .collect();
        Self {
            current: None,
            in_flight: None,
            full: VecDeque::with_capacity(size.chunk_count),
            free,
            size,
        }
    }

    /// Stages the masked lines of a page; false if the pool has no chunk for this use.
    pub(crate) fn push(
        &mut self,
        chunk_use: ChunkUse,
        page_id: u32,
        fresh: bool,
        mask: u64,
        page: &[u8; crate::page::PAGE_BYTES],
    ) -> bool {
        if self.current.as_ref().is_none_or(|c| !c.has_room(mask)) && !self.start_chunk(chunk_use) {
            return false;
        }
        if let Some(current) = &mut self.current {
            current.push(page_id, fresh, mask, page);
        }
        true
    }

    fn start_chunk(&mut self, chunk_use: ChunkUse) -> bool {
        // The full chunk goes out even if no other is free: it has to travel before it can come
        // back.
        self.full.extend(self.current.take());
        let reserved = match chunk_use {
            ChunkUse::Paced => self.size.chunk_count / 4,
            ChunkUse::FirstWrite => 0,
        };
        if self.free.len() > reserved {
            self.current = self.free.pop();
        }
        self.current.is_some()
    }

    /// Hands the last, partly filled chunk over to the full ones.
    pub(crate) fn finish(&mut self) {
        match self.current.take() {
            Some(chunk) if chunk.is_empty() => self.free.push(chunk),
            Some(chunk) => self.full.push_back(chunk),
            None => {}
        }
    }

    /// Forgets everything staged.
    pub(crate) fn discard(&mut self) {
        self.finish();
        self.finish_in_flight();
        while let Some(chunk) = self.full.pop_front() {
            self.give_empty(chunk);
        }
    }

    /// Stages the next bytes of a channel of records in flight and gives how many it took: fewer if
    /// the pool has no chunk for them. They leave as much of it as the paced walk.
    pub(crate) fn push_in_flight(&mut self, channel: u32, types: u64, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.in_flight.is_none() && self.free.len() > self.size.chunk_count / 4 {
                self.in_flight = self.free.pop();
            }
            let Some(chunk) = &mut self.in_flight else {
                break;
            };
            let count = chunk.push_in_flight(channel, types, &bytes[taken..]);
            taken += count;
            if count == 0 {
                self.finish_in_flight();
            }
        }
        taken
    }

    /// Hands over the last chunk of records in flight.
    pub(crate) fn finish_in_flight(&mut self) {
        self.full.extend(self.in_flight.take());
    }

    pub(crate) fn take_full(&mut self) -> Option<Chunk> {
        self.full.pop_front()
    }

    pub(crate) fn give_empty(&mut self, mut chunk: Chunk) {
        chunk.clear();
        self.free.push(chunk);
        assert!(
            self.free.len() <= self.size.chunk_count,
            "more chunks came back than the pool has: chunk_count={}",
            self.size.chunk_count
        );
    }

    /// Whether what a run of records may capture finds room in free chunks: `pages` at most, or
    /// `RUN_BYTES_MAX` unless `all` are to count.
    pub(crate) fn has_room_for(&self, pages: usize, all: bool) -> bool {
        // At a chunk's end up to a page stays unused.
        let usable = self.size.chunk_bytes - Chunk::MIN_CAPACITY_BYTES;
        let room = self.free.len() * usable;
        let needed = pages * ENTRY_BYTES_MAX;
        room >= needed || (!all && room >= RUN_BYTES_MAX)
    }

    pub(crate) fn free_count(&self) -> usize {
        self.free.len()
    }
}
