//! The command `state`.

use super::growth::{map_growth, table_growth};
use super::{Access, BLOCK, MapSide, Operation, TableSide};
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, PairedCell, Side, measure_pairs};
use crate::probe::cpus::on_cpu;
use crate::probe::threads::own_cpu_ns;
use crate::progress::Step;
use crate::result::Spread;
use crate::text::units::grouped;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;

/// The options of `state`.
#[derive(Clone, Debug, Args)]
pub struct StateArguments {
    /// Numbers of keys [default: 100000 1000000 10000000]
    #[arg(
        long,
        value_name = "N",
        num_args = 1..,
        value_parser = clap::value_parser!(u64).range(1..=100_000_000)
    )]
    pub keys: Vec<u64>,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// What is stored.
#[derive(Serialize)]
struct StateResult {
    rows: Vec<StateRow>,
}

/// One line of the result; times in ns an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateRow {
    /// What was done.
    pub operation: String,
    /// With how many keys.
    pub key_count: u64,
    /// Frazil's table.
    pub table_ns: Spread,
    /// The bare map.
    pub map_ns: Spread,
    /// Table by map, pair by pair: below one the table is faster.
    pub ratio: Spread,
    /// How quiet the machine was.
    pub conditions: String,
}

/// Measures the tables and prints a line for each operation.
///
/// # Errors
///
/// [`MeasureError`] if a table fails, or the output or result file cannot be written.
pub fn run(arguments: &StateArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let key_counts = match &arguments.keys[..] {
        [] => &[100_000, 1_000_000, 10_000_000],
        given => given,
    };
    let common = &arguments.common;
    let quick = common.quick;
    let keys: u64 = key_counts.iter().sum();
    let expected =
        |keys: u64| Duration::from_secs_f64(keys as f64 * common.pick(1.7e-6, 2.7e-6) + 2.0);
    common.preamble(expected(keys), out)?;
    writeln!(
        out,
        "16-byte records, uniform keys in blocks of {BLOCK} or one at a time (the next key waits for\n\
         the value of the one before), one pinned core, pairs in turn;\n\
         CPU ns an operation: Frazil's table, hashbrown with fx hash, and their ratio [least, \
         largest]"
    )?;
    let mut rows = Vec::new();
    for key_count in key_counts {
        let what = format!("{} keys", grouped(*key_count));
        let step = Step::begin(&what, expected(*key_count));
        let mut found = operations(*key_count, quick)?;
        found.push(growth(*key_count, quick)?);
        drop(step);
        for row in found {
            print(&row, out)?;
            rows.push(row);
        }
    }
    common.store("state", &StateResult { rows })
}

fn operations(key_count: u64, quick: bool) -> Result<Vec<StateRow>, MeasureError> {
    let keys = crate::workload::Keys::new(key_count);
    let block_count = if quick { 8_000 } else { 60_000 };
    on_cpu(0, || {
        let mut table = TableSide::populated(keys)?;
        let mut map = MapSide::populated(keys);
        let mut rows = Vec::new();
        for (name, operation, access) in [
            ("get, one at a time", Operation::Get, Access::Single),
            ("get", Operation::Get, Access::Block),
            ("get, announced", Operation::Get, Access::Announced),
            ("update, one at a time", Operation::Update, Access::Single),
            ("update", Operation::Update, Access::Block),
            ("update, announced", Operation::Update, Access::Announced),
        ] {
            let is_single = access == Access::Single;
            // Each waits for memory.
            let block_count = if is_single {
                block_count / 4
            } else {
                block_count
            };
            let cell = measure_pairs(PairPlan::new(quick), |side| {
                let begun = own_cpu_ns();
                let done = match side {
                    Side::A => table.run(operation, access, block_count)?,
                    Side::B if is_single => {
                        map.run_single(operation, u64::from(block_count) * BLOCK as u64)
                    }
                    Side::B => map.run(operation, block_count),
                };
                Ok::<_, MeasureError>((own_cpu_ns() - begun) as f64 / done as f64)
            })?;
            rows.push(row(name, key_count, &cell));
        }
        Ok(rows)
    })
}

fn growth(key_count: u64, quick: bool) -> Result<StateRow, MeasureError> {
    on_cpu(0, || {
        let cell = measure_pairs(PairPlan::new(quick), |side| {
            Ok::<_, MeasureError>(match side {
                Side::A => table_growth(0, key_count)?.mean_ns,
                Side::B => map_growth(0, key_count).mean_ns,
            })
        })?;
        Ok(row("insert, growing, with clock", key_count, &cell))
    })
}

fn row(operation: &str, key_count: u64, cell: &PairedCell) -> StateRow {
    StateRow {
        operation: operation.to_owned(),
        key_count,
        table_ns: cell.side(Side::A),
        map_ns: cell.side(Side::B),
        ratio: cell.ratio(),
        conditions: cell.conditions(),
    }
}

fn print(row: &StateRow, out: &mut impl Write) -> Result<(), MeasureError> {
    let ratio = &row.ratio;
    writeln!(
        out,
        "{:>11} keys  {:<28} {:>7.1} {:>7.1}   {:.2} [{:.2}, {:.2}]{}",
        grouped(row.key_count),
        row.operation,
        row.table_ns.median,
        row.map_ns.median,
        ratio.median,
        ratio.min,
        ratio.max,
        if row.conditions.starts_with("NOISY") {
            "  noisy"
        } else {
            ""
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_line_and_an_entry() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = StateArguments {
            keys: vec![2_000],
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 12);
        let rows = arguments.common.stored()["rows"].take();
        let rows: Vec<StateRow> = serde_json::from_value(rows).unwrap();
        assert_eq!(rows.len(), 7);
        assert!(
            rows.iter()
                .all(|row| row.table_ns.median > 0.0 && row.key_count == 2_000)
        );
    }
}
