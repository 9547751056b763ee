//! One shard's pages, with dirty tracking to the line.
//!
//! Every write goes through [`Arena::write`], [`Arena::bytes_mut`] or [`Arena::page_mut`], which
//! mark the lines *before* they hand out the bytes. Beside each page stand two masks, live and
//! frozen; the epoch's parity says which is which, so that a freeze swaps roles instead of walking.
//!
//! For every page: `frozen mask != 0` only while a snapshot is in flight and these lines are not
//! captured yet. A line of the frozen mask holds what it held at the freeze.

use crate::budget;
use crate::error::StateError;
use crate::mapped::{Mapped, Populate, PopulatedMark};
use crate::page::{LINE_BYTES, PAGE_BYTES, Page, PageId, PageKind, line_mask};
use crate::runs;
use crate::snapshot::Phase;
use crate::staging::Staging;
use crate::store::StoreConfig;
use crate::superblock;
use crate::switches::Switches;

/// Pages populated in one step: 2 MiB, one huge page.
const POPULATE_STEP_PAGES: usize = 512;

/// What is known about a page beside its bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PageMeta {
    /// Dirty lines, by parity of the epoch that dirtied them.
    pub(crate) masks: [u64; 2],
    /// Lines captured in the snapshot in flight, kept to become dirty again if it is aborted.
    /// Meaningful only for pages of the frozen dirty list.
    pub(crate) retained: u64,
    /// 1 where the page was allocated in that parity's epoch.
    pub(crate) fresh: [u8; 2],
    /// Companion of `retained`.
    pub(crate) retained_fresh: u8,
    /// 1 while some of the page's frozen lines are captured and others are not.
    pub(crate) half_captured: u8,
    padding: [u8; 4],
}

impl PageMeta {
    /// The live and the frozen mask, where `live` is the parity of the live epoch.
    #[inline]
    fn masks_by_role(&self, live: usize) -> (u64, u64) {
        let [even, odd] = self.masks;
        if live == 0 { (even, odd) } else { (odd, even) }
    }
}

const _: () = assert!(
    size_of::<PageMeta>() == 32,
    "two page metas share a cache line"
);

/// Lines of a mask; most often it is one, which needs no instruction that old CPUs lack.
#[inline]
pub(crate) fn line_count(mask: u64) -> u64 {
    if mask & mask.wrapping_sub(1) == 0 {
        u64::from(mask != 0)
    } else {
        u64::from(mask.count_ones())
    }
}

/// Ids of the pages dirtied in one epoch, each once.
pub(crate) struct DirtyList {
    pub(crate) ids: Mapped<u32>,
    pub(crate) count: usize,
}

/// A shard's pages.
pub(crate) struct Arena {
    pub(crate) pages: Mapped<Page>,
    pub(crate) metas: Mapped<PageMeta>,
    pub(crate) dirty: [DirtyList; 2],
    /// Parity of the live epoch.
    pub(crate) live: usize,
    /// Lines in the live masks.
    pub(crate) dirty_line_count: u64,
    pub(crate) phase: Phase,
    pub(crate) staging: Staging,
    pub(crate) captured_on_first_write_count: u64,
    populated: PopulatedMark,
    budget_bytes: u64,
    budget_pages: usize,
    /// Raised whenever a record may have moved or gone.
    layout_version: u32,
    /// Lines that are marked with every line that is.
    marked_along: u64,
    looks_ahead: bool,
}

impl Arena {
    /// Reserves what a budget allows and formats page 0 as an empty superblock.
    pub(crate) fn new(config: &StoreConfig) -> Result<Self, StateError> {
        let page_count = budget::pages(config.budget_bytes, config.staging)?;
        let pages = Mapped::reserve(page_count, config.switches.huge_pages)?;
        let mut arena = Self::over(pages, config)?;
        arena.populate_to(1);
        superblock::format(&mut arena);
        Ok(arena)
    }

    /// An arena of pages that hold something, none of them dirty.
    pub(crate) fn over(pages: Mapped<Page>, config: &StoreConfig) -> Result<Self, StateError> {
        let budget_pages = budget::pages(config.budget_bytes, config.staging)?;
        let Switches {
            look_ahead,
            whole_pages,
            huge_pages,
        } = config.switches;
        let list = || -> Result<DirtyList, StateError> {
            Ok(DirtyList {
                ids: Mapped::reserve(budget_pages, huge_pages)?,
                count: 0,
            })
        };
        Ok(Self {
            pages,
            metas: Mapped::reserve(budget_pages, huge_pages)?,
            dirty: [list()?, list()?],
            live: 0,
            dirty_line_count: 0,
            phase: Phase::Idle,
            staging: Staging::new(config.staging),
            captured_on_first_write_count: 0,
            populated: PopulatedMark::default(),
            budget_bytes: config.budget_bytes,
            budget_pages,
            layout_version: 1,
            marked_along: if whole_pages { u64::MAX } else { 0 },
            looks_ahead: look_ahead,
        })
    }

    #[inline]
    pub(crate) fn page(&self, id: PageId) -> &Page {
        &self.pages[id.index()]
    }

    #[inline]
    pub(crate) fn layout_version(&self) -> u32 {
        self.layout_version
    }

    pub(crate) fn raise_layout_version(&mut self) {
        // A version comes back after four billion changes; what was found ahead lives for three
        // runs of records. 0 stands for "not found ahead".
        self.layout_version = self.layout_version.wrapping_add(1).max(1);
    }

    #[inline]
    pub(crate) fn looks_ahead(&self) -> bool {
        self.looks_ahead
    }

    /// Hints the CPU to load one line of a page.
    #[inline]
    pub(crate) fn prefetch(&self, id: PageId, offset: usize) {
        self.pages.prefetch(id.index(), offset);
    }

    /// Hints the CPU to load what a write to the page will look at beside the page.
    #[inline]
    pub(crate) fn prefetch_meta(&self, id: PageId) {
        self.metas.prefetch(id.index(), 0);
    }

    /// Marks the lines and hands out `length` bytes at `offset`.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, id: PageId, offset: usize, length: usize) -> &mut [u8] {
        self.mark(id, line_mask(offset, length));
        &mut self.pages[id.index()].0[offset..offset + length]
    }

    /// Marks the lines and copies `bytes` to `offset`.
    #[inline]
    pub(crate) fn write(&mut self, id: PageId, offset: usize, bytes: &[u8]) {
        self.bytes_mut(id, offset, bytes.len())
            .copy_from_slice(bytes);
    }

    /// Marks the lines of `mask` and hands out the whole page; only those lines may be written.
    #[inline]
    pub(crate) fn page_mut(&mut self, id: PageId, mask: u64) -> &mut Page {
        self.mark(id, mask);
        &mut self.pages[id.index()]
    }

    /// Replaces a page, marking only the lines that differ.
    pub(crate) fn replace(&mut self, id: PageId, content: &Page) {
        self.replace_prefix(id, &content.0);
    }

    /// Replaces the first bytes of a page, marking only the lines that differ.
    pub(crate) fn replace_prefix(&mut self, id: PageId, content: &[u8]) {
        let mut mask = 0;
        let old = self.pages[id.index()].0[..content.len()].chunks(LINE_BYTES);
        for (line, (old, new)) in old.zip(content.chunks(LINE_BYTES)).enumerate() {
            mask |= u64::from(old != new) << line;
        }
        if mask != 0 {
            self.page_mut(id, mask).put(0, content);
        }
    }

    #[inline]
    fn mark(&mut self, id: PageId, mask: u64) {
        let (live, frozen) = self.metas[id.index()].masks_by_role(self.live);
        // A line that is changed often is marked already, most of the time.
        if mask & (!live | frozen) != 0 {
            self.mark_more(id, mask);
        }
    }

    #[inline(never)]
    fn mark_more(&mut self, id: PageId, mask: u64) {
        let (live, mask) = (self.live, mask | self.marked_along);
        if self.metas[id.index()].masks[live ^ 1] & mask != 0 {
            self.before_first_write(id, mask);
        }
        let meta = &mut self.metas[id.index()];
        let before = meta.masks[live];
        meta.masks[live] = before | mask;
        self.dirty_line_count += line_count(mask & !before);
        if before == 0 {
            let list = &mut self.dirty[live];
            list.ids[list.count] = id.0;
            list.count += 1;
        }
    }

    /// Takes a page from the free list or the end, zeroed except for its kind byte.
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`] with nothing changed.
    pub(crate) fn allocate(&mut self, kind: PageKind) -> Result<PageId, StateError> {
        let id = self.take_page()?;
        self.format_page(id, kind);
        Ok(id)
    }

    /// Takes a page with whatever it holds; free runs are cut up last.
    pub(crate) fn take_page(&mut self) -> Result<PageId, StateError> {
        if let Some(id) = superblock::pop_free(self) {
            return Ok(id);
        }
        self.extend(1)
            .or_else(|full| runs::take_single(self).ok_or(full))
    }

    /// Makes the first `length` bytes of consecutive pages ready to be written, all of them:
    /// they are dirty, and the pages that they lie in hold nothing else.
    pub(crate) fn begin_run(&mut self, first: PageId, length: usize) {
        let mut left = length;
        for number in first.0.. {
            let id = PageId(number);
            if left < PAGE_BYTES {
                if left > 0 {
                    self.make_fresh(id, line_mask(0, left));
                    self.pages[id.index()].0[left..].fill(0);
                }
                break;
            }
            self.make_fresh(id, u64::MAX);
            left -= PAGE_BYTES;
        }
    }

    /// Marks the lines of the first `length` bytes of consecutive pages and hands them out.
    pub(crate) fn run_bytes_mut(&mut self, first: PageId, length: usize) -> &mut [u8] {
        let mut left = length;
        for number in first.0.. {
            if left == 0 {
                break;
            }
            let part = left.min(PAGE_BYTES);
            self.mark(PageId(number), line_mask(0, part));
            left -= part;
        }
        self.pages.bytes_mut(first.index(), length)
    }

    /// Takes `count` pages with consecutive ids from the end.
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`] with nothing changed.
    pub(crate) fn allocate_run(
        &mut self,
        count: usize,
        kind: PageKind,
    ) -> Result<PageId, StateError> {
        let first = self.extend(count)?;
        for step in 0..u32::try_from(count).expect("a run is within the arena") {
            self.format_page(PageId(first.0 + step), kind);
        }
        Ok(first)
    }

    /// Takes `count` pages from the end, with zeros in them.
    pub(crate) fn extend(&mut self, count: usize) -> Result<PageId, StateError> {
        let page_count = superblock::page_count(self) as usize;
        if page_count + count > self.budget_pages {
            return Err(self.exhausted());
        }
        self.populate_to(page_count + count);
        let end = u32::try_from(page_count + count).expect("bounded by MAX_PAGES");
        superblock::set_page_count(self, end);
        Ok(PageId(end - u32::try_from(count).expect("below end")))
    }

    /// Pages that can still be allocated.
    pub(crate) fn available_pages(&self) -> usize {
        let free = superblock::free_count(self) + runs::free_page_count(self);
        self.budget_pages - self.page_count() as usize + free as usize
    }

    #[cold]
    pub(crate) fn exhausted(&self) -> StateError {
        StateError::BudgetExhausted {
            budget_bytes: self.budget_bytes,
        }
    }

    fn format_page(&mut self, id: PageId, kind: PageKind) {
        self.make_fresh(id, 1);
        let page = &mut self.pages[id.index()];
        page.0.fill(0);
        page.0[0] = kind as u8;
    }

    /// Makes the lines of `mask` the only dirty ones of a page whose other lines are to be zeroed:
    /// `fresh` says so in the delta.
    fn make_fresh(&mut self, id: PageId, mask: u64) {
        // All lines are about to be overwritten; the mark captures those that are frozen.
        self.mark(id, u64::MAX);
        let (live, mask) = (self.live, mask | self.marked_along);
        let meta = &mut self.metas[id.index()];
        meta.masks[live] = mask;
        meta.fresh[live] = 1;
        self.dirty_line_count -= line_count(!mask);
    }

    /// Gives a page back; it can be reused at once.
    pub(crate) fn free(&mut self, id: PageId) {
        assert!(
            id != PageId::SUPERBLOCK && !self.page(id).is_kind(PageKind::Free),
            "freeing page={} which is the superblock or free already",
            id.0
        );
        superblock::push_free(self, id);
    }

    /// Makes every line that is not zero dirty in a page that counts as new.
    pub(crate) fn dirty_everything(&mut self) {
        self.forget_dirt();
        for number in 0..self.page_count() {
            let id = PageId(number);
            let lines = self.page(id).0.chunks_exact(LINE_BYTES).enumerate();
            let used = lines.filter(|(_, line)| line.iter().any(|byte| *byte != 0));
            let mask = used.fold(1, |mask, (line, _)| mask | 1 << line);
            self.make_fresh(id, mask);
        }
    }

    /// Forgets what formatting the arena dirtied: its pages are those of a durable checkpoint.
    pub(crate) fn forget_dirt(&mut self) {
        let live = self.live;
        for index in 0..self.dirty[live].count {
            let id = PageId(self.dirty[live].ids[index]);
            self.metas[id.index()].masks[live] = 0;
            self.metas[id.index()].fresh[live] = 0;
        }
        self.dirty[live].count = 0;
        self.dirty_line_count = 0;
    }

    pub(crate) fn page_count(&self) -> u32 {
        superblock::page_count(self)
    }

    pub(crate) fn budget_pages(&self) -> usize {
        self.budget_pages
    }

    /// Populates synchronously where no helper ran ahead.
    pub(crate) fn populate_to(&mut self, pages: usize) {
        if pages > self.populated.get() {
            let end = pages.next_multiple_of(POPULATE_STEP_PAGES);
            self.populate_job(end).run();
        }
    }

    /// Work for a helper if fewer than `ahead_pages` populated pages are left beyond those in use.
    pub(crate) fn populate_ahead(&self, ahead_pages: usize) -> Option<PopulateJob> {
        let wanted = (self.page_count() as usize + ahead_pages).min(self.budget_pages);
        (wanted > self.populated.get())
            .then(|| self.populate_job(wanted + ahead_pages.max(POPULATE_STEP_PAGES)))
    }

    /// Populates what stands beside `pages` pages, and those of them from `first` on; the others
    /// are somebody else's to populate.
    pub(crate) fn populate_beside(&mut self, first: usize, pages: usize) {
        for part in [
            self.metas.populate_handle(),
            self.dirty[0].ids.populate_handle(),
            self.dirty[1].ids.populate_handle(),
        ] {
            part.run(0, pages);
        }
        if first < pages {
            self.pages.populate_handle().run(first, pages);
        }
        self.populated.raise(pages);
    }

    fn populate_job(&self, end: usize) -> PopulateJob {
        PopulateJob {
            first: self.populated.get(),
            end: end.min(self.budget_pages),
            pages: self.pages.populate_handle(),
            beside: [
                self.metas.populate_handle(),
                self.dirty[0].ids.populate_handle(),
                self.dirty[1].ids.populate_handle(),
            ],
            populated: self.populated.clone(),
        }
    }
}

/// Backs the next part of an arena with memory; meant for a helper thread, harmless at any time.
#[derive(Clone)]
pub struct PopulateJob {
    first: usize,
    end: usize,
    pages: Populate,
    beside: [Populate; 3],
    populated: PopulatedMark,
}

impl PopulateJob {
    /// True once the memory is there.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.populated.get() >= self.end
    }

    /// Asks the kernel for the memory; may take milliseconds.
    pub fn run(&self) {
        let mut first = self.first;
        while first < self.end {
            let end = (first + POPULATE_STEP_PAGES).min(self.end);
            self.pages.run(first, end);
            for part in &self.beside {
                part.run(first, end);
            }
            self.populated.raise(end);
            first = end;
        }
    }
}
