//! The command `ratios`.

use super::bound::{BOUNDS, bound};
use super::ratio::Ratio;
use super::setting::Setting;
use super::{
    g01_throughput, g03_checkpointing, g05_freeze, g09_bytes, g12_hop, g13_growth, g15_memory,
    g16_faults,
};
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::progress::Step;
use crate::result::write_json;
use clap::Args;
use std::io::Write;
use std::time::{Duration, Instant};

/// The options of `ratios`.
#[derive(Clone, Debug, Args)]
pub struct RatiosArguments {
    /// Only these, as G1,G6
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

type Measure = fn(&Setting, &[&str]) -> Result<Vec<Ratio>, MeasureError>;

/// Ratios that are measured together.
struct Group {
    ids: &'static [&'static str],
    /// Expected duration, quick and full.
    seconds: (u64, u64),
    measure: Measure,
}

const GROUPS: [Group; 9] = [
    Group {
        ids: &["G1"],
        seconds: (22, 70),
        measure: |setting, _| one(g01_throughput::measure(setting, "G1", 10_000_000)),
    },
    Group {
        ids: &["G2"],
        seconds: (18, 60),
        measure: |setting, _| one(g01_throughput::measure(setting, "G2", 100_000)),
    },
    Group {
        ids: &["G3", "G4"],
        seconds: (120, 300),
        measure: checkpointing,
    },
    Group {
        ids: &["G5"],
        seconds: (60, 60),
        measure: |setting, _| one(g05_freeze::tail(setting)),
    },
    Group {
        ids: &["G6"],
        seconds: (60, 240),
        measure: |setting, _| one(g05_freeze::by_size(setting)),
    },
    Group {
        ids: &["G9"],
        seconds: (10, 40),
        measure: |setting, _| one(g09_bytes::measure(setting)),
    },
    Group {
        ids: &["G12"],
        seconds: (5, 15),
        measure: |setting, _| one(g12_hop::measure(setting)),
    },
    Group {
        ids: &["G13"],
        seconds: (10, 60),
        measure: |setting, _| one(g13_growth::measure(setting)),
    },
    Group {
        ids: &["G15", "G16"],
        seconds: (50, 180),
        measure: memory,
    },
];

/// Ratios without a measurement of their own, and why.
const MISSING: [(&str, &str); 5] = [
    (
        "G7",
        "not measured by this version: run `latency --checkpoint 1s` and `--checkpoint off`",
    ),
    (
        "G8",
        "not measured by this version: run `latency --checkpoint 100ms` and `--checkpoint off`",
    ),
    ("G10", "not measured by this version"),
    (
        "G11",
        "not measured by this version: write pacing cannot be switched off yet",
    ),
    (
        "G14",
        "not measured by this version: there is no mapped recovery yet",
    ),
];

/// Measures the ratios and prints a line for each as soon as it is known.
///
/// # Errors
///
/// [`MeasureError`] for an unknown ratio, or if the output or result file cannot be written. A
/// ratio that fails has no value, and its note says why.
pub fn run(arguments: &RatiosArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let wanted = wanted(&arguments.only)?;
    let common = &arguments.common;
    let setting = Setting::new(&common.dir, common.quick)?;
    print_plan(arguments, &wanted, out)?;
    let mut ratios = Vec::new();
    for group in &GROUPS {
        let ids: Vec<&str> = group
            .ids
            .iter()
            .copied()
            .filter(|id| wanted.contains(id))
            .collect();
        if ids.is_empty() {
            continue;
        }
        let expected = Duration::from_secs(seconds(group, setting.quick));
        let step = Step::begin(&format!("measuring {}", ids.join(" and ")), expected);
        let begun = Instant::now();
        let measured = measure(group, &setting, &ids);
        drop(step);
        for ratio in measured {
            writeln!(out, "{}", ratio.line())?;
            ratios.push(ratio);
        }
        writeln!(out, "     ({:.0} s)", begun.elapsed().as_secs_f64())?;
    }
    for (id, reason) in MISSING.iter().filter(|(id, _)| wanted.contains(id)) {
        let ratio = Ratio::none(id, *reason);
        writeln!(out, "{}", ratio.line())?;
        ratios.push(ratio);
    }
    ratios.sort_by_key(|ratio| BOUNDS.iter().position(|bound| bound.id == ratio.id));
    if let Some(path) = &common.json {
        write_json(path, &ratios)?;
    }
    Ok(())
}

/// A failed measurement takes only its own ratios with it.
fn measure(group: &Group, setting: &Setting, ids: &[&str]) -> Vec<Ratio> {
    (group.measure)(setting, ids).unwrap_or_else(|error| {
        let failed = ids.iter();
        failed
            .map(|id| Ratio::none(id, format!("failed: {error}")))
            .collect()
    })
}

fn wanted(only: &[String]) -> Result<Vec<&'static str>, MeasureError> {
    if only.is_empty() {
        return Ok(BOUNDS.iter().map(|bound| bound.id).collect());
    }
    only.iter()
        .map(|id| {
            let known = bound(id.trim()).map(|bound| bound.id);
            known.ok_or_else(|| MeasureError::UnknownRatio { found: id.clone() })
        })
        .collect()
}

fn print_plan(
    arguments: &RatiosArguments,
    wanted: &[&str],
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let groups = GROUPS.iter();
    let seconds: u64 = groups
        .filter(|group| group.ids.iter().any(|id| wanted.contains(id)))
        .map(|group| seconds(group, common.quick))
        .sum();
    common.preamble(Duration::from_secs(seconds), out)?;
    for bound in BOUNDS.iter().filter(|bound| wanted.contains(&bound.id)) {
        writeln!(out, "  {:<4} {}", bound.id, bound.what)?;
    }
    Ok(())
}

fn seconds(group: &Group, quick: bool) -> u64 {
    if quick {
        group.seconds.0
    } else {
        group.seconds.1
    }
}

fn one(ratio: Result<Ratio, MeasureError>) -> Result<Vec<Ratio>, MeasureError> {
    Ok(vec![ratio?])
}

fn checkpointing(setting: &Setting, ids: &[&str]) -> Result<Vec<Ratio>, MeasureError> {
    let jobs = g03_checkpointing::Jobs::start(setting)?;
    let mut ratios = Vec::new();
    for id in ids {
        let interval = if *id == "G3" { 1_000 } else { 100 };
        ratios.push(jobs.measure(setting, id, Duration::from_millis(interval))?);
    }
    jobs.stop(setting)?;
    Ok(ratios)
}

fn memory(setting: &Setting, ids: &[&str]) -> Result<Vec<Ratio>, MeasureError> {
    let ratios = ids.iter().map(|id| match *id {
        "G15" => g15_memory::measure(setting),
        _ => g16_faults::measure(setting),
    });
    ratios.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ratio_is_measured_once_or_says_why_not() {
        let mut ids: Vec<&str> = GROUPS.iter().flat_map(|group| group.ids).copied().collect();
        ids.extend(MISSING.iter().map(|(id, _)| *id));
        ids.sort_by_key(|id| BOUNDS.iter().position(|bound| bound.id == *id));
        assert_eq!(ids, BOUNDS.map(|bound| bound.id));
    }

    #[test]
    fn only_takes_known_ratios() {
        let only =
            |ids: &[&str]| wanted(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(only(&["g6", " G1"]).unwrap(), ["G6", "G1"]);
        assert!(matches!(
            only(&["G99"]),
            Err(MeasureError::UnknownRatio { .. })
        ));
    }

    #[test]
    fn result_is_an_array_in_the_order_of_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = RatiosArguments {
            only: vec!["G14".into(), "G10".into()],
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        assert!(
            String::from_utf8(out)
                .unwrap()
                .starts_with("expected duration: about 0s\n")
        );
        let ratios: Vec<Ratio> = serde_json::from_value(arguments.common.stored()).unwrap();
        let ids: Vec<_> = ratios.iter().map(|ratio| &ratio.id[..]).collect();
        assert_eq!(ids, ["G10", "G14"]);
    }
}
