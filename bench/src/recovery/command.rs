//! The command `recovery`.

use super::protocol::Restore;
use super::trial::{Restarts, Split};
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::probe::memory::available_bytes;
use crate::progress::Step;
use crate::result::Spread;
use crate::scratch::Scratch;
use crate::text::sizes::parse_size;
use crate::text::units::Unit;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroU32;
use std::time::Duration;

const STATE_BYTES: u64 = 1 << 30;
const STATE_BYTES_QUICK: u64 = 128 << 20;
/// Memory that a state needs, with its files in the page cache.
const MEMORY_FACTOR: u64 = 3;
const LADDER_BYTES_MIN: u64 = 64 << 20;
const LADDER_STEP: u64 = 4;

/// The options of `recovery`.
#[derive(Clone, Debug, Args)]
pub struct RecoveryArguments {
    /// State in records of 64 bytes, as 64MiB 1GiB [default: 1GiB, or 128MiB with --quick]
    #[arg(long, alias = "state", value_name = "SIZE", num_args = 1.., value_parser = parse_size)]
    pub sizes: Vec<u64>,
    /// From 64 MiB on, four times as much each time, as far as memory allows
    #[arg(long, conflicts_with = "sizes")]
    pub sweep: bool,
    /// Restarts, each followed by a plain read of the same files [default: 5, or 3 with --quick]
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU32>,
    /// Whether the checkpoint's files are in the page cache [default: both]
    #[arg(long, value_enum, value_name = "CACHE", value_delimiter = ',')]
    pub cache: Vec<Cache>,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// Whether the checkpoint's files are in the page cache when they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// In the page cache
    Warm,
    /// Only on the disk; the program itself stays in the cache
    Cold,
}

#[derive(Serialize)]
struct RecoveryResult {
    sizes: Vec<SizeResult>,
}

/// One size of state.
#[derive(Serialize)]
struct SizeResult {
    state_bytes: u64,
    base_bytes: u64,
    chain_bytes: u64,
    modes: Vec<ModeResult>,
}

/// A name for people, and where the split has it.
type Part = (&'static str, fn(&Split) -> f64);

/// Restarts in one way, and a plain read of the same files after each.
#[derive(Serialize)]
struct ModeResult {
    restore: &'static str,
    cache: Cache,
    /// Restart by plain read, pair by pair.
    ratio: Spread,
    restarts: Vec<Split>,
    raw_read_ms: Vec<f64>,
}

/// Builds state of each size, kills the job, restarts it and prints where the time goes.
///
/// # Errors
///
/// The job's and the disk's; [`MeasureError::Memory`] if a state does not fit;
/// [`MeasureError::WrongRecord`] if a restart counted wrongly.
pub fn run(arguments: &RecoveryArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let sizes = match &arguments.sizes[..] {
        [] if arguments.sweep => ladder(available_bytes()),
        [] => vec![common.pick(STATE_BYTES_QUICK, STATE_BYTES)],
        given => given.to_vec(),
    };
    let largest = sizes.iter().copied().max().unwrap_or(STATE_BYTES_QUICK);
    if available_bytes() < MEMORY_FACTOR * largest {
        return Err(MeasureError::Memory {
            needed_bytes: MEMORY_FACTOR * largest,
            found_bytes: available_bytes(),
        });
    }
    let caches = match &arguments.cache[..] {
        [] => Cache::value_variants(),
        given => given,
    };
    let count = arguments.count.map_or(common.pick(3, 5), NonZeroU32::get);
    let plan = Plan { count, caches };
    common.preamble(sizes.iter().map(|size| plan.expected(*size)).sum(), out)?;
    let mut results = Vec::new();
    for state_bytes in sizes {
        results.push(measure_size(arguments, state_bytes, plan, out)?);
    }
    common.store("recovery", &RecoveryResult { sizes: results })
}

/// From 64 MiB on, four times as much each time, as far as memory allows.
fn ladder(available_bytes: u64) -> Vec<u64> {
    let mut sizes = vec![LADDER_BYTES_MIN];
    let most = available_bytes / MEMORY_FACTOR;
    while let Some(last) = sizes.last()
        && last * LADDER_STEP <= most
    {
        sizes.push(last * LADDER_STEP);
    }
    sizes
}

/// What is done with each size.
#[derive(Clone, Copy)]
struct Plan<'a> {
    count: u32,
    caches: &'a [Cache],
}

impl Plan<'_> {
    fn building(state_bytes: u64) -> Duration {
        Duration::from_secs_f64(1.0 + 25.0 * state_bytes as f64 / f64::from(1 << 30))
    }

    /// One mode in one state of the cache.
    fn restarting(&self, state_bytes: u64) -> Duration {
        let state_gib = state_bytes as f64 / f64::from(1 << 30);
        Duration::from_secs_f64(f64::from(self.count + 1) * (0.6 + 3.0 * state_gib))
    }

    fn expected(&self, state_bytes: u64) -> Duration {
        let cells = u32::try_from(Restore::ALL.len() * self.caches.len()).expect("a few");
        Self::building(state_bytes) + self.restarting(state_bytes) * cells
    }
}

fn measure_size(
    arguments: &RecoveryArguments,
    state_bytes: u64,
    plan: Plan<'_>,
    out: &mut impl Write,
) -> Result<SizeResult, MeasureError> {
    let scratch = Scratch::new(&arguments.common.dir, "recovery")?;
    let step = Step::begin(
        "building the state and its checkpoints",
        Plan::building(state_bytes),
    );
    let restarts = Restarts::build(state_bytes, &scratch.folder())?;
    drop(step);
    let (base_bytes, chain_bytes) = restarts.bytes();
    writeln!(
        out,
        "{} of 64-byte records, base image {}, chain of deltas {}; killed with SIGKILL after \
         checkpoint {}; layout: one shard and the helpers",
        Unit::Bytes.text(state_bytes),
        Unit::Bytes.text(base_bytes),
        Unit::Bytes.text(chain_bytes),
        restarts.checkpoint(),
    )?;
    let mut modes = Vec::new();
    for cache in plan.caches {
        if *cache == Cache::Cold && !restarts.evict()? {
            writeln!(
                out,
                "files cold: not to be had, this file system keeps them in memory"
            )?;
            continue;
        }
        for restore in Restore::ALL {
            let step = Step::begin(
                &format!("restarting, {}", restore.name()),
                plan.restarting(state_bytes),
            );
            let measured = measure(&restarts, restore, plan.count, *cache)?;
            drop(step);
            measured.print(restore, out)?;
            modes.push(measured);
        }
    }
    Ok(SizeResult {
        state_bytes,
        base_bytes,
        chain_bytes,
        modes,
    })
}

/// Restarts and reads in turn, after one unrecorded turn of both where files are warm.
fn measure(
    restarts: &Restarts,
    restore: Restore,
    count: u32,
    cache: Cache,
) -> Result<ModeResult, MeasureError> {
    let prepare = || match cache {
        Cache::Warm => Ok(true),
        Cache::Cold => restarts.evict(),
    };
    if cache == Cache::Warm {
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
        cache,
        ratio: Spread::of(ratios).expect("there is at least one restart"),
        restarts: splits,
        raw_read_ms,
    })
}

impl ModeResult {
    fn print(&self, restore: Restore, out: &mut impl Write) -> Result<(), MeasureError> {
        let (verified, base) = match restore {
            Restore::Eager => (
                "every byte is verified before the first record",
                "base image, read and verified",
            ),
            Restore::Mapped => (
                "the base is verified beside the first records",
                "base image, mapped",
            ),
        };
        let cache = match self.cache {
            Cache::Warm => "warm",
            Cache::Cold => "cold (out of the page cache; the program is in it)",
        };
        writeln!(out, "restore: {}, files {cache}; {verified}", self.restore)?;
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
            (base, |split| split.base_ms),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladder_ends_where_memory_does() {
        const MIB: u64 = 1 << 20;
        assert_eq!(ladder(0), [64 * MIB]);
        assert_eq!(ladder(4 << 30), [64 * MIB, 256 * MIB, 1024 * MIB]);
        assert_eq!(ladder((3 << 30) - 1), [64 * MIB, 256 * MIB]);
    }
}
