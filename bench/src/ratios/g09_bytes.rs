//! G9: what a checkpoint writes against what changed.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::checkpoint::dirty_record_bytes;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::text::units::{Unit, grouped};
use crate::workload::KeyedJob;

const UPDATES: u64 = 100_000;

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes = setting.pick(256 << 20, 1 << 30);
    let folder = setting.folder();
    let spec = setting.wide(state_bytes, Some(folder.clone()));
    let job = KeyedJob::start(&spec)?;
    job.checkpoint()?;
    let mut positions = 0..0;
    let cell = measure_pairs(setting.plan(), |side| {
        Ok::<_, MeasureError>(match side {
            Side::A => {
                positions = job.advance(UPDATES)?;
                job.checkpoint()?.bytes as f64
            }
            Side::B => dirty_record_bytes(spec.keys, &positions) as f64,
        })
    })?;
    job.stop()?;
    setting.remove(&folder)?;
    let note = format!(
        "{} of 64-byte records, {} uniform updates between two checkpoints; frames and manifest \
         against unique changed records of 64 bytes{}",
        Unit::Bytes.text(state_bytes),
        grouped(UPDATES),
        if setting.quick {
            " (the full run takes 1 GiB)"
        } else {
            ""
        },
    );
    Ok(Ratio::of_cell("G9", &cell, "bytes", &note))
}
