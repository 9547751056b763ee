//! G14: from a killed process to the first correct record.

use super::ratio::{Ratio, short};
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::probe::memory::available_bytes;
use crate::recovery::{Restarts, Split};
use crate::text::units::Unit;

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes: u64 = setting.pick(128 << 20, 1 << 30);
    if available_bytes() < 3 * state_bytes {
        let reason = format!("needs {} of free memory", Unit::Bytes.text(3 * state_bytes));
        return Ok(Ratio::none("G14", reason));
    }
    let folder = setting.folder();
    let restarts = Restarts::build(state_bytes, &folder)?;
    let mut last: Option<Split> = None;
    let cell = measure_pairs(setting.plan(), |side| match side {
        Side::A => {
            let split = restarts.restart()?;
            last = Some(split);
            Ok::<_, MeasureError>(split.whole_ms)
        }
        Side::B => restarts.read_raw(),
    })?;
    setting.remove(&folder)?;
    let (base_bytes, chain_bytes) = restarts.bytes();
    let parts = last.map_or_else(String::new, |split| {
        let steady = split.steady_ms.map_or_else(
            || "not within 10 s".to_owned(),
            |ms| format!("{} ms", short(ms)),
        );
        format!(
            "; the last: process {} ms, open {}, base {}, chain {}, record {}; no more page faults \
             after {steady}",
            short(split.process_ms),
            short(split.open_ms),
            short(split.base_ms),
            short(split.chain_ms),
            short(split.record_ms),
        )
    });
    let note = format!(
        "{} of 64-byte records: image {}, chain {}, files warm, every byte verified before the \
         first record; raw: reading the same files{parts}",
        Unit::Bytes.text(state_bytes),
        Unit::Bytes.text(base_bytes),
        Unit::Bytes.text(chain_bytes),
    );
    Ok(Ratio::of_cell("G14", &cell, "ms", &note))
}
