//! Writing and syncing on the file system that checkpoints go to, through Frazil's own storage.

use crate::measure_error::MeasureError;
use crate::scratch::Scratch;
use frazil::storage::{FileStorage, Segment, Storage, WriteMode};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

const BLOCK_BYTES: usize = 1 << 20;
const SYNC_BYTES: usize = 4096;
const NAME: &str = "limits";
const RAW_SYNC_COUNT: usize = 11;

/// What the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskLimits {
    /// Bytes a second written through mapped windows, sync included.
    pub mapped_bytes_per_second: f64,
    /// Bytes a second written by direct I/O, sync included.
    pub direct_bytes_per_second: f64,
    /// Bytes a second written by plain positioned writes, sync included.
    pub plain_bytes_per_second: f64,
    /// Median time of a sync after 4 KiB were appended, in us.
    pub small_sync_us: f64,
    /// Median time to publish a small file, in us.
    pub publish_us: f64,
}

/// What a storage needs for a file, measured without an engine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RawDisk {
    /// Writing one file of that size, sync included.
    pub bytes_per_second: f64,
    /// Median time of a sync after 4 KiB were appended.
    pub sync_seconds: f64,
}

impl RawDisk {
    /// Writes and syncs files of about `bytes` bytes in `storage`, and removes them.
    ///
    /// # Errors
    ///
    /// Whatever the disk refuses.
    pub fn of(storage: &dyn Storage, bytes: u64) -> Result<Self, MeasureError> {
        Ok(Self {
            bytes_per_second: bandwidth(storage, bytes)?,
            sync_seconds: small_sync_us(storage, RAW_SYNC_COUNT)? / 1e6,
        })
    }

    /// How long `bytes` bytes and a sync take.
    #[must_use]
    pub fn seconds(&self, bytes: f64) -> f64 {
        bytes / self.bytes_per_second + self.sync_seconds
    }
}

pub(super) fn measure(
    directory: &Path,
    bytes: u64,
    sync_count: usize,
) -> Result<DiskLimits, MeasureError> {
    let scratch = Scratch::new(directory, "limits")?;
    let folder = scratch.folder();
    let storage = |mode| FileStorage::open(&folder).map(|files| files.with_write_mode(mode));
    let mapped = storage(WriteMode::Mapped)?;
    let direct = storage(WriteMode::Direct)?;
    let plain = storage(WriteMode::Plain)?;
    Ok(DiskLimits {
        mapped_bytes_per_second: bandwidth(&mapped, bytes)?,
        direct_bytes_per_second: bandwidth(&direct, bytes)?,
        plain_bytes_per_second: bandwidth(&plain, bytes)?,
        small_sync_us: small_sync_us(&plain, sync_count)?,
        publish_us: publish_us(&plain, sync_count)?,
    })
}

/// Bytes a second of one segment of `bytes` bytes, sync included.
///
/// # Errors
///
/// Whatever the disk refuses.
pub(crate) fn bandwidth(storage: &dyn Storage, bytes: u64) -> Result<f64, MeasureError> {
    let size = usize::try_from(bytes.max(1)).unwrap_or(BLOCK_BYTES);
    let block = vec![0x5a_u8; BLOCK_BYTES.min(size)];
    let begun = Instant::now();
    let mut segment = storage.create(NAME, bytes)?;
    for _ in 0..bytes.div_ceil(block.len() as u64) {
        segment.append(&block)?;
    }
    segment.sync()?;
    let seconds = begun.elapsed().as_secs_f64();
    let written_bytes = segment.length_bytes() as f64;
    drop(segment);
    storage.remove(NAME)?;
    Ok(written_bytes / seconds)
}

fn small_sync_us(storage: &dyn Storage, count: usize) -> Result<f64, MeasureError> {
    let mut segment = storage.create(NAME, 0)?;
    let median = median_us(count, || append_and_sync(&mut *segment))?;
    drop(segment);
    storage.remove(NAME)?;
    Ok(median)
}

fn append_and_sync(segment: &mut dyn Segment) -> Result<(), MeasureError> {
    segment.append(&[1; SYNC_BYTES])?;
    Ok(segment.sync()?)
}

fn publish_us(storage: &dyn Storage, count: usize) -> Result<f64, MeasureError> {
    let median = median_us(count, || Ok(storage.publish(NAME, &[1; SYNC_BYTES])?))?;
    storage.remove(NAME)?;
    Ok(median)
}

fn median_us(
    count: usize,
    mut work: impl FnMut() -> Result<(), MeasureError>,
) -> Result<f64, MeasureError> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        work()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[count / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use frazil::storage::MemoryStorage;

    #[test]
    fn measures_and_cleans_up() {
        let folder = tempfile::tempdir().unwrap();
        let limits = measure(folder.path(), 2 << 20, 3).unwrap();
        assert!(limits.mapped_bytes_per_second > 0.0 && limits.plain_bytes_per_second > 0.0);
        assert!(limits.small_sync_us > 0.0 && limits.publish_us > 0.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let raw = RawDisk::of(&MemoryStorage::new(), 3_000_000).unwrap();
        assert!(raw.seconds(1e6) > raw.sync_seconds);
    }
}
