//! Frazil's table: one key after the other, or announced a block ahead as the engine does.

use super::{Access, BLOCK, Operation, next_position};
use crate::measure_error::MeasureError;
use crate::workload::Keys;
use frazil::state::{KeyHash, Lookahead, Store, StoreConfig, ValueTable, hash_key};
use std::hint::black_box;

/// A store with a table that has every key in it.
pub struct TableSide {
    store: Store,
    table: ValueTable<u64, u64>,
    ahead: Lookahead,
    keys: Keys,
    position: u64,
}

/// Keys and their hashes.
#[derive(Clone, Copy)]
struct Block {
    keys: [u64; BLOCK],
    hashes: [KeyHash; BLOCK],
}

impl TableSide {
    /// A table with every key counted once.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn populated(keys: Keys) -> Result<Self, MeasureError> {
        let (store, table) = new_table(keys.count())?;
        let mut side = Self {
            store,
            ahead: table.lookahead(),
            table,
            keys,
            position: 0,
        };
        while side.position < keys.count() {
            side.populate_ahead();
            let key = keys.at(side.position);
            side.table.put(&mut side.store, hash_key(&key), &key, &1)?;
            side.position += 1;
        }
        Ok(side)
    }

    /// Does `operation` with `block_count` blocks of uniform keys; gives how often.
    ///
    /// # Errors
    ///
    /// The table's.
    pub fn run(
        &mut self,
        operation: Operation,
        access: Access,
        block_count: u32,
    ) -> Result<u64, MeasureError> {
        let count = u64::from(block_count) * BLOCK as u64;
        match access {
            Access::Single => self.one_at_a_time(operation, count)?,
            Access::Block => {
                for _ in 0..block_count {
                    let block = self.next_block();
                    self.apply(operation, &block)?;
                }
            }
            Access::Announced => self.announced(operation, block_count)?,
        }
        Ok(count)
    }

    fn one_at_a_time(&mut self, operation: Operation, count: u64) -> Result<(), MeasureError> {
        for _ in 0..count {
            let key = self.keys.at(self.position);
            let hash = hash_key(&key);
            let value = match operation {
                Operation::Get => {
                    let found = self.table.get(&self.store, hash, &key)?;
                    found.unwrap_or_default()
                }
                Operation::Update => self.table.update(&mut self.store, hash, &key, &0, added)?,
            };
            self.position = next_position(self.position, value);
        }
        Ok(())
    }

    /// Each block is worked on two announcements after its own.
    fn announced(&mut self, operation: Operation, block_count: u32) -> Result<(), MeasureError> {
        let mut coming = [self.next_block(), self.next_block()];
        for block in &coming {
            self.announce(operation, block);
        }
        for _ in 0..block_count {
            let newest = self.next_block();
            self.announce(operation, &newest);
            let [used, second] = coming;
            coming = [second, newest];
            match operation {
                Operation::Get => self.apply(operation, &used)?,
                Operation::Update => self.update_announced(&used)?,
            }
        }
        // Blocks that were only announced come again.
        self.position -= 2 * BLOCK as u64;
        Ok(())
    }

    fn announce(&mut self, operation: Operation, block: &Block) {
        match operation {
            // Reads are not found ahead, only their lines are loaded.
            Operation::Get => self.table.prefetch(&self.store, &block.hashes),
            Operation::Update => {
                self.table
                    .look_ahead(&self.store, &mut self.ahead, &block.hashes);
            }
        }
    }

    fn next_block(&mut self) -> Block {
        let mut block = Block {
            keys: [0; BLOCK],
            hashes: [KeyHash(0); BLOCK],
        };
        for (offset, key) in block.keys.iter_mut().enumerate() {
            *key = self.keys.at(self.position + offset as u64);
        }
        for (hash, key) in block.hashes.iter_mut().zip(&block.keys) {
            *hash = hash_key(key);
        }
        self.position += BLOCK as u64;
        block
    }

    fn apply(&mut self, operation: Operation, block: &Block) -> Result<(), MeasureError> {
        let mut sum = 0;
        for (key, hash) in block.keys.iter().zip(&block.hashes) {
            match operation {
                Operation::Get => {
                    sum += self.table.get(&self.store, *hash, key)?.unwrap_or_default();
                }
                Operation::Update => {
                    self.table.update(&mut self.store, *hash, key, &0, added)?;
                }
            }
        }
        black_box(sum);
        Ok(())
    }

    fn update_announced(&mut self, block: &Block) -> Result<(), MeasureError> {
        let (table, store, ahead) = (&self.table, &mut self.store, &mut self.ahead);
        for (key, hash) in block.keys.iter().zip(&block.hashes) {
            table.update_ahead(store, ahead, *hash, key, &0, added)?;
        }
        Ok(())
    }

    fn populate_ahead(&self) {
        if let Some(job) = self.store.populate_ahead(POPULATED_AHEAD_BYTES) {
            job.run();
        }
    }

    /// The sum of all values, to be compared with another side's.
    ///
    /// # Errors
    ///
    /// The table's.
    pub fn sum(&self) -> Result<u64, MeasureError> {
        let mut sum = 0;
        for position in 0..self.keys.count() {
            let key = self.keys.at(position);
            let value = self.table.get(&self.store, hash_key(&key), &key)?;
            sum += value.unwrap_or_default();
        }
        Ok(sum)
    }
}

fn added(count: &mut u64) -> u64 {
    *count += 1;
    *count
}

/// Memory that is asked for ahead of growth, as a shard does.
pub(super) const POPULATED_AHEAD_BYTES: usize = 16 << 20;

/// An empty table in a store with room for `key_count` records of 16 bytes, however full its pages
/// are.
pub(super) fn new_table(key_count: u64) -> Result<(Store, ValueTable<u64, u64>), MeasureError> {
    const BYTES_A_KEY_MAX: u64 = 64;
    // Staging and masks, which the budget holds as well.
    const BYTES_BESIDE_KEYS: u64 = 64 << 20;
    let mut store = Store::new(&StoreConfig {
        budget_bytes: key_count * BYTES_A_KEY_MAX + BYTES_BESIDE_KEYS,
        ..StoreConfig::default()
    })?;
    let table = ValueTable::open(&mut store, "counts")?;
    Ok((store, table))
}

#[cfg(test)]
mod tests {
    use super::super::MapSide;
    use super::*;

    #[test]
    fn table_and_map_end_with_the_same_sum() {
        let keys = Keys::new(1_000);
        let mut table = TableSide::populated(keys).unwrap();
        let mut map = MapSide::populated(keys);
        for access in [Access::Single, Access::Block, Access::Announced] {
            table.run(Operation::Update, access, 5).unwrap();
            table.run(Operation::Get, access, 5).unwrap();
            map.run(Operation::Update, 5);
        }
        assert_eq!(table.sum().unwrap(), map.sum());
    }
}
