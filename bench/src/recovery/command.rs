//! The command `recovery`.

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
    common.preamble(building + restarting, out)?;
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
    let step = Step::begin("restarting", restarting);
    let (splits, raw_read_ms) = measure(&restarts, count, arguments.cold)?;
    drop(step);
    let ratios = splits.iter().zip(&raw_read_ms);
    let ratios = ratios.map(|(split, raw)| split.whole_ms / raw).collect();
    let ratio = Spread::of(ratios).expect("there is at least one restart");
    print(&splits, &raw_read_ms, ratio, out)?;
    let result = RecoveryResult {
        state_bytes,
        base_bytes,
        chain_bytes,
        is_cold: arguments.cold,
        ratio,
        restarts: splits,
        raw_read_ms,
    };
    common.store("recovery", &result)
}

/// Restarts and reads in turn, after one unrecorded turn of both where files are warm.
fn measure(
    restarts: &Restarts,
    count: u32,
    is_cold: bool,
) -> Result<(Vec<Split>, Vec<f64>), MeasureError> {
    let prepare = || if is_cold { drop_caches() } else { Ok(()) };
    if !is_cold {
        restarts.restart()?;
        restarts.read_raw()?;
    }
    let (mut splits, mut raw_read_ms) = (Vec::new(), Vec::new());
    for _ in 0..count {
        prepare()?;
        splits.push(restarts.restart()?);
        prepare()?;
        raw_read_ms.push(restarts.read_raw()?);
    }
    Ok((splits, raw_read_ms))
}

fn print(
    splits: &[Split],
    raw_read_ms: &[f64],
    ratio: Spread,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
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
    let of = |part: fn(&Split) -> f64| splits.iter().map(part).collect::<Vec<_>>();
    line("process start", of(|split| split.process_ms))?;
    line(
        "open: directory, manifest, memory",
        of(|split| split.open_ms),
    )?;
    line("base image", of(|split| split.base_ms))?;
    line("chain of deltas", of(|split| split.chain_ms))?;
    line("to the first record", of(|split| split.record_ms))?;
    line(
        "process start to first correct record",
        of(|split| split.whole_ms),
    )?;
    let steady = splits.iter().filter_map(|split| split.steady_ms);
    line("until no more page faults on the shard", steady.collect())?;
    line("reading the same files raw", raw_read_ms.to_vec())?;
    writeln!(
        out,
        "restart / raw read: {:.2} [{:.2}, {:.2}]; every byte is verified before the first record",
        ratio.median, ratio.min, ratio.max
    )?;
    Ok(())
}
