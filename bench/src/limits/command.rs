//! The command `limits`.

use super::disk::{self, DiskLimits};
use super::{crc, memory, ping_pong};
use crate::common::CommonArguments;
use crate::machine::Machine;
use crate::measure_error::MeasureError;
use crate::probe::cpus::{cpus, on_cpu};
use crate::probe::hiccups::Hiccups;
use crate::probe::steal::MachineTicks;
use crate::progress::Step;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Where the third-level cache's size is not known.
const L3_BYTES_DEFAULT: usize = 32 << 20;

/// The options of `limits`.
#[derive(Clone, Debug, Args)]
pub struct LimitsArguments {
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// What one CPU takes from a bare loop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuHiccups {
    /// The system's number of the CPU.
    pub cpu: usize,
    /// Part of the time in gaps over 1 us, in percent.
    pub lost_percent: f64,
    /// How long an arrival at a random instant waits, at p99, in us.
    pub delay_p99_us: f64,
    /// At p99.9.
    pub delay_p999_us: f64,
    /// The longest gap, in us.
    pub gap_max_us: f64,
}

/// The floor of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitsResult {
    /// For each CPU.
    pub hiccups: Vec<CpuHiccups>,
    /// Stolen time meanwhile, in percent.
    pub stolen_percent: f64,
    /// The third-level cache, in bytes.
    pub l3_bytes: usize,
    /// Copying 4 KiB within the cache, in ns.
    pub copy_hot_ns: f64,
    /// Copying 4 KiB from random places of eight times the third-level cache, in ns.
    pub copy_cold_ns: f64,
    /// A dependent random read in a quarter of the third-level cache, in ns.
    pub read_in_cache_ns: f64,
    /// A dependent random read in eight times the third-level cache, in ns.
    pub read_beyond_cache_ns: f64,
    /// CRC-32 of a hot page, in ns.
    pub crc_page_ns: f64,
    /// Median half round trip between two cores, in ns; none with one core.
    pub hop_ns: Option<f64>,
    /// The disk.
    pub disk: DiskLimits,
}

/// Measures the floor of this machine and prints it.
///
/// # Errors
///
/// [`MeasureError`] if the disk, the result file or the output cannot be used.
pub fn run(arguments: &LimitsArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let expected = Duration::from_secs(common.pick(5, 25));
    common.preamble(expected, out)?;
    let step = Step::begin("measuring the floor of this machine", expected);
    let result = measure(&common.dir, common.quick)?;
    drop(step);
    print(&result, &Machine::read(&common.dir), out)?;
    common.store("limits", &result)
}

/// Measures the floor of this machine with checkpoints going to `directory`.
///
/// # Errors
///
/// [`MeasureError`] if the disk cannot be used.
pub fn measure(directory: &Path, quick: bool) -> Result<LimitsResult, MeasureError> {
    let ticks = MachineTicks::now();
    let hiccups = hiccups(Duration::from_millis(if quick { 500 } else { 5_000 }));
    let l3_bytes = l3_bytes().unwrap_or(L3_BYTES_DEFAULT);
    let count = if quick { 200_000 } else { 2_000_000 };
    let hops = ping_pong::half_round_trips(if quick { 2_000 } else { 20_000 });
    let disk_bytes: u64 = if quick { 64 << 20 } else { 512 << 20 };
    let disk = disk::measure(directory, disk_bytes, if quick { 20 } else { 100 })?;
    Ok(on_cpu(0, || LimitsResult {
        hiccups,
        l3_bytes,
        copy_hot_ns: memory::copy_hot_ns(count),
        copy_cold_ns: memory::copy_cold_ns(8 * l3_bytes, count),
        read_in_cache_ns: memory::dependent_read_ns(l3_bytes / 4, count),
        read_beyond_cache_ns: memory::dependent_read_ns(8 * l3_bytes, count),
        crc_page_ns: crc::crc_page_ns(count),
        hop_ns: hops.map(|hops| hops.value_at_quantile(0.5) as f64 / 10.0),
        disk,
        stolen_percent: MachineTicks::now().stolen_since(ticks) * 100.0,
    }))
}

fn hiccups(duration: Duration) -> Vec<CpuHiccups> {
    let all = Hiccups::of_all(duration);
    let of_cpu = |(index, hiccups): (usize, &Hiccups)| CpuHiccups {
        cpu: cpus().get(index).copied().unwrap_or(index),
        lost_percent: hiccups.lost_part() * 100.0,
        delay_p99_us: hiccups.delay_ns(0.99) / 1e3,
        delay_p999_us: hiccups.delay_ns(0.999) / 1e3,
        gap_max_us: hiccups.gaps.max() as f64 / 1e3,
    };
    all.iter().enumerate().map(of_cpu).collect()
}

/// The size of the third-level cache; `None` where the system does not say.
#[must_use]
fn l3_bytes() -> Option<usize> {
    let path = "/sys/devices/system/cpu/cpu0/cache/index3/size";
    let text = fs::read_to_string(path).ok()?;
    let kibibytes: usize = text.trim().strip_suffix('K')?.parse().ok()?;
    Some(kibibytes << 10)
}

fn print(
    result: &LimitsResult,
    machine: &Machine,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    for cpu in &result.hiccups {
        writeln!(
            out,
            "cpu {:<3}  {:.2} % in gaps over 1 us; a random arrival waits p99 {:.1} us, \
             p99.9 {:.1} us; longest gap {:.0} us",
            cpu.cpu, cpu.lost_percent, cpu.delay_p99_us, cpu.delay_p999_us, cpu.gap_max_us
        )?;
    }
    writeln!(
        out,
        "stolen by the host       {:>9.2} %",
        result.stolen_percent
    )?;
    let mebibytes = (result.l3_bytes >> 20).to_string();
    let rows = [
        ("copy 4 KiB, hot", result.copy_hot_ns),
        ("copy 4 KiB, cold", result.copy_cold_ns),
        ("random read in L3", result.read_in_cache_ns),
        ("random read beyond L3", result.read_beyond_cache_ns),
        ("CRC of a hot page", result.crc_page_ns),
        ("core to core, one way", result.hop_ns.unwrap_or(f64::NAN)),
    ];
    for (name, ns) in rows {
        writeln!(out, "{name:<24} {ns:>9.1} ns")?;
    }
    let disk = &result.disk;
    let file_system = machine.file_system.as_deref().unwrap_or("unknown");
    for (name, bytes_per_second) in [
        ("mapped windows", disk.mapped_bytes_per_second),
        ("direct I/O", disk.direct_bytes_per_second),
        ("plain writes", disk.plain_bytes_per_second),
    ] {
        let megabytes = bytes_per_second / 1e6;
        writeln!(
            out,
            "disk ({file_system}), {name:<14} {megabytes:>7.0} MB/s"
        )?;
    }
    writeln!(
        out,
        "sync after 4 KiB         {:>9.0} us",
        disk.small_sync_us
    )?;
    writeln!(out, "publish a small file     {:>9.0} us", disk.publish_us)?;
    writeln!(
        out,
        "(L3 {mebibytes} MiB; memory and CRC on one pinned core)"
    )?;
    if machine.is_tmpfs {
        writeln!(
            out,
            "the folder lies in memory: these are no figures of a disk"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_run_prints_every_figure_and_its_json_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = LimitsArguments {
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for figure in [
            "cpu ",
            "copy 4 KiB, cold",
            "beyond L3",
            "CRC",
            "mapped windows",
            "direct I/O",
            "publish",
        ] {
            assert!(text.contains(figure), "{figure} is missing in {text}");
        }
        let read: LimitsResult = serde_json::from_value(arguments.common.stored()).unwrap();
        assert!(read.read_beyond_cache_ns >= 1.0 && !read.hiccups.is_empty());
    }
}
