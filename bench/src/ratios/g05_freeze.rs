//! G5 and G6: the freeze, by count and by size of the state.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::memory::available_bytes;
use crate::probe::steal::MachineTicks;
use crate::text::units::{Unit, grouped};
use crate::workload::{Engine, JobSpec, KeyedJob, Keys, RecordBytes};
use hdrhistogram::Histogram;
use std::time::Duration;

const FREEZE_COUNT: u64 = 10_000;
/// Updates between two freezes.
const UPDATES: u64 = 1_000;
/// Updates that keep a shard at work until its barrier has come.
const AT_WORK: u64 = 200_000;

/// The absolute tail of the freeze.
pub(super) fn tail(setting: &Setting) -> Result<Ratio, MeasureError> {
    let folder = setting.folder();
    let keys = Keys::new(1_000_000);
    let job = KeyedJob::start(&JobSpec {
        keys,
        record_bytes: RecordBytes::SixtyFour,
        checkpoints: Some(folder.clone().into()),
        engine: Engine::default(),
    })?;
    job.checkpoint()?;
    let before = job.statistics().freeze;
    let floor_before = floor_ns(&Hiccups::of_all(setting.plan().floor_time));
    let ticks = MachineTicks::now();
    for _ in 0..FREEZE_COUNT {
        // Records are under way while the barrier passes.
        let begin = job.gate().emitted();
        job.gate().allow(begin + UPDATES);
        // One that is dropped was frozen all the same.
        job.try_checkpoint()?;
    }
    let stolen = MachineTicks::now().stolen_since(ticks) * 100.0;
    let floor_after = floor_ns(&Hiccups::of_all(setting.plan().floor_time));
    let freezes = difference(job.statistics().freeze, &before);
    let us = |quantile| freezes.value_at_quantile(quantile) as f64 / 1e3;
    let note = format!(
        "{} freezes, 1 M keys of 64 bytes, up to {UPDATES} updates between two; p50 {:.2} us, p99 \
         {:.2} us, longest {:.1} us; hiccup floor p99.9 {:.1} us before, {:.1} us after; \
         {stolen:.1} % stolen; {} driver",
        grouped(freezes.len()),
        us(0.5),
        us(0.99),
        freezes.max() as f64 / 1e3,
        floor_before / 1e3,
        floor_after / 1e3,
        job.driver(),
    );
    job.stop()?;
    setting.remove(&folder)?;
    // Beyond p99.9 lie about n = count / 1000 samples, give or take twice the root of n.
    let beyond = freezes.len() as f64 / 1e3;
    let at = |beyond: f64| us(1.0 - beyond.max(0.0) / freezes.len() as f64);
    Ok(Ratio {
        min: Some(at(beyond + 2.0 * beyond.sqrt())),
        max: Some(at(beyond - 2.0 * beyond.sqrt())),
        a: Some(us(0.999)),
        b: Some(floor_before.max(floor_after) / 1e3),
        ..Ratio::of_value("G5", us(0.999), "us (b: hiccup floor p99.9)", note)
    })
}

/// The freeze of a large state against that of a small one.
pub(super) fn by_size(setting: &Setting) -> Result<Ratio, MeasureError> {
    let (large, small) = setting.pick((1_u64 << 30, 64 << 20), (4 << 30, 64 << 20));
    // Pages are part full, and the first checkpoint passes through the page cache.
    let needed = 2 * large;
    if available_bytes() < needed {
        let reason = format!("needs {} of free memory", Unit::Bytes.text(needed));
        return Ok(Ratio::none("G6", reason));
    }
    let folders = [setting.folder(), setting.folder()];
    let large_job = KeyedJob::start(&setting.wide(large, Some(folders[0].clone())))?;
    let small_job = KeyedJob::start(&setting.wide(small, Some(folders[1].clone())))?;
    let count = setting.pick(40, 100);
    large_job.checkpoint()?;
    small_job.checkpoint()?;
    let cell = measure_pairs(setting.plan(), |side| match side {
        Side::A => freeze_p50_ns(&large_job, count),
        Side::B => freeze_p50_ns(&small_job, count),
    })?;
    let note = format!(
        "{} against {} of 64-byte records, p50 of {count} freezes a side after {} uniform updates \
         each{}",
        Unit::Bytes.text(large),
        Unit::Bytes.text(small),
        grouped(10 * UPDATES),
        if setting.quick {
            " (the full run takes 4 GiB)"
        } else {
            ""
        },
    );
    large_job.stop()?;
    small_job.stop()?;
    for folder in &folders {
        setting.remove(folder)?;
    }
    Ok(Ratio::of_cell("G6", &cell, "ns", &note))
}

fn freeze_p50_ns(job: &KeyedJob, count: u32) -> Result<f64, MeasureError> {
    let before = job.statistics().freeze;
    for _ in 0..count {
        job.advance(10 * UPDATES)?;
        // The barrier meets a shard that is at work.
        let begin = job.gate().emitted();
        job.gate().allow(begin + AT_WORK);
        std::thread::sleep(Duration::from_micros(500));
        job.try_checkpoint()?;
        job.hold()?;
    }
    let freezes = difference(job.statistics().freeze, &before);
    Ok(freezes.value_at_quantile(0.5) as f64)
}

/// What was recorded since `before`.
fn difference(mut after: Histogram<u64>, before: &Histogram<u64>) -> Histogram<u64> {
    after
        .subtract(before)
        .expect("the later histogram holds the earlier one");
    after
}
