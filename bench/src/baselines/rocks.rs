//! RocksDB as an embedded state store: a read and a write for each event, as Flink and Kafka
//! Streams do it, without a write-ahead log and with all of the state in its cache.

use super::contestant::{Contestant, Turn, on_this_thread};
use crate::measure_error::MeasureError;
use crate::probe::cpus::on_cpu;
use crate::probe::threads::threads_use;
use crate::workload::Keys;
use rocksdb::{BlockBasedOptions, Cache, DB, Options, WriteOptions};
use std::path::Path;
use std::time::Duration;

/// Events between two looks at the clock: each takes microseconds.
const EVENTS_TIMED: u64 = 1024;
const CACHE_BYTES: usize = 1 << 30;
const WRITE_BUFFER_BYTES: usize = 64 << 20;

/// An open database with every key counted once.
pub(super) struct RocksCount {
    database: DB,
    write: WriteOptions,
    keys: Keys,
    position: u64,
}

impl RocksCount {
    pub(super) fn new(keys: Keys, directory: &Path) -> Result<Self, MeasureError> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_block_based_table_factory(&blocks);
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        let mut count = Self {
            database: DB::open(&options, directory).map_err(failed)?,
            write,
            keys,
            position: 0,
        };
        while count.position < keys.count() {
            count.event()?;
        }
        count.database.flush().map_err(failed)?;
        Ok(count)
    }

    fn event(&mut self) -> Result<(), MeasureError> {
        let key = self.keys.at(self.position).to_be_bytes();
        let found = self.database.get_pinned(key).map_err(failed)?;
        let count = found.map_or(0, |bytes| {
            bytes.as_ref().try_into().map_or(0, u64::from_le_bytes)
        });
        let counted = (count + 1).to_le_bytes();
        let put = self.database.put_opt(key, counted, &self.write);
        self.position += 1;
        put.map_err(failed)
    }
}

impl Contestant for RocksCount {
    fn name(&self) -> &'static str {
        "RocksDB, get and put, no log"
    }

    fn turn(&mut self, duration: Duration) -> Result<Turn, MeasureError> {
        let helpers = || threads_use(|name| name.starts_with("rocksdb")).cpu_ns;
        let before = helpers();
        let turn = on_cpu(0, || {
            on_this_thread(duration, || {
                for _ in 0..EVENTS_TIMED {
                    self.event()?;
                }
                Ok(EVENTS_TIMED)
            })
        })?;
        Ok(Turn {
            helper_ns: helpers().saturating_sub(before),
            ..turn
        })
    }
}

fn failed(error: rocksdb::Error) -> MeasureError {
    MeasureError::Baseline {
        name: "RocksDB",
        reason: error.into_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut rocks = RocksCount::new(Keys::new(100), folder.path()).unwrap();
        let done = rocks.turn(Duration::from_millis(1)).unwrap().events;
        let values = rocks.database.iterator(rocksdb::IteratorMode::Start);
        let sum: u64 = values
            .map(|entry| u64::from_le_bytes(entry.unwrap().1[..].try_into().unwrap()))
            .sum();
        assert_eq!(sum, 100 + done);
    }
}
