//! G15: memory that checkpoints take, measured in processes of their own.

use super::child::{ChildSettings, PeakMemory, peak_memory};
use super::ratio::Ratio;
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::text::units::Unit;

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes: u64 = setting.pick(256 << 20, 1 << 30);
    let mut last = [PeakMemory::default(); 2];
    let cell = measure_pairs(setting.plan(), |side| {
        let checkpoints = (side == Side::A).then(|| setting.folder());
        let peak = peak_memory(&ChildSettings {
            state_bytes,
            run_ms: setting.pick(1_500, 4_000),
            interval_ms: 100,
            checkpoints: checkpoints.clone(),
        })?;
        if let Some(folder) = checkpoints {
            setting.remove(&folder)?;
        }
        last[usize::from(side == Side::B)] = peak;
        Ok::<_, MeasureError>(peak.bytes as f64)
    })?;
    let per_byte = |side: &PeakMemory| side.bytes as f64 / state_bytes as f64;
    let note = format!(
        "{} of 64-byte records, uniform updates at full speed, RssAnon sampled every 5 ms in a \
         process each; bytes per state byte {:.2} with and {:.2} without; {} checkpoints in the \
         last",
        Unit::Bytes.text(state_bytes),
        per_byte(&last[0]),
        per_byte(&last[1]),
        last[0].checkpoints,
    );
    Ok(Ratio::of_cell("G15", &cell, "bytes", &note))
}
