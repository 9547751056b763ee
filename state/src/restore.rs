//! Eager restore: verified pages into a populated arena.

use crate::arena::Arena;
use crate::error::StateError;
use crate::format::PageDelta;
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
        let mut arena = Arena::new(config.budget_bytes, config.staging)?;
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
