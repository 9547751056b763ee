//! G14: from a killed process to the first correct record.

use super::ratio::{Ratio, short};
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{PairedCell, Side, measure_pairs};
use crate::probe::memory::available_bytes;
use crate::recovery::{Restarts, Restore, Split};
use crate::text::units::Unit;

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes: u64 = setting.pick(128 << 20, 1 << 30);
    if available_bytes() < 3 * state_bytes {
        let reason = format!("needs {} of free memory", Unit::Bytes.text(3 * state_bytes));
        return Ok(Ratio::none("G14", reason));
    }
    let folder = setting.folder();
    let restarts = Restarts::build(state_bytes, &folder)?;
    let (mapped, last) = cell(setting, &restarts, Restore::Mapped)?;
    let (eager, last_eager) = cell(setting, &restarts, Restore::Eager)?;
    setting.remove(&folder)?;
    let (base_bytes, chain_bytes) = restarts.bytes();
    let note = format!(
        "{} of 64-byte records: image {}, chain {}, files warm; mapped restore, {}; raw: reading \
         the same files; eager restore, all verified before the first record: {}, {}",
        Unit::Bytes.text(state_bytes),
        Unit::Bytes.text(base_bytes),
        Unit::Bytes.text(chain_bytes),
        parts(last),
        short(eager.ratio().median),
        parts(last_eager),
    );
    Ok(Ratio::of_cell("G14", &mapped, "ms", &note))
}

/// Restarts in one way against reading the same files; with the last restart.
fn cell(
    setting: &Setting,
    restarts: &Restarts,
    restore: Restore,
) -> Result<(PairedCell, Option<Split>), MeasureError> {
    let mut last = None;
    let cell = measure_pairs(setting.plan(), |side| match side {
        Side::A => {
            let split = restarts.restart(restore)?;
            last = Some(split);
            Ok::<_, MeasureError>(split.whole_ms)
        }
        Side::B => restarts.read_raw(),
    })?;
    Ok((cell, last))
}

fn parts(split: Option<Split>) -> String {
    let Some(split) = split else {
        return String::new();
    };
    let late = |ms: Option<f64>, otherwise: &str| {
        ms.map_or_else(
            || otherwise.to_owned(),
            |ms| format!("after {} ms", short(ms)),
        )
    };
    format!(
        "at last process {} ms, open {}, base {}, chain {}, record {}, verified {}, no more page \
         faults {}",
        short(split.process_ms),
        short(split.open_ms),
        short(split.base_ms),
        short(split.chain_ms),
        short(split.record_ms),
        late(split.verified_ms, "before the first record"),
        late(split.steady_ms, "not within 10 s"),
    )
}
