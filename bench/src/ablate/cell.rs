//! Measuring one mechanism: the figures of both sides, pair by pair.

use super::ablation::{Ablation, Setup};
use crate::measure_error::MeasureError;
use crate::open_loop::{OpenLoop, Options, Session};
use crate::pairs::{PairPlan, PairedCell, Side, measure_many};
use crate::scratch::Scratch;
use crate::workload::{Distribution, Draw, JobSpec, KeyedJob, Keys, Place, RecordBytes};
use frazil::{Flow, ForEach};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(100);
/// From setting the rate to the first reading.
const RUN_UP: Duration = Duration::from_millis(300);
/// Least state budget of the job at a fixed rate, and its multiple of the records.
const STATE_BYTES_MIN: u64 = 256 << 20;
const STATE_FACTOR: u64 = 4;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// As a column of the table.
    pub(super) title: &'static str,
    /// As a field of the result.
    pub(super) field: &'static str,
}

/// The figures, in the order of the columns: two at full speed, four at the fixed rate.
pub(super) const MEASURES: [Measure; 6] = [
    Measure {
        title: "shard CPU",
        field: "shard_cpu_ns_per_event",
    },
    Measure {
        title: "helper CPU",
        field: "helper_cpu_ns_per_event",
    },
    Measure {
        title: "p99.9 latency",
        field: "latency_p999_ns",
    },
    Measure {
        title: "longest slice",
        field: "capture_slice_ns_max",
    },
    Measure {
        title: "bytes written",
        field: "checkpoint_bytes",
    },
    Measure {
        title: "to durable",
        field: "checkpoint_ns_p50",
    },
];

/// The work of all cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Records of 64 bytes, changed uniformly.
    pub(super) key_count: u64,
    /// Events a second at the fixed rate.
    pub(super) rate: f64,
    /// How long one side runs at full speed.
    pub(super) full_speed: Duration,
    /// How long one side runs at the fixed rate.
    pub(super) fixed_rate: Duration,
    pub(super) warm_up: Duration,
    pub(super) plan: PairPlan,
}

/// The cells of one ablation, one for each of [`MEASURES`], without (a) and with (b).
pub(super) type Cells = [PairedCell; 6];

/// Measures both sides in turn; none where the design's side is not to be had.
pub(super) fn measure(
    ablation: &Ablation,
    work: &Work,
    scratch: &Scratch,
) -> Result<Option<Cells>, MeasureError> {
    let Some([shard, helper]) = at_full_speed(ablation, work, scratch)? else {
        return Ok(None);
    };
    let [latency, slice, bytes, durable] = at_fixed_rate(ablation, work, scratch)?;
    Ok(Some([shard, helper, latency, slice, bytes, durable]))
}

/// CPU time of shards and of helpers for an event.
fn at_full_speed(
    ablation: &Ablation,
    work: &Work,
    scratch: &Scratch,
) -> Result<Option<[PairedCell; 2]>, MeasureError> {
    let with = keyed_job(Setup::default(), work.key_count, scratch)?;
    if ablation.needs_glommio && with.driver() == "thread" {
        with.stop()?;
        return Ok(None);
    }
    let without = keyed_job(ablation.without(), work.key_count, scratch)?;
    let cells = measure_many(work.plan, |side| {
        let job = match side {
            Side::A => &without,
            Side::B => &with,
        };
        let (window, _) = job.run_with_checkpoints(work.full_speed, INTERVAL)?;
        let events = window.records.max(1) as f64;
        Ok::<_, MeasureError>([
            window.shards.cpu_ns as f64 / events,
            window.helpers.cpu_ns as f64 / events,
        ])
    })?;
    without.stop()?;
    with.stop()?;
    Ok(Some(cells))
}

/// A job with all of its state in a first checkpoint.
pub(super) fn keyed_job(
    setup: Setup,
    key_count: u64,
    scratch: &Scratch,
) -> Result<KeyedJob, MeasureError> {
    let job = KeyedJob::start(&JobSpec {
        keys: Keys::new(key_count),
        record_bytes: RecordBytes::SixtyFour,
        checkpoints: Some(Place {
            directory: scratch.folder(),
            write_mode: setup.write_mode,
        }),
        engine: setup.engine,
    })?;
    // The first ones may be dropped until the job knows that it has to wait for staging.
    while job.try_checkpoint()?.is_none() {}
    job.settle();
    Ok(job)
}

/// Latency, the longest capture slice, bytes and time of a checkpoint.
fn at_fixed_rate(
    ablation: &Ablation,
    work: &Work,
    scratch: &Scratch,
) -> Result<[PairedCell; 4], MeasureError> {
    let mut without = session(ablation.without(), work, scratch)?;
    let mut with = session(Setup::default(), work, scratch)?;
    let cells = measure_many(work.plan, |side| {
        let session = match side {
            Side::A => &mut without,
            Side::B => &mut with,
        };
        session.set_rate(work.rate);
        thread::sleep(RUN_UP.min(work.fixed_rate));
        let report = session.window(work.fixed_rate, Some(INTERVAL))?;
        session.drain();
        let phase = |name, quantile| {
            let histogram = report.phase(name);
            histogram.map_or(0.0, |found| found.value_at_quantile(quantile) as f64)
        };
        Ok::<_, MeasureError>([
            report.latencies.all().value_at_quantile(0.999) as f64,
            phase("capture_slice_ns", 1.0),
            report.checkpoints.mean_bytes() as f64,
            phase("checkpoint_ns", 0.5),
        ])
    })?;
    without.stop()?;
    with.stop()?;
    Ok(cells)
}

fn session(setup: Setup, work: &Work, scratch: &Scratch) -> Result<Session, MeasureError> {
    let place = Place {
        directory: scratch.folder(),
        write_mode: setup.write_mode,
    };
    let mut options = Options::new(work.rate);
    options.storage = Some(Arc::new(place.open()?));
    options.engine = setup.engine;
    options.warm_up = work.warm_up;
    options.fill_events = work.key_count;
    let state_bytes = STATE_FACTOR * RecordBytes::SixtyFour.bytes() * work.key_count;
    options.state_bytes_per_shard = state_bytes.max(STATE_BYTES_MIN);
    let mut session = Session::start(&options, flow(work.key_count))?;
    session.warm_up(&options)?;
    session.drain();
    Ok(session)
}

/// Keeps each key's last due time in a record of 64 bytes; the first events are one of each key.
fn flow(key_count: u64) -> impl Fn(&Flow, &OpenLoop) + Send + Sync + 'static {
    let draw = Draw::new(key_count, Distribution::Uniform);
    let key_of = move |index: u64| match index.checked_sub(key_count) {
        None => index,
        Some(drawn) => draw.at(drawn),
    };
    move |flow, open_loop| {
        let completed = open_loop.completed();
        flow.source(open_loop.source(key_of))
            .key_by(|(_due_ns, key)| key)
            .aggregate("last", [0; 7], |last, (due_ns, _key)| last[0] = *due_ns)
            .sink(ForEach::new(move |(_key, last): (&u64, &[u64; 7])| {
                completed(last[0]);
            }));
    }
}
