//! The canonical dump: what a store holds, independent of where it lies.

use crate::catalog;
use crate::error::StateError;
use crate::form::TableForm;
use crate::hash::hash_bytes;
use crate::store::Store;
use crate::table::HashTable;

/// One record of a dump.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpRecord {
    /// Name of the table.
    pub table: String,
    /// Key group of the key.
    pub group: u32,
    /// Canonical key bytes.
    pub key: Vec<u8>,
    /// Archived value bytes.
    pub value: Vec<u8>,
}

impl Store {
    /// All records, sorted by table, key group and key: equal for equal content whatever the number
    /// of shards and the order of arrival were, once the dumps of all shards are put together and
    /// sorted.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if a table descriptor is damaged.
    ///
    /// # Cost
    /// Copies the whole state; meant for tests and tools.
    pub fn dump(&self) -> Result<Vec<DumpRecord>, StateError> {
        let arena = self.arena();
        let mut records = Vec::new();
        for index in catalog::tables(arena) {
            catalog::check_form(arena, index, TableForm::KEYED_HASH)?;
            let table = HashTable::open(arena, index, self.owned_groups())?;
            let name = table.name(arena);
            let all = table.scan(
                arena,
                &mut crate::ScanCursor::default(),
                usize::MAX,
                |key, found| {
                    records.push(DumpRecord {
                        table: name.clone(),
                        group: self.owned_groups().groups.group_of(hash_bytes(key)),
                        key: key.to_vec(),
                        value: table.value(arena, found)?.to_vec(),
                    });
                    Ok(())
                },
            )?;
            assert!(all, "a scan without a limit reaches the end");
        }
        records.sort_unstable();
        Ok(records)
    }
}
