//! One budget for everything in a shard that grows with its state.
//!
//! `budget_bytes >= staging + longest value + pages * (page + masks + two list entries)`
//!
//! The first two are set aside when the store is made; what is left is the number of pages that the
//! arena may ever have. All of it is reserved as address space at once, so nothing can grow beyond.
//! Beside the budget stand some KiB a table (decoded geometry, places of keys looked up ahead).

use crate::arena::PageMeta;
use crate::error::StateError;
use crate::page::PAGE_BYTES;
use crate::runs::RUN_BYTES_MAX;
use crate::staging::StagingSize;
use crate::store::StoreConfig;
use crate::superblock::MAX_PAGES;

/// A page with its masks, and its place in the lists of dirty pages of two epochs.
const PAGE_COST_BYTES: u64 = (PAGE_BYTES + size_of::<PageMeta>() + 2 * size_of::<u32>()) as u64;
/// Fewest pages of an arena.
const PAGES_MIN: u64 = 64;

/// What is set aside before the first page.
fn fixed_bytes(staging: StagingSize) -> u64 {
    (staging.chunk_count * staging.chunk_bytes + RUN_BYTES_MAX) as u64
}

/// Pages that a budget allows.
///
/// # Errors
/// [`StateError::BudgetTooSmall`] if that is less than a store can work with.
pub(crate) fn pages(budget_bytes: u64, staging: StagingSize) -> Result<usize, StateError> {
    let needed_bytes = fixed_bytes(staging) + PAGES_MIN * PAGE_COST_BYTES;
    if budget_bytes < needed_bytes {
        return Err(StateError::BudgetTooSmall {
            budget_bytes,
            staging_bytes: (staging.chunk_count * staging.chunk_bytes) as u64,
            needed_bytes,
        });
    }
    let pages = (budget_bytes - fixed_bytes(staging)) / PAGE_COST_BYTES;
    Ok(usize::try_from(pages).unwrap_or(usize::MAX).min(MAX_PAGES))
}

impl StoreConfig {
    /// The least budget with room for `page_count` pages beside this staging.
    #[must_use]
    pub fn budget_for_pages(page_count: u64, staging: StagingSize) -> u64 {
        fixed_bytes(staging) + page_count.max(PAGES_MIN) * PAGE_COST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, ValueTable, hash_key};

    const STAGING: StagingSize = StagingSize {
        chunk_count: 3,
        chunk_bytes: 64 << 10,
    };

    /// Everything that a store holds, by what was really reserved.
    fn reserved_bytes(store: &Store) -> u64 {
        let arena = store.arena();
        let bytes = size_of_val(&*arena.pages)
            + size_of_val(&*arena.metas)
            + size_of_val(&*arena.dirty[0].ids)
            + size_of_val(&*arena.dirty[1].ids)
            + STAGING.chunk_count * STAGING.chunk_bytes
            + RUN_BYTES_MAX;
        bytes as u64
    }

    #[test]
    fn no_store_reserves_more_than_its_budget() {
        for budget_bytes in [2 << 20, 3_333_333, 10 << 20, 1 << 30] {
            let config = StoreConfig {
                budget_bytes,
                staging: STAGING,
                ..StoreConfig::default()
            };
            let store = Store::new(&config).expect("large enough");
            let reserved = reserved_bytes(&store);
            assert!(reserved <= budget_bytes, "{reserved} of {budget_bytes}");
            assert!(
                reserved + PAGE_COST_BYTES > budget_bytes,
                "a page is missing"
            );
        }
    }

    #[test]
    fn the_least_budget_is_named_and_works() {
        let mut config = StoreConfig {
            budget_bytes: 1 << 20,
            staging: STAGING,
            ..StoreConfig::default()
        };
        let refused = Store::new(&config).err().expect("too small");
        let StateError::BudgetTooSmall { needed_bytes, .. } = refused else {
            panic!("{refused}");
        };
        assert!(
            refused.to_string().contains("state_bytes_per_shard"),
            "{refused}"
        );
        assert_eq!(needed_bytes, StoreConfig::budget_for_pages(0, STAGING));
        config.budget_bytes = needed_bytes;
        let mut store = Store::new(&config).expect("enough");
        let table = ValueTable::<u64, u64>::open(&mut store, "t").expect("opens");
        table.put(&mut store, hash_key(&1), &1, &1).expect("fits");
    }

    #[test]
    fn a_budget_for_pages_holds_just_these() {
        for page_count in [64, 65, 1000] {
            let bytes = StoreConfig::budget_for_pages(page_count, STAGING);
            assert_eq!(pages(bytes, STAGING).expect("enough") as u64, page_count);
            let less = pages(bytes - 1, STAGING).map_or(0, |pages| pages as u64);
            assert!(less < page_count);
        }
    }
}
