//! G10 and G11: checkpoints against the disk alone, one that is all bandwidth and one that is
//! small.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::limits::RawDisk;
use crate::limits::disk::bandwidth;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::probe::memory::available_bytes;
use crate::text::units::{Unit, grouped};
use crate::workload::{KeyedJob, Place};
use std::cell::Cell;

/// Uniform updates for each record that leave one in twenty as it was.
const UPDATES_PER_RECORD: u64 = 3;
/// Updates ahead of a small checkpoint.
const UPDATES_SMALL: u64 = 100_000;
/// Large enough that its one sync is a small part.
const RAW_BYTES: u64 = 128 << 20;

/// Writing a delta in which nearly everything changed, against a plain file of as many bytes.
pub(super) fn bandwidth_ratio(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes: u64 = setting.pick(128 << 20, 1 << 30);
    if available_bytes() < 3 * state_bytes {
        let reason = format!("needs {} of free memory", Unit::Bytes.text(3 * state_bytes));
        return Ok(Ratio::none("G10", reason));
    }
    let (job, raw, folders) = start(setting, state_bytes)?;
    let record_count = setting.wide(state_bytes, None).keys.count();
    let bytes = Cell::new(0);
    let cell = measure_pairs(setting.plan(), |side| match side {
        Side::A => {
            job.advance(UPDATES_PER_RECORD * record_count)?;
            let report = job.checkpoint()?;
            // The fold that follows would share the disk with the plain file.
            job.settle();
            bytes.set(report.bytes);
            Ok::<_, MeasureError>(report.bytes as f64 / report.duration.as_secs_f64() / 1e6)
        }
        Side::B => Ok(bandwidth(&raw, bytes.get())? / 1e6),
    })?;
    let note = format!(
        "one delta of {} of {} of 64-byte records, nearly all changed, from the request until \
         durable while no records flow; a file of as many bytes written the same way (direct \
         I/O) and synced; layout: one shard and the helpers",
        Unit::Bytes.text(bytes.get()),
        Unit::Bytes.text(state_bytes),
    );
    finish(setting, job, &folders)?;
    Ok(Ratio::of_cell("G10", &cell, "MB/s", &note))
}

/// The time until a small checkpoint is durable, against what the disk needs for its bytes.
pub(super) fn time_to_durable(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes: u64 = setting.pick(256 << 20, 1 << 30);
    if available_bytes() < 3 * state_bytes {
        let reason = format!("needs {} of free memory", Unit::Bytes.text(3 * state_bytes));
        return Ok(Ratio::none("G11", reason));
    }
    let (job, raw, folders) = start(setting, state_bytes)?;
    let bytes = Cell::new(0);
    let cell = measure_pairs(setting.plan(), |side| match side {
        Side::A => {
            job.advance(UPDATES_SMALL)?;
            let report = job.checkpoint()?;
            job.settle();
            bytes.set(report.bytes);
            Ok::<_, MeasureError>(report.duration.as_secs_f64() * 1e3)
        }
        Side::B => {
            let disk = RawDisk::of(&raw, RAW_BYTES)?;
            Ok(disk.seconds(bytes.get() as f64) * 1e3)
        }
    })?;
    let note = format!(
        "{} of 64-byte records, {} uniform updates, {} a checkpoint, while no records flow; raw: \
         bytes by the bandwidth of a file of {} with its sync, and the median of 11 syncs of 4 KiB",
        Unit::Bytes.text(state_bytes),
        grouped(UPDATES_SMALL),
        Unit::Bytes.text(bytes.get()),
        Unit::Bytes.text(RAW_BYTES),
    );
    finish(setting, job, &folders)?;
    Ok(Ratio::of_cell("G11", &cell, "ms", &note))
}

type Started = (
    KeyedJob,
    frazil::storage::FileStorage,
    [std::path::PathBuf; 2],
);

/// A job whose first checkpoint is made and folded, and a storage beside it.
fn start(setting: &Setting, state_bytes: u64) -> Result<Started, MeasureError> {
    let folders = [setting.folder(), setting.folder()];
    let raw = Place::from(folders[1].clone()).open()?;
    let job = KeyedJob::start(&setting.wide(state_bytes, Some(folders[0].clone())))?;
    job.checkpoint()?;
    job.settle();
    Ok((job, raw, folders))
}

fn finish(
    setting: &Setting,
    job: KeyedJob,
    folders: &[std::path::PathBuf],
) -> Result<(), MeasureError> {
    job.stop()?;
    for folder in folders {
        setting.remove(folder)?;
    }
    Ok(())
}
