//! The bare loop: `hashbrown` with the fx hash, keys generated in blocks.

use super::{BLOCK, Operation, next_position};
use crate::workload::Keys;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Blocks between two looks at the clock.
const BLOCKS_TIMED: u32 = 256;

/// A map with every key in it.
pub struct MapSide {
    map: HashMap<u64, u64, FxBuildHasher>,
    keys: Keys,
    position: u64,
}

impl MapSide {
    /// A map with every key counted once. It grows as it is filled, as a table does.
    #[must_use]
    pub fn populated(keys: Keys) -> Self {
        let mut map = HashMap::with_hasher(FxBuildHasher);
        for position in 0..keys.count() {
            map.insert(keys.at(position), 1);
        }
        Self {
            map,
            keys,
            position: keys.count(),
        }
    }

    /// Does `operation` with uniform keys for `duration`; gives how often.
    pub fn run_for(&mut self, operation: Operation, duration: Duration) -> u64 {
        let until = Instant::now() + duration;
        let mut done = 0;
        while Instant::now() < until {
            done += self.run(operation, BLOCKS_TIMED);
        }
        done
    }

    /// Does `operation` with `block_count` blocks of uniform keys; gives how often.
    pub fn run(&mut self, operation: Operation, block_count: u32) -> u64 {
        let mut block = [0; BLOCK];
        for _ in 0..block_count {
            for (offset, key) in block.iter_mut().enumerate() {
                *key = self.keys.at(self.position + offset as u64);
            }
            self.position += BLOCK as u64;
            match operation {
                Operation::Get => self.get(&block),
                Operation::Update => self.update(&block),
            }
        }
        u64::from(block_count) * BLOCK as u64
    }

    /// Does `operation` with `count` uniform keys, one at a time; gives how often.
    pub fn run_single(&mut self, operation: Operation, count: u64) -> u64 {
        for _ in 0..count {
            let key = self.keys.at(self.position);
            let value = match operation {
                Operation::Get => self.map.get(&key).copied().unwrap_or_default(),
                Operation::Update => {
                    let value = self.map.entry(key).or_insert(0);
                    *value += 1;
                    *value
                }
            };
            self.position = next_position(self.position, value);
        }
        count
    }

    fn get(&self, block: &[u64; BLOCK]) {
        let mut sum = 0;
        for key in block {
            sum += self.map.get(key).copied().unwrap_or_default();
        }
        black_box(sum);
    }

    fn update(&mut self, block: &[u64; BLOCK]) {
        for key in block {
            *self.map.entry(*key).or_insert(0) += 1;
        }
    }

    /// The sum of all values, to be compared with another side's.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.map.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_update_is_in_the_sum() {
        let mut side = MapSide::populated(Keys::new(100));
        let done = side.run(Operation::Update, 3);
        assert_eq!(done, 192);
        side.run(Operation::Get, 3);
        side.run_single(Operation::Get, 7);
        side.run_single(Operation::Update, 7);
        assert_eq!(side.sum(), 100 + 192 + 7);
        assert!(side.run_for(Operation::Get, Duration::from_millis(1)) > 0);
    }
}
