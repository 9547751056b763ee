//! Taking key groups over from a store of another shard layout.
//!
//! A store restored as it was written is the source; any number of new stores take what they own
//! from it. Pages are copied as they are, with new ids; only references between pages are
//! rewritten. No key is hashed and no record is looked at, so the cost is that of copying memory.
//! Everything taken over is dirty: the next snapshot is whole by itself.

use std::ops::Range;

use crate::catalog::{self, NewTable, TableIndex};
use crate::error::StateError;
use crate::form::{TableKind, TableScope};
use crate::store::Store;
use crate::table::{self, HashTable};
use crate::tree::OrderedTable;

impl Store {
    /// Takes over the key groups of `source` that this store owns and `source` owns as well, of all
    /// tables; tables that this store does not have are created. Of operator lists it takes its
    /// share or everything, of broadcast tables everything, so all stores take over from all
    /// sources, in one order.
    ///
    /// ```
    /// use frazil_state::{Store, StoreConfig, ValueTable, hash_key};
    /// let mut whole = Store::new(&StoreConfig::default())?;
    /// let table = ValueTable::<u64, u64>::open(&mut whole, "squares")?;
    /// for key in 0..1000u64 {
    ///     table.put(&mut whole, hash_key(&key), &key, &(key * key))?;
    /// }
    /// let mut count = 0;
    /// for shard in 0..3 {
    ///     let config = StoreConfig { shard, shard_count: 3, ..StoreConfig::default() };
    ///     let mut part = Store::new(&config)?;
    ///     part.adopt(&whole)?;
    ///     count += ValueTable::<u64, u64>::open(&mut part, "squares")?.len(&part);
    /// }
    /// assert_eq!(count, 1000);
    /// # Ok::<(), frazil_state::StateError>(())
    /// ```
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`] if the pages do not fit, [`StateError::Damaged`] at the
    /// first reference of `source` that leads nowhere, [`StateError::TypeChanged`] if the stores
    /// disagree about a table. After an error this store is of no use.
    ///
    /// # Panics
    /// If the stores count key groups differently, or if this store has records of a group already.
    ///
    /// # Cost
    /// Copies the pages of these groups.
    pub fn adopt(&mut self, source: &Self) -> Result<(), StateError> {
        let (own, other) = (self.owned_groups(), source.owned_groups());
        assert_eq!(own.groups, other.groups, "key groups are fixed for a job");
        let first = own.first.max(other.first);
        let end = (own.first + own.length).min(other.first + other.length);
        for index in catalog::tables(source.arena()) {
            let own_index = self.table_like(index, source)?;
            match catalog::form(source.arena(), index)?.kind {
                TableKind::Hash => {
                    let from = HashTable::open(source.arena(), index, other)?;
                    let table = HashTable::open(self.arena(), own_index, own)?;
                    table.adopt(self.arena_mut(), &from, source.arena(), first..end)?;
                }
                TableKind::Ordered => {
                    let from = OrderedTable::open(source.arena(), index, other)?;
                    let table = OrderedTable::open(self.arena(), own_index, own)?;
                    self.adopt_ordered(&table, &from, source, first..end)?;
                }
            }
        }
        Ok(())
    }

    fn adopt_ordered(
        &mut self,
        table: &OrderedTable,
        from: &OrderedTable,
        source: &Self,
        groups: Range<u32>,
    ) -> Result<(), StateError> {
        let scope = catalog::form(source.arena(), from.index)?.scope;
        let (own, other) = (self.owned_groups(), source.owned_groups());
        let arena = self.arena_mut();
        match scope {
            TableScope::Keyed => table.adopt(arena, from, source.arena(), groups),
            // All sources hold the same, so the first one will do.
            TableScope::Broadcast if table.entry_count(arena, 0) > 0 => Ok(()),
            TableScope::Broadcast => table.adopt(arena, from, source.arena(), 0..1),
            TableScope::UnionList => table.adopt_elements(arena, from, source.arena(), |_, _| true),
            TableScope::SplitList => {
                table.adopt_elements(arena, from, source.arena(), |index, count| {
                    own.deals(other, index, count)
                })
            }
        }
    }

    /// The table of the same name, form and types, created if there is none.
    fn table_like(&mut self, index: TableIndex, source: &Self) -> Result<TableIndex, StateError> {
        let from = source.arena();
        let name = catalog::name(from, index);
        let form = catalog::form(from, index)?;
        let types = catalog::identity(from, index);
        if let Some(own) = catalog::find(self.arena(), &name) {
            catalog::check_form(self.arena(), own, form)?;
            types.check(&name, catalog::identity(self.arena(), own))?;
            return Ok(own);
        }
        let new = NewTable {
            name: &name,
            form,
            identity: types,
            geometry: &catalog::geometry(from, index)?,
            user_key: Some(catalog::user_key(from, index)),
        };
        let groups = self.owned_groups().in_scope(form.scope).length;
        let roots = table::roots_page_count(groups);
        catalog::add(self.arena_mut(), &new, roots)
    }
}
