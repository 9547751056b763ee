//! The command `baselines`.

use super::bare::{BareMap, BareTable};
use super::contestant::Contestant;
use super::flow::WholeFlow;
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, is_noisy};
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::steal::MachineTicks;
use crate::progress::Step;
use crate::result::Spread;
use crate::scratch::Scratch;
use crate::text::units::{grouped, per_second};
use crate::workload::Keys;
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

const KEYS_MAX: u64 = 100_000_000;

/// The options of `baselines`.
#[derive(Clone, Debug, Args)]
pub struct BaselinesArguments {
    /// Distinct keys [default: 10000000, or 1000000 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=KEYS_MAX))]
    pub keys: Option<u64>,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

#[derive(Serialize)]
struct BaselinesResult {
    key_count: u64,
    /// Those that this program was built without.
    left_out: Vec<&'static str>,
    floor_p999_ns: [f64; 2],
    stolen_part: f64,
    rows: Vec<Row>,
}

/// One contestant.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Worker and helpers together.
    cpu_ns_per_event: Spread,
    events_per_second: Spread,
    /// CPU time by that of Frazil's flow with checkpoints, round by round.
    ratio: Spread,
}

/// Measures all contestants in turn and prints a line for each.
///
/// # Errors
///
/// The contestants', or what keeps the output from being written.
pub fn run(arguments: &BaselinesArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let plan = PairPlan::new(arguments.common.quick);
    let turn = Duration::from_secs(arguments.common.pick(1, 3));
    measure(arguments, plan, turn, out)
}

fn measure(
    arguments: &BaselinesArguments,
    plan: PairPlan,
    turn: Duration,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let key_count = arguments.keys.unwrap_or(common.pick(1_000_000, 10_000_000));
    let rounds = u32::try_from(plan.pair_count).expect("a few") + 1;
    let filling = Duration::from_secs_f64(key_count as f64 * 6e-6 + 3.0);
    common.preamble(filling + turn * 6 * rounds, out)?;
    writeln!(
        out,
        "count of {} uniform keys, 16-byte records, one worker on the first core; {} turns of \
         {:.1} s each, one after the other",
        grouped(key_count),
        plan.pair_count,
        turn.as_secs_f64()
    )?;
    for name in LEFT_OUT {
        writeln!(
            out,
            "{name} is left out: build with --features {}",
            name.to_lowercase()
        )?;
    }
    let scratch = Scratch::new(&common.dir, "baselines")?;
    let step = Step::begin("filling all of them", filling);
    let mut contestants = contestants(Keys::new(key_count), &scratch)?;
    drop(step);
    let step = Step::begin("measuring in turn", turn * 6 * rounds);
    let floor_before = floor_ns(&Hiccups::of_all(plan.floor_time));
    let ticks = MachineTicks::now();
    let rows = measure_rounds(&mut contestants, plan, turn)?;
    let stolen_part = MachineTicks::now().stolen_since(ticks);
    let floor_p999_ns = [floor_before, floor_ns(&Hiccups::of_all(plan.floor_time))];
    drop(step);
    print(&rows, out)?;
    if is_noisy(floor_p999_ns, stolen_part) {
        writeln!(out, "NOISY: the machine was busy with something else")?;
    }
    let result = BaselinesResult {
        key_count,
        left_out: LEFT_OUT.to_vec(),
        floor_p999_ns,
        stolen_part,
        rows,
    };
    common.store("baselines", &result)
}

/// By the features of this program.
const LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "timely"))]
    "timely",
    #[cfg(not(feature = "rocksdb"))]
    "RocksDB",
];

/// The first one is what the others are compared with.
fn contestants(keys: Keys, scratch: &Scratch) -> Result<Vec<Box<dyn Contestant>>, MeasureError> {
    Ok(vec![
        Box::new(WholeFlow::new(keys, Some(scratch.folder()))?),
        Box::new(WholeFlow::new(keys, None)?),
        Box::new(BareTable::new(keys)?),
        Box::new(BareMap::new(keys)),
        #[cfg(feature = "timely")]
        Box::new(super::timely_count::TimelyCount::new(keys)),
        #[cfg(feature = "rocksdb")]
        Box::new(super::rocks::RocksCount::new(keys, &scratch.folder())?),
    ])
}

/// One unrecorded round, then all of the plan.
fn measure_rounds(
    contestants: &mut [Box<dyn Contestant>],
    plan: PairPlan,
    turn: Duration,
) -> Result<Vec<Row>, MeasureError> {
    let mut rounds = Vec::new();
    for _ in 0..=plan.pair_count {
        let turns = contestants
            .iter_mut()
            .map(|contestant| contestant.turn(turn));
        rounds.push(turns.collect::<Result<Vec<_>, _>>()?);
    }
    rounds.remove(0);
    let spread = |values: Vec<f64>| Spread::of(values).expect("there is at least one round");
    let rows = contestants.iter().enumerate().map(|(index, contestant)| {
        let cpu_ns = rounds.iter().map(|round| round[index].cpu_ns_per_event());
        let rates = rounds
            .iter()
            .map(|round| round[index].events as f64 / round[index].seconds);
        let ratios = rounds
            .iter()
            .map(|round| round[index].cpu_ns_per_event() / round[0].cpu_ns_per_event());
        Row {
            name: contestant.name(),
            cpu_ns_per_event: spread(cpu_ns.collect()),
            events_per_second: spread(rates.collect()),
            ratio: spread(ratios.collect()),
        }
    });
    Ok(rows.collect())
}

fn print(rows: &[Row], out: &mut impl Write) -> Result<(), MeasureError> {
    writeln!(
        out,
        "{:<42} {:>24} {:>20}   CPU by the first line's",
        "", "CPU ns an event, helpers", "events"
    )?;
    for row in rows {
        let (cpu, ratio) = (row.cpu_ns_per_event, row.ratio);
        writeln!(
            out,
            "{:<42} {:>24} {:>20}   {:.2} [{:.2}, {:.2}]",
            row.name,
            format!("{:.1} [{:.1}, {:.1}]", cpu.median, cpu.min, cpu.max),
            per_second(row.events_per_second.median, "events"),
            ratio.median,
            ratio.min,
            ratio.max,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contestant_has_a_line_and_the_first_one_is_the_measure() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = BaselinesArguments {
            keys: Some(1_000),
            common: CommonArguments::in_folder(folder.path()),
        };
        let plan = PairPlan::brief(1);
        let mut out = Vec::new();
        measure(&arguments, plan, Duration::from_millis(20), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("hashbrown alone"), "{text}");
        let stored = arguments.common.stored();
        let rows = stored["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 6 - LEFT_OUT.len());
        assert_eq!(rows[0]["ratio"]["median"], 1.0);
        for row in rows {
            assert!(
                row["events_per_second"]["median"].as_f64().unwrap() > 0.0,
                "{row}"
            );
        }
    }
}
