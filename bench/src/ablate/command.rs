//! The command `ablate`.

use super::ablation::{Ablation, wanted};
use super::cell::{Cells, MEASURES, Work, measure};
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, PairValue, PairedCell, Side};
use crate::progress::Step;
use crate::result::Spread;
use crate::scratch::Scratch;
use crate::text::units::grouped;
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroU64;
use std::time::Duration;

/// What p99.9 needs.
const SAMPLE_COUNT_MIN: u64 = 100_000;
const COLUMN: usize = 20;

/// The options of `ablate`.
#[derive(Clone, Debug, Args)]
pub struct AblateArguments {
    /// Only these, as prefetch,lines
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Records of 64 bytes [default: 4000000, or 500000 with --quick]
    #[arg(long, value_name = "N")]
    pub keys: Option<NonZeroU64>,
    /// Events a second for latency, bytes and time to durable
    #[arg(long, value_name = "N", default_value = "50000")]
    pub rate: NonZeroU64,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

#[derive(Serialize)]
struct AblateResult {
    key_count: u64,
    rate: u64,
    rows: Vec<Row>,
}

/// One mechanism.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    with: &'static str,
    without: &'static str,
    /// By field; none where the mechanism is not to be had on this machine.
    measures: Option<BTreeMap<&'static str, MeasureResult>>,
}

#[derive(Serialize)]
struct MeasureResult {
    with: Spread,
    without: Spread,
    /// Without by with, pair by pair: above one the mechanism wins.
    ratio: Spread,
    pairs: Vec<PairValue>,
    conditions: String,
}

/// Measures every mechanism against its absence and prints a line for each.
///
/// # Errors
///
/// The job's, or what keeps the output from being written; [`MeasureError::UnknownAblation`].
pub fn run(arguments: &AblateArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let ablations = wanted(&arguments.only)?;
    let key_count = arguments
        .keys
        .map_or(common.pick(500_000, 4_000_000), NonZeroU64::get);
    let work = work(arguments, key_count, PairPlan::new(common.quick));
    measure_all(arguments, &ablations, &work, out)
}

fn work(arguments: &AblateArguments, key_count: u64, plan: PairPlan) -> Work {
    let common = &arguments.common;
    let rate = arguments.rate.get() as f64;
    let samples = Duration::from_secs_f64(1.05 * SAMPLE_COUNT_MIN as f64 / rate);
    Work {
        key_count,
        rate,
        full_speed: Duration::from_secs(common.pick(1, 3)),
        fixed_rate: samples.max(Duration::from_secs(common.pick(2, 4))),
        warm_up: Duration::from_secs(common.pick(1, 3)),
        plan,
    }
}

fn measure_all(
    arguments: &AblateArguments,
    ablations: &[Ablation],
    work: &Work,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let each = expected(work);
    let count = u32::try_from(ablations.len()).expect("a few");
    common.preamble(each * count, out)?;
    print_head(work, ablations, out)?;
    let scratch = Scratch::new(&common.dir, "ablate")?;
    let mut rows = Vec::new();
    for ablation in ablations {
        let step = Step::begin(&format!("measuring {}", ablation.name), each);
        let cells = measure(ablation, work, &scratch)?;
        drop(step);
        writeln!(out, "{}", line(ablation, cells.as_ref()))?;
        out.flush()?;
        rows.push(Row {
            name: ablation.name,
            with: ablation.with,
            without: ablation.without,
            measures: cells.map(results),
        });
    }
    let result = AblateResult {
        key_count: work.key_count,
        rate: arguments.rate.get(),
        rows,
    };
    common.store("ablate", &result)
}

/// Of one ablation.
fn expected(work: &Work) -> Duration {
    let turns = 2 * (u32::try_from(work.plan.pair_count).expect("a few") + 1);
    let filling = Duration::from_secs_f64(work.key_count as f64 * 2e-6 + 2.0);
    turns * (work.full_speed + work.fixed_rate + Duration::from_millis(500))
        + 2 * (filling + work.warm_up)
}

fn print_head(
    work: &Work,
    ablations: &[Ablation],
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    writeln!(
        out,
        "{} uniform keys, 64-byte records, checkpoints every 100 ms; one shard and the helpers; \
         CPU at full speed, the rest at {} events/s; {} pairs in turn",
        grouped(work.key_count),
        work.rate,
        work.plan.pair_count
    )?;
    for ablation in ablations {
        let Ablation {
            name,
            with,
            without,
            ..
        } = ablation;
        writeln!(out, "  {name:<11} {with}; without: {without}")?;
    }
    writeln!(
        out,
        "without / with, median [least, largest]: above one the mechanism wins"
    )?;
    let mut head = format!("{:<11}", "");
    for measure in MEASURES {
        head.push_str(&format!(" {:>COLUMN$}", measure.title));
    }
    writeln!(out, "{head}")?;
    Ok(())
}

fn line(ablation: &Ablation, cells: Option<&Cells>) -> String {
    let mut line = format!("{:<11}", ablation.name);
    let Some(cells) = cells else {
        return line + " not to be had on this machine; see doctor";
    };
    for cell in cells {
        let Spread { median, min, max } = cell.ratio();
        let text = format!("{median:.2} [{min:.2}, {max:.2}]");
        line.push_str(&format!(" {text:>COLUMN$}"));
    }
    if cells.iter().any(PairedCell::is_noisy) {
        line.push_str("  noisy");
    }
    line
}

fn results(cells: Cells) -> BTreeMap<&'static str, MeasureResult> {
    let results = MEASURES.iter().zip(cells).map(|(measure, cell)| {
        let result = MeasureResult {
            with: cell.side(Side::B),
            without: cell.side(Side::A),
            ratio: cell.ratio(),
            conditions: cell.conditions(),
            pairs: cell.pairs,
        };
        (measure.field, result)
    });
    results.collect()
}

#[cfg(test)]
mod tests {
    use super::super::ablation::{ABLATIONS, Setup};
    use super::super::cell::keyed_job;
    use super::*;

    fn ablation(name: &str) -> Ablation {
        wanted(&[name.to_owned()]).unwrap().remove(0)
    }

    #[test]
    fn table_has_a_line_for_each_and_stores_its_pairs() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = AblateArguments {
            only: Vec::new(),
            keys: None,
            rate: NonZeroU64::new(20_000).unwrap(),
            common: CommonArguments::in_folder(folder.path()),
        };
        let plan = PairPlan::brief(1);
        let work = Work {
            full_speed: Duration::from_millis(20),
            fixed_rate: Duration::from_millis(100),
            warm_up: Duration::from_millis(10),
            ..work(&arguments, 1_000, plan)
        };
        let mut out = Vec::new();
        measure_all(&arguments, &[ablation("lines")], &work, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.lines().any(|line| line.starts_with("lines ")),
            "{text}"
        );
        let row = arguments.common.stored()["rows"][0].take();
        for measure in MEASURES {
            let found = &row["measures"][measure.field];
            assert_eq!(found["pairs"].as_array().unwrap().len(), 1, "{found}");
        }
        // 5,000 events a second and more, of a thousand keys: every record between checkpoints.
        let bytes = row["measures"]["checkpoint_bytes"]["with"]["median"].as_f64();
        assert!(bytes.unwrap() > 0.0);
    }

    /// What one checkpoint of `job` did after every record was changed once.
    fn after_a_checkpoint(setup: Setup, key_count: u64, advance: u64) -> (u64, u64) {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path(), "job").unwrap();
        let job = keyed_job(setup, key_count, &scratch).unwrap();
        job.advance(advance).unwrap();
        let before = job.statistics().capture_slice.len();
        let bytes = job.checkpoint().unwrap().bytes;
        let slices = job.statistics().capture_slice.len() - before;
        job.stop().unwrap();
        (slices, bytes)
    }

    #[test]
    fn without_pacing_a_capture_is_one_slice() {
        // About 1.3 MiB of lines, in slices of 16 KiB.
        let (paced, _) = after_a_checkpoint(Setup::default(), 20_000, 100_000);
        let (unpaced, _) = after_a_checkpoint(ablation("pacing").without(), 20_000, 100_000);
        assert!(paced > 40, "{paced} slices");
        assert_eq!(unpaced, 1);
    }

    #[test]
    fn without_lines_a_checkpoint_holds_whole_pages() {
        let (_, lines) = after_a_checkpoint(Setup::default(), 20_000, 50);
        let (_, pages) = after_a_checkpoint(ablation("lines").without(), 20_000, 50);
        assert!(pages > 10 * lines, "{pages} and {lines} bytes");
    }

    #[test]
    fn every_side_runs_and_counts_the_same() {
        for ablation in ABLATIONS {
            let folder = tempfile::tempdir().unwrap();
            let scratch = Scratch::new(folder.path(), "job").unwrap();
            let job = keyed_job(ablation.without(), 500, &scratch).unwrap();
            assert_eq!(job.advance(500).unwrap(), 500..1_000, "{}", ablation.name);
            assert!(job.checkpoint().unwrap().bytes > 0, "{}", ablation.name);
            if ablation.needs_glommio {
                assert_eq!(job.driver(), "thread");
            }
            job.stop().unwrap();
        }
    }
}
