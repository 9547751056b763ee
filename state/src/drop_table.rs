//! Tables that a program no longer has.

use crate::catalog;
use crate::error::StateError;
use crate::form::TableKind;
use crate::identity::TypeIdentity;
use crate::page::PageId;
use crate::runs;
use crate::store::Store;
use crate::table::HashTable;
use crate::tree::OrderedTable;

impl Store {
    /// Names of all tables.
    #[must_use]
    pub fn table_names(&self) -> Vec<String> {
        let arena = self.arena();
        catalog::tables(arena)
            .map(|table| catalog::name(arena, table))
            .collect()
    }

    /// Checks that the table `name` can be opened with these types; a table that does not exist
    /// can.
    ///
    /// # Errors
    /// [`StateError::TypeChanged`] naming both fingerprints.
    pub fn check_types(&self, name: &str, types: TypeIdentity) -> Result<(), StateError> {
        match catalog::find(self.arena(), name) {
            Some(table) => types.check(name, catalog::identity(self.arena(), table)),
            None => Ok(()),
        }
    }

    /// Removes a table and frees its pages; true if there was one. No handle of the table may be
    /// used afterwards; those of other tables stay valid.
    ///
    /// # Errors
    /// [`StateError::Damaged`] with nothing changed.
    ///
    /// # Cost
    /// Visits every page of the table.
    pub fn drop_table(&mut self, name: &str) -> Result<bool, StateError> {
        let Some(index) = catalog::find(self.arena(), name) else {
            return Ok(false);
        };
        let (arena, owned) = (self.arena(), self.owned_groups());
        let all = match catalog::form(arena, index)?.kind {
            TableKind::Hash => HashTable::open(arena, index, owned)?.collect_pages(arena)?,
            TableKind::Ordered => OrderedTable::open(arena, index, owned)?.collect_pages(arena)?,
        };
        catalog::remove(self.arena_mut(), index);
        // From the end, so that the free list hands out low pages first.
        for run in all.runs {
            runs::free(self.arena_mut(), run);
        }
        for page in all.pages.into_iter().rev() {
            self.arena_mut().free(PageId(page));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapTable, StoreConfig, ValueTable, hash_key};

    fn fill(store: &mut Store, name: &str, keys: u64) {
        let table = ValueTable::<u64, [u64; 7]>::open(store, name).expect("opens");
        for key in 0..keys {
            table
                .put(store, hash_key(&key), &key, &[key; 7])
                .expect("within the budget");
        }
    }

    #[test]
    fn a_dropped_table_gives_its_runs_back() {
        let mut store = Store::new(&StoreConfig::default()).expect("reserved");
        let before = store.used_bytes();
        let table = ValueTable::<u64, Vec<u8>>::open(&mut store, "blobs").expect("opens");
        for key in 0..20u64 {
            let value = vec![7; 1000 * usize::try_from(key).expect("few")];
            table
                .put(&mut store, hash_key(&key), &key, &value)
                .expect("fits");
        }
        assert!(store.drop_table("blobs").expect("sound"));
        assert_eq!(store.used_bytes(), before);
        store.verify().expect("sound");
    }

    #[test]
    fn a_dropped_table_leaves_its_pages_and_its_place_to_the_next() {
        let mut store = Store::new(&StoreConfig::default()).expect("reserved");
        fill(&mut store, "first", 100);
        let used = store.used_bytes();
        fill(&mut store, "second", 50_000);
        let kept = ValueTable::<u64, [u64; 7]>::open(&mut store, "third").expect("opens");
        let page_count = store.page_count();
        assert_eq!(store.drop_table("second").ok(), Some(true));
        assert_eq!(store.drop_table("second").ok(), Some(false));
        store.verify().expect("sound");
        assert_eq!(store.table_names(), ["first", "third"]);
        assert!(store.used_bytes() <= used + 8192, "its pages are free");
        kept.put(&mut store, hash_key(&1u64), &1, &[1; 7])
            .expect("handles of other tables stay valid");
        fill(&mut store, "fourth", 50_000);
        store.verify().expect("sound");
        assert_eq!(store.table_names(), ["first", "fourth", "third"]);
        assert!(store.page_count() <= page_count + 8, "pages were reused");
        assert_eq!(kept.len(&store), 1);
    }

    #[test]
    fn a_dropped_ordered_table_leaves_its_pages_to_the_next() {
        let mut store = Store::new(&StoreConfig::default()).expect("reserved");
        let used = store.used_bytes();
        let table = MapTable::<u64, u64, String>::open(&mut store, "map").expect("opens");
        for number in 0..20_000 {
            let (key, map_key, value) = (number % 7, number, number.to_string());
            table
                .put(&mut store, hash_key(&key), &key, &map_key, &value)
                .expect("within the budget");
        }
        assert_eq!(store.drop_table("map").ok(), Some(true));
        store.verify().expect("sound");
        assert_eq!(store.used_bytes(), used);
    }
}
