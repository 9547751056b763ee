//! G16: page faults on shard threads in steady state.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::text::units::Unit;
use crate::workload::KeyedJob;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_secs(3);

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    let state_bytes = setting.pick(128 << 20, 1 << 30);
    let folder = setting.folder();
    let job = KeyedJob::start(&setting.wide(state_bytes, Some(folder.clone())))?;
    job.run_with_checkpoints(WARM_UP, INTERVAL)?;
    let length = setting.pick(Duration::from_secs(5), Duration::from_secs(20));
    let (window, made) = job.run_with_checkpoints(length, INTERVAL)?;
    let off = job.run_for(length)?;
    job.stop()?;
    setting.remove(&folder)?;
    let per_second = |faults: u64| faults as f64 / length.as_secs_f64();
    let note = format!(
        "one shard, {} of 64-byte records, updates at full speed for {} s after {} s of warm-up; \
         {} faults with {} checkpoints (one every {:.0} ms of 100 ms wanted), {} faults without",
        Unit::Bytes.text(state_bytes),
        length.as_secs(),
        WARM_UP.as_secs(),
        window.shards.minor_faults,
        made.reports.len(),
        made.achieved_ms(window.seconds),
        off.shards.minor_faults,
    );
    // Counts of rare events differ by about the root of their number; none at all may be three.
    let faults = window.shards.minor_faults as f64;
    let seconds = length.as_secs_f64();
    let least = (faults - 2.0 * faults.sqrt()).max(0.0) / seconds;
    let largest = (faults + 2.0 * faults.sqrt()).max(3.0) / seconds;
    Ok(Ratio {
        min: Some(least),
        max: Some(largest),
        a: Some(per_second(window.shards.minor_faults)),
        b: Some(per_second(off.shards.minor_faults)),
        ..Ratio::of_value(
            "G16",
            per_second(window.shards.minor_faults),
            "faults/s with and without checkpoints",
            note,
        )
    })
}
