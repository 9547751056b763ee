//! The command `recovery`.

use super::protocol::Restore;
use super::trial::{Restarts, Split, drop_caches};
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::probe::memory::available_bytes;
use crate::progress::Step;
use crate::result::Spread;
use crate::scratch::Scratch;
use crate::text::sizes::parse_size;
use crate::text::units::Unit;
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroU32;
use std::time::Duration;

const STATE_BYTES: u64 = 1 << 30;
const STATE_BYTES_QUICK: u64 = 128 << 20;

/// The options of `recovery`.
#[derive(Clone, Debug, Args)]
pub struct RecoveryArguments {
    /// State in records of 64 bytes, as 64MiB [default: 1GiB, or 128MiB with --quick]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub state: Option<u64>,
    /// Restarts, each followed by a plain read of the same files [default: 5, or 3 with --quick]
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU32>,
    /// Empty the page cache of the whole machine before each restart and each read (needs root)
    #[arg(long)]
    pub cold: bool,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

#[derive(Serialize)]
struct RecoveryResult {
    state_bytes: u64,
    base_bytes: u64,
    chain_bytes: u64,
    is_cold: bool,
    modes: Vec<ModeResult>,
}

/// A name for people, and where the split has it.
type Part = (&'static str, fn(&Split) -> f64);

/// Restarts in one way, and a plain read of the same files after each.
#[derive(Serialize)]
struct ModeResult {
    restore: &'static str,
    /// Restart by plain read, pair by pair.
    ratio: Spread,
    restarts: Vec<Split>,
    raw_read_ms: Vec<f64>,
}

/// Builds state, kills the job, restarts it and prints where the time goes.
///
/// # Errors
///
/// The job's and the disk's; [`MeasureError::Memory`] if the state does not fit;
/// [`MeasureError::WrongRecord`] if a restart counted wrongly.
pub fn run(arguments: &RecoveryArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let default = common.pick(STATE_BYTES_QUICK, STATE_BYTES);
    let state_bytes = arguments.state.unwrap_or(default);
    let count = arguments.count.map_or(common.pick(3, 5), NonZeroU32::get);
    if available_bytes() < 3 * state_bytes {
        return Err(MeasureError::Memory {
            needed_bytes: 3 * state_bytes,
            found_bytes: available_bytes(),
        });
    }
    let state_gib = state_bytes as f64 / f64::from(1 << 30);
    let building = Duration::from_secs_f64(1.0 + 25.0 * state_gib);
    let restarting = Duration::from_secs_f64(f64::from(count + 1) * (0.6 + 3.0 * state_gib));
    common.preamble(building + 2 * restarting, out)?;
    let scratch = Scratch::new(&common.dir, "recovery")?;
    let step = Step::begin("building the state and its checkpoints", building);
    let restarts = Restarts::build(state_bytes, &scratch.folder())?;
    drop(step);
    let (base_bytes, chain_bytes) = restarts.bytes();
    writeln!(
        out,
        "{} of 64-byte records, base image {}, chain of deltas {}; killed with SIGKILL after \
         checkpoint {}; {}; layout: one shard and the helpers",
        Unit::Bytes.text(state_bytes),
        Unit::Bytes.text(base_bytes),
        Unit::Bytes.text(chain_bytes),
        restarts.checkpoint(),
        if arguments.cold {
            "files cold (page cache emptied)"
        } else {
            "files warm (cold only with --cold, as root)"
        },
    )?;
    let mut modes = Vec::new();
    for restore in Restore::ALL {
        let step = Step::begin(&format!("restarting, {}", restore.name()), restarting);
        let measured = measure(&restarts, restore, count, arguments.cold)?;
        drop(step);
        measured.print(restore, out)?;
        modes.push(measured);
    }
    let result = RecoveryResult {
        state_bytes,
        base_bytes,
        chain_bytes,
        is_cold: arguments.cold,
        modes,
    };
    common.store("recovery", &result)
}

/// Restarts and reads in turn, after one unrecorded turn of both where files are warm.
fn measure(
    restarts: &Restarts,
    restore: Restore,
    count: u32,
    is_cold: bool,
) -> Result<ModeResult, MeasureError> {
    let prepare = || if is_cold { drop_caches() } else { Ok(()) };
    if !is_cold {
        restarts.restart(restore)?;
        restarts.read_raw()?;
    }
    let (mut splits, mut raw_read_ms) = (Vec::new(), Vec::new());
    for _ in 0..count {
        prepare()?;
        splits.push(restarts.restart(restore)?);
        prepare()?;
        raw_read_ms.push(restarts.read_raw()?);
    }
    let pairs = splits.iter().zip(&raw_read_ms);
    let ratios = pairs.map(|(split, raw)| split.whole_ms / raw).collect();
    Ok(ModeResult {
        restore: restore.name(),
        ratio: Spread::of(ratios).expect("there is at least one restart"),
        restarts: splits,
        raw_read_ms,
    })
}

impl ModeResult {
    fn print(&self, restore: Restore, out: &mut impl Write) -> Result<(), MeasureError> {
        let verified = match restore {
            Restore::Eager => "every byte is verified before the first record",
            Restore::Mapped => "the base is verified beside the first records",
        };
        writeln!(out, "restore: {}; {verified}", self.restore)?;
        let mut line = |name: &str, values: Vec<f64>| {
            let Some(spread) = Spread::of(values) else {
                return writeln!(out, "  {name:<38} did not come within 10 s");
            };
            writeln!(
                out,
                "  {name:<38} {:>8.1} ms [{:.1}, {:.1}]",
                spread.median, spread.min, spread.max
            )
        };
        let parts: [Part; 6] = [
            ("process start", |split| split.process_ms),
            ("open: directory, manifest, memory", |split| split.open_ms),
            ("base image", |split| split.base_ms),
            ("chain of deltas", |split| split.chain_ms),
            ("to the first record", |split| split.record_ms),
            ("process start to first correct record", |split| {
                split.whole_ms
            }),
        ];
        for (name, part) in parts {
            line(name, self.restarts.iter().map(part).collect())?;
        }
        if restore == Restore::Mapped {
            let verified = self.restarts.iter().filter_map(|split| split.verified_ms);
            line("until all is verified", verified.collect())?;
        }
        let steady = self.restarts.iter().filter_map(|split| split.steady_ms);
        line("until no more page faults on the shard", steady.collect())?;
        line("reading the same files raw", self.raw_read_ms.clone())?;
        let ratio = self.ratio;
        writeln!(
            out,
            "  restart / raw read: {:.2} [{:.2}, {:.2}]",
            ratio.median, ratio.min, ratio.max
        )?;
        Ok(())
    }
}
