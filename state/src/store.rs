//! One shard's state: tables in an arena, frozen and captured as a whole.

use crate::arena::{Arena, PopulateJob};
use crate::error::StateError;
use crate::format::Chunk;
use crate::hash::KeyGroups;
use crate::page::{LINE_BYTES, PAGE_BYTES};
use crate::runs;
use crate::scratch::Scratch;
use crate::snapshot::{CaptureStatus, Phase};
use crate::staging::StagingSize;
use crate::superblock;
use crate::switches::Switches;
use crate::table::OwnedGroups;

/// What a store is made for.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// Key groups of the job.
    pub key_groups: KeyGroups,
    /// This shard, from 0.
    pub shard: usize,
    /// Shards of the job.
    pub shard_count: usize,
    /// Most bytes of memory: pages with what is kept beside them, staging, the longest value.
    pub budget_bytes: u64,
    /// Pool for captured lines.
    pub staging: StagingSize,
    /// What ablations switch off.
    #[doc(hidden)]
    pub switches: Switches,
}

impl Default for StoreConfig {
    /// One shard with 128 key groups and a budget of 1 GiB.
    fn default() -> Self {
        Self {
            key_groups: KeyGroups::default(),
            shard: 0,
            shard_count: 1,
            budget_bytes: 1 << 30,
            staging: StagingSize::default(),
            switches: Switches::default(),
        }
    }
}

/// The state of one shard.
///
/// Tables live inside it ([`crate::ValueTable`]). [`Store::freeze`] fixes an epoch in O(1);
/// [`Store::capture`] copies what the epoch changed into chunks while the store goes on.
///
/// ```
/// use frazil_state::{CaptureStatus, Store, StoreConfig, ValueTable, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let table = ValueTable::<u64, u64>::open(&mut store, "squares")?;
/// let three = 3; // One value for hash and key, so that both are of the table's type.
/// table.put(&mut store, hash_key(&three), &three, &9)?;
/// store.freeze();
/// table.put(&mut store, hash_key(&three), &three, &10)?; // Not part of the frozen epoch.
/// while store.capture(64 << 10) != CaptureStatus::Done {}
/// let chunk = store.take_chunk().expect("the epoch changed something");
/// assert!(chunk.page_count() > 0);
/// store.give_chunk(chunk);
/// store.forget_snapshot();
/// # Ok::<(), frazil_state::StateError>(())
/// ```
pub struct Store {
    arena: Arena,
    owned: OwnedGroups,
    /// Where values of unknown archive length are archived before they get a slot.
    scratch: Scratch,
    patient: bool,
    /// Processing time as the caller last set it.
    now_ms: u64,
    expired_record_count: u64,
    expired_bytes: u64,
}

impl Store {
    /// Reserves memory for an empty store.
    ///
    /// # Errors
    /// [`StateError::Reserve`] if the address space is not to be had.
    pub fn new(config: &StoreConfig) -> Result<Self, StateError> {
        let mut arena = Arena::new(config)?;
        let owned = owned_groups(config);
        superblock::set_key_groups(&mut arena, owned.first, owned.length, owned.groups.count());
        Self::over(arena, owned)
    }

    pub(crate) fn over(arena: Arena, owned: OwnedGroups) -> Result<Self, StateError> {
        Ok(Self {
            arena,
            owned,
            scratch: Scratch::new()?,
            patient: false,
            now_ms: 0,
            expired_record_count: 0,
            expired_bytes: 0,
        })
    }

    #[inline]
    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    #[inline]
    pub(crate) fn arena_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }

    #[inline]
    pub(crate) fn arena_and_scratch(&mut self) -> (&mut Arena, &mut Scratch) {
        (&mut self.arena, &mut self.scratch)
    }

    pub(crate) fn owned_groups(&self) -> OwnedGroups {
        self.owned
    }

    /// Makes everything dirty, whatever was durable before: the next snapshot is whole by itself.
    ///
    /// # Panics
    /// If a snapshot is in flight.
    ///
    /// # Cost
    /// Reads the whole state; meant for a store that was restored from elsewhere.
    pub fn dirty_everything(&mut self) {
        assert!(self.is_idle(), "a snapshot is in flight");
        self.arena.dirty_everything();
    }

    /// Freezes the epoch: what was changed since the last freeze is now to be captured.
    ///
    /// # Panics
    /// If the snapshot before is still in flight.
    ///
    /// # Cost
    /// O(1): swaps two lists. Does not allocate.
    pub fn freeze(&mut self) {
        self.arena.freeze();
    }

    /// Copies frozen lines into chunks until about `max_bytes` were copied.
    ///
    /// # Cost
    /// Bounded by `max_bytes` plus one page. Does not allocate.
    pub fn capture(&mut self, max_bytes: usize) -> CaptureStatus {
        self.arena.capture(max_bytes)
    }

    /// True while frozen lines remain to be captured.
    #[must_use]
    pub fn is_capturing(&self) -> bool {
        matches!(self.arena.phase, Phase::Capturing { .. })
    }

    /// True if no snapshot is in flight, so that the next freeze may come.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.arena.phase == Phase::Idle
    }

    /// Stages the next bytes of a channel of records in flight, as part of the snapshot that is
    /// being captured, and gives how many it took: fewer while the staging pool has no chunk for
    /// them. Of a snapshot that was declined or aborted all are taken and forgotten.
    ///
    /// What channels and `types` are is for the caller to know.
    pub fn stage_in_flight(&mut self, channel: u32, types: u64, bytes: &[u8]) -> usize {
        match self.is_capturing() {
            true => self.arena.staging.push_in_flight(channel, types, bytes),
            false => bytes.len(),
        }
    }

    /// Hands the last, partly filled chunk of records in flight over to the full ones.
    pub fn finish_in_flight(&mut self) {
        self.arena.staging.finish_in_flight();
    }

    /// The next full chunk of the snapshot in flight.
    pub fn take_chunk(&mut self) -> Option<Chunk> {
        self.arena.staging.take_full()
    }

    /// Takes a chunk back into the pool.
    pub fn give_chunk(&mut self, chunk: Chunk) {
        self.arena.staging.give_empty(chunk);
    }

    /// The checkpoint of the snapshot is durable.
    ///
    /// # Panics
    /// If the capture is not done.
    pub fn forget_snapshot(&mut self) {
        self.arena.forget_snapshot();
    }

    /// The checkpoint of the snapshot failed: its lines become dirty again, by slices of
    /// [`Store::merge`].
    pub fn abort_snapshot(&mut self) {
        self.arena.begin_merge(false);
    }

    /// Takes back up to `max_pages` pages of an aborted snapshot; true when the store is idle.
    pub fn merge(&mut self, max_pages: usize) -> bool {
        self.arena.merge(max_pages)
    }

    /// Tells the store the processing time, in milliseconds since any fixed moment. An earlier time
    /// than the last is ignored, so that what has expired stays so.
    #[inline]
    pub fn set_time(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// The processing time; 0 until it is set.
    #[inline]
    #[must_use]
    pub fn time(&self) -> u64 {
        self.now_ms
    }

    /// A patient store makes its shard wait for the capture instead of declining the checkpoint
    /// when the staging pool is too small for the writes that come in meanwhile.
    pub fn set_patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// True if no record should be applied until chunks have come back: what a run of records may
    /// capture by its first writes might not find room.
    #[inline]
    #[must_use]
    pub fn must_wait(&self) -> bool {
        self.patient && self.first_writes_may_fail()
    }

    /// Whether a run of records could find the staging pool empty. Not so once the pool holds all
    /// that is left to capture; where values lie in runs one record can need more than a run of
    /// small ones, so there nothing less is enough.
    fn first_writes_may_fail(&self) -> bool {
        let left_pages = self.arena.uncaptured_pages_max();
        left_pages > 0 && {
            let has_runs = runs::used_page_count(&self.arena) > 0;
            !self.arena.staging.has_room_for(left_pages, has_runs)
        }
    }

    /// Pages in use or free: how far the arena reaches.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.arena.page_count()
    }

    /// Bytes of pages that hold something.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        let free = superblock::free_count(&self.arena) + runs::free_page_count(&self.arena);
        u64::from(self.page_count() - free) * PAGE_BYTES as u64
    }

    /// Bytes dirtied since the last freeze, to the line, and those that an aborted snapshot left.
    #[inline]
    #[must_use]
    pub fn dirty_bytes(&self) -> u64 {
        self.arena.dirty_line_count * LINE_BYTES as u64
    }

    /// How often lines were captured because they were about to be changed.
    #[must_use]
    pub fn captured_on_first_write_count(&self) -> u64 {
        self.arena.captured_on_first_write_count
    }

    /// Records that were freed because they had expired, since the store was opened.
    #[must_use]
    pub fn expired_record_count(&self) -> u64 {
        self.expired_record_count
    }

    /// Bytes of the keys and values of these records.
    #[must_use]
    pub fn expired_bytes(&self) -> u64 {
        self.expired_bytes
    }

    pub(crate) fn count_expired(&mut self, bytes: u64) {
        self.expired_record_count += 1;
        self.expired_bytes += bytes;
    }

    /// Chunks that are free for capture.
    #[must_use]
    pub fn free_chunk_count(&self) -> usize {
        self.arena.staging.free_count()
    }

    /// Work for a helper thread if fewer than `ahead_bytes` of populated memory are left for
    /// growth. Growth beyond what is populated still works, but faults on the caller's thread.
    #[must_use]
    pub fn populate_ahead(&self, ahead_bytes: usize) -> Option<PopulateJob> {
        self.arena.populate_ahead(ahead_bytes / PAGE_BYTES)
    }
}

pub(crate) fn owned_groups(config: &StoreConfig) -> OwnedGroups {
    let (first, length) = config.key_groups.range_of(config.shard, config.shard_count);
    OwnedGroups {
        groups: config.key_groups,
        first,
        length,
    }
}
