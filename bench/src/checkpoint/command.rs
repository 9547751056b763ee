//! The command `checkpoint`.

use super::cycles::{Cycles, LOADED_INTERVAL, cycles, spread, under_load};
use crate::common::CommonArguments;
use crate::costs::{CostHistograms, View};
use crate::measure_error::MeasureError;
use crate::pairs::PairValue;
use crate::probe::memory::available_bytes;
use crate::progress::Step;
use crate::result::{HistogramResult, Spread};
use crate::scratch::Scratch;
use crate::text::percentiles::row;
use crate::text::sizes::parse_size;
use crate::text::units::{Unit, grouped};
use crate::workload::{Engine, JobSpec, KeyedJob, Keys, Place, RecordBytes, WRITE_MODES};
use clap::Args;
use frazil::storage::{FileStorage, WriteMode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

const STATE_BYTES: u64 = 1 << 30;
const STATE_BYTES_QUICK: u64 = 128 << 20;

/// The options of `checkpoint`.
#[derive(Clone, Debug, Args)]
pub struct CheckpointArguments {
    /// State in records of 64 bytes, as 64MiB [default: 1GiB, or 128MiB with --quick]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub state: Option<u64>,
    /// Updates, uniform, ahead of each checkpoint
    #[arg(long, value_name = "N", default_value = "100000")]
    pub dirty: NonZeroU64,
    /// Checkpoints
    #[arg(long, value_name = "N", default_value = "20")]
    pub count: NonZeroU32,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

#[derive(Serialize)]
struct CheckpointResult {
    state_bytes: u64,
    update_count: u64,
    modes: Vec<ModeResult>,
}

#[derive(Serialize)]
struct ModeResult {
    write_mode: &'static str,
    driver: String,
    bytes_ratio: Spread,
    bytes_pairs: Vec<PairValue>,
    durable_ratio: Spread,
    durable_ms_pairs: Vec<PairValue>,
    /// With the job standing still.
    histograms: BTreeMap<String, HistogramResult>,
    /// With the job at full speed.
    loaded_histograms: BTreeMap<String, HistogramResult>,
    loaded_interval_ms: f64,
    loaded_dropped_count: u64,
}

/// Makes checkpoints and prints what they are made of, for each way to write files.
///
/// # Errors
///
/// The job's and the disk's; [`MeasureError::Memory`] if the state does not fit.
pub fn run(arguments: &CheckpointArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let default = common.pick(STATE_BYTES_QUICK, STATE_BYTES);
    let state_bytes = arguments.state.unwrap_or(default);
    if available_bytes() < 2 * state_bytes {
        return Err(MeasureError::Memory {
            needed_bytes: 2 * state_bytes,
            found_bytes: available_bytes(),
        });
    }
    let each = expected(arguments, state_bytes);
    common.preamble(each * u32::try_from(WRITE_MODES.len()).unwrap_or(1), out)?;
    writeln!(
        out,
        "{} of 64-byte records, {} uniform updates ahead of each checkpoint; layout: one shard and \
         the helpers",
        Unit::Bytes.text(state_bytes),
        grouped(arguments.dirty.get()),
    )?;
    let mut modes = Vec::new();
    for (name, write_mode) in WRITE_MODES {
        let step = Step::begin(&format!("checkpoints, {name}"), each);
        let measured = measure(arguments, state_bytes, write_mode)?;
        drop(step);
        measured.print(name, out)?;
        modes.push(measured.result(name));
    }
    let result = CheckpointResult {
        state_bytes,
        update_count: arguments.dirty.get(),
        modes,
    };
    common.store("checkpoint", &result)
}

/// Filling, the first checkpoint with its fold, the others, and those under load.
fn expected(arguments: &CheckpointArguments, state_bytes: u64) -> Duration {
    let state_gib = state_bytes as f64 / f64::from(1 << 30);
    let cycle = 0.15 + arguments.dirty.get() as f64 * 5e-7;
    let seconds = 10.0 * state_gib + f64::from(arguments.count.get()) * cycle + 4.0;
    Duration::from_secs_f64(seconds)
}

struct Measured {
    driver: String,
    cycles: Cycles,
    loaded: CostHistograms,
    loaded_interval_ms: f64,
    loaded_dropped_count: u64,
}

fn measure(
    arguments: &CheckpointArguments,
    state_bytes: u64,
    write_mode: WriteMode,
) -> Result<Measured, MeasureError> {
    let scratch = Scratch::new(&arguments.common.dir, "checkpoint")?;
    let raw = FileStorage::open(scratch.folder())?.with_write_mode(write_mode);
    let keys = Keys::new((state_bytes / RecordBytes::SixtyFour.bytes()).max(1));
    let job = KeyedJob::start(&JobSpec {
        keys,
        record_bytes: RecordBytes::SixtyFour,
        checkpoints: Some(Place {
            directory: scratch.folder(),
            write_mode,
        }),
        engine: Engine::default(),
    })?;
    // The first one holds everything, and is followed by a fold.
    job.checkpoint()?;
    job.settle();
    let (dirty, count) = (arguments.dirty.get(), arguments.count.get());
    let cycles = cycles(&job, keys, dirty, count, &raw)?;
    let (loaded, made) = under_load(&job, count)?;
    let driver = job.driver();
    job.stop()?;
    let seconds = (LOADED_INTERVAL * count).as_secs_f64();
    Ok(Measured {
        driver,
        cycles,
        loaded,
        loaded_interval_ms: made.achieved_ms(seconds),
        loaded_dropped_count: made.dropped_count,
    })
}

impl Measured {
    fn print(&self, name: &str, out: &mut impl Write) -> Result<(), MeasureError> {
        let text = |spread: Spread| {
            format!(
                "{:.2} [{:.2}, {:.2}]",
                spread.median, spread.min, spread.max
            )
        };
        let Cycles {
            bytes, durable_ms, ..
        } = &self.cycles;
        writeln!(
            out,
            "files written by {name} ({} driver), {} checkpoints while the job stands still",
            self.driver,
            bytes.len()
        )?;
        let mib = |pairs, of| spread(pairs, of).median / f64::from(1 << 20);
        writeln!(
            out,
            "  bytes / unique dirty record bytes: {} ({:.2} / {:.2} MiB)",
            text(spread(bytes, |pair| pair.ratio)),
            mib(bytes, |pair| pair.a),
            mib(bytes, |pair| pair.b),
        )?;
        writeln!(
            out,
            "  time to durable / raw write and sync: {} ({:.2} / {:.2} ms)",
            text(spread(durable_ms, |pair| pair.ratio)),
            spread(durable_ms, |pair| pair.a).median,
            spread(durable_ms, |pair| pair.b).median,
        )?;
        print_costs(&self.cycles.costs, out)?;
        writeln!(
            out,
            "under full load, one every {:.0} ms of {} ms wanted, {} dropped",
            self.loaded_interval_ms,
            LOADED_INTERVAL.as_millis(),
            self.loaded_dropped_count
        )?;
        print_costs(&self.loaded, out)
    }

    fn result(&self, write_mode: &'static str) -> ModeResult {
        let cycles = &self.cycles;
        ModeResult {
            write_mode,
            driver: self.driver.clone(),
            bytes_ratio: spread(&cycles.bytes, |pair| pair.ratio),
            bytes_pairs: cycles.bytes.clone(),
            durable_ratio: spread(&cycles.durable_ms, |pair| pair.ratio),
            durable_ms_pairs: cycles.durable_ms.clone(),
            histograms: cycles.costs.results(),
            loaded_histograms: self.loaded.results(),
            loaded_interval_ms: self.loaded_interval_ms,
            loaded_dropped_count: self.loaded_dropped_count,
        }
    }
}

fn print_costs(costs: &CostHistograms, out: &mut impl Write) -> Result<(), MeasureError> {
    let costs = costs.with_costs();
    for (cost, histogram) in costs.filter(|(cost, _)| cost.view != View::Row) {
        writeln!(out, "{}", row(cost.title, histogram, cost.unit))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_has_its_ratios_and_phases() {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = CheckpointArguments {
            state: Some(1 << 20),
            dirty: NonZeroU64::new(500).unwrap(),
            count: NonZeroU32::new(2).unwrap(),
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("unique dirty record bytes") && text.contains("freeze"));
        let stored = arguments.common.stored();
        let modes = stored["modes"].as_array().unwrap();
        assert_eq!(modes.len(), WRITE_MODES.len());
        for mode in modes {
            assert!(mode["bytes_ratio"]["min"].as_f64().unwrap() > 1.0, "{mode}");
            assert_eq!(mode["durable_ms_pairs"].as_array().unwrap().len(), 2);
        }
        arguments.state = Some(1 << 50);
        let refused = run(&arguments, &mut Vec::new());
        assert!(matches!(refused, Err(MeasureError::Memory { .. })));
    }
}
