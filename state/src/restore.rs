//! Restore: verified pages into a populated arena, or an arena over a map of the base image whose
//! pages are verified while the store already works.

use memmap2::MmapMut;

use crate::arena::Arena;
use crate::budget;
use crate::error::StateError;
use crate::format::PageDelta;
use crate::mapped::{Mapped, Populate};
use crate::page::{PAGE_BYTES, PageId};
use crate::store::{Store, StoreConfig, owned_groups};
use crate::superblock;

/// A store under restore: takes the base image's pages, then the chain's deltas in order.
///
/// Nothing that is put here is marked dirty: it is what the last durable checkpoint holds.
pub struct Restore {
    arena: Arena,
    config: StoreConfig,
    page_count: u32,
}

impl Restore {
    /// Prepares an arena for `page_count` pages.
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`] if the pages do not fit into the budget.
    pub fn new(config: &StoreConfig, page_count: u32) -> Result<Self, StateError> {
        let mut arena = Arena::new(config)?;
        if page_count as usize > arena.budget_pages() {
            return Err(arena.exhausted());
        }
        arena.populate_to(page_count as usize);
        arena.pages[0].0.fill(0);
        Ok(Self {
            arena,
            config: *config,
            page_count,
        })
    }

    /// Bytes of memory that [`Restore::over_image`] takes.
    ///
    /// # Errors
    /// [`StateError::BudgetTooSmall`] for a budget that no store can work with.
    pub fn arena_bytes(config: &StoreConfig) -> Result<usize, StateError> {
        Ok(budget::pages(config.budget_bytes, config.staging)? * PAGE_BYTES)
    }

    /// A store over memory that starts with the pages of the base image, not verified but for page
    /// 0, and goes on with zeros; takes the chain's deltas at once.
    ///
    /// Memory of [`Restore::arena_bytes`]. Its pages are verified by the caller, in the file and
    /// not here, where they change; the [`ImagePages`] populates those that were.
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`] if the pages do not fit into the budget,
    /// [`StateError::Damaged`] if the image has more of them than the shard.
    pub fn over_image(
        config: &StoreConfig,
        page_count: u32,
        memory: MmapMut,
        image_page_count: u32,
    ) -> Result<(Self, ImagePages), StateError> {
        let budget_pages = budget::pages(config.budget_bytes, config.staging)?;
        let pages = Mapped::over(memory, budget_pages, config.switches.huge_pages);
        let image = ImagePages {
            pages: pages.populate_handle(),
        };
        let arena = Arena::over(pages, config)?;
        if page_count as usize > arena.budget_pages() {
            return Err(arena.exhausted());
        }
        let mut restore = Self {
            config: *config,
            page_count,
            arena,
        };
        if image_page_count > 0 {
            restore.page_mut(image_page_count - 1)?;
        }
        let (first, end) = (image_page_count as usize, page_count as usize);
        restore.arena.populate_beside(first, end);
        Ok((restore, image))
    }

    /// The bytes of a page, to be filled from a verified image.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the page lies beyond the count that was announced.
    pub fn page_mut(&mut self, page_id: u32) -> Result<&mut [u8; PAGE_BYTES], StateError> {
        if page_id >= self.page_count {
            return Err(StateError::Damaged {
                page: page_id,
                what: "page number",
                expected: format!("below the manifest's page count {}", self.page_count),
                found: page_id.to_string(),
            });
        }
        Ok(&mut self.arena.pages[PageId(page_id).index()].0)
    }

    /// The bytes of consecutive pages, to be filled from an image and verified there before
    /// anything else is done with them.
    ///
    /// # Errors
    /// As [`Restore::page_mut`].
    pub fn pages_mut(&mut self, first_page: u32, count: u32) -> Result<&mut [u8], StateError> {
        if count > 0 {
            self.page_mut(first_page.saturating_add(count - 1))?;
        }
        let length = count as usize * PAGE_BYTES;
        Ok(self.arena.pages.bytes_mut(first_page as usize, length))
    }

    /// Applies one page's delta.
    ///
    /// # Errors
    /// As [`Restore::page_mut`].
    pub fn apply(&mut self, delta: &PageDelta<'_>) -> Result<(), StateError> {
        delta.apply(self.page_mut(delta.page_id)?);
        Ok(())
    }

    /// The restored store.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the superblock does not belong to this shard of this job.
    pub fn finish(mut self) -> Result<Store, StateError> {
        let owned = owned_groups(&self.config);
        let superblock = self.arena.page(PageId::SUPERBLOCK);
        let damaged = |(what, expected, found)| StateError::Damaged {
            page: 0,
            what,
            expected,
            found,
        };
        if let Some(damage) = superblock::damage(superblock) {
            return Err(damaged(damage));
        }
        let expected = (owned.first, owned.length, owned.groups.count());
        let found = superblock::key_groups(&self.arena);
        if expected != found {
            return Err(damaged((
                "key groups (first, of this shard, of the job)",
                format!("{expected:?}"),
                format!("{found:?}"),
            )));
        }
        if self.arena.page_count() != self.page_count {
            return Err(damaged((
                "page count",
                self.page_count.to_string(),
                self.arena.page_count().to_string(),
            )));
        }
        self.arena.forget_dirt();
        Store::over(self.arena, owned)
    }
}

/// The pages of an arena that a map of the base image backs, to be populated on another thread.
pub struct ImagePages {
    pages: Populate,
}

impl ImagePages {
    /// Backs pages with memory of their own, so that writing to them faults no more.
    pub fn populate(&self, first_page: u32, count: u32) {
        let first = first_page as usize;
        self.pages.run(first, first + count as usize);
    }
}
