//! The canonical dump: what a store holds, independent of where it lies.

use crate::catalog::{self, TableIndex};
use crate::error::StateError;
use crate::form::TableKind;
use crate::hash::hash_bytes;
use crate::store::Store;
use crate::table::{HashTable, ScanCursor};
use crate::tree::{OrderedCursor, OrderedTable};

/// One record of a dump.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpRecord {
    /// Name of the table.
    pub table: String,
    /// Key group of the key; 0 where the table is not keyed.
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
            match catalog::form(arena, index)?.kind {
                TableKind::Hash => self.dump_hash_table(index, &mut records)?,
                TableKind::Ordered => self.dump_ordered_table(index, &mut records)?,
            }
        }
        records.sort_unstable();
        Ok(records)
    }
    fn dump_hash_table(
        &self,
        index: TableIndex,
        records: &mut Vec<DumpRecord>,
    ) -> Result<(), StateError> {
        let arena = self.arena();
        let table = HashTable::open(arena, index, self.owned_groups())?;
        let name = table.name(arena);
        let mut cursor = ScanCursor::default();
        let all = table.scan(arena, &mut cursor, usize::MAX, |key, found| {
            records.push(DumpRecord {
                table: name.clone(),
                group: self.owned_groups().groups.group_of(hash_bytes(key)),
                key: key.to_vec(),
                value: table.value(arena, &table.geometry, found)?.to_vec(),
            });
            Ok(())
        })?;
        assert!(all, "a scan without a limit reaches the end");
        Ok(())
    }

    fn dump_ordered_table(
        &self,
        index: TableIndex,
        records: &mut Vec<DumpRecord>,
    ) -> Result<(), StateError> {
        let arena = self.arena();
        let table = OrderedTable::open(arena, index, self.owned_groups())?;
        let name = table.name(arena);
        let mut cursor = OrderedCursor::default();
        let all = table.scan_slice(arena, &mut cursor, usize::MAX, |group, key, found| {
            records.push(DumpRecord {
                table: name.clone(),
                group: table.owned.first + group,
                key: key.to_vec(),
                value: table.value(arena, found)?.to_vec(),
            });
            Ok(())
        })?;
        assert!(all, "a scan without a limit reaches the end");
        Ok(())
    }
}
