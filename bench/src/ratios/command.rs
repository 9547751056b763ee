//! The command `ratios`.

use super::bound::{BOUNDS, bound};
use super::ratio::Ratio;
use super::setting::Setting;
use super::{
    g01_throughput, g03_checkpointing, g05_freeze, g07_latency, g09_bytes, g10_bandwidth, g12_hop,
    g13_growth, g14_recovery, g15_memory, g16_faults,
};
use crate::common::CommonArguments;
use crate::html::of_ratios;
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

const GROUPS: [Group; 13] = [
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
        seconds: (55, 300),
        measure: checkpointing,
    },
    Group {
        ids: &["G5"],
        seconds: (33, 60),
        measure: |setting, _| one(g05_freeze::tail(setting)),
    },
    Group {
        ids: &["G6"],
        seconds: (32, 240),
        measure: |setting, _| one(g05_freeze::by_size(setting)),
    },
    Group {
        ids: &["G7", "G8"],
        seconds: (85, 180),
        measure: latency,
    },
    Group {
        ids: &["G9"],
        seconds: (3, 40),
        measure: |setting, _| one(g09_bytes::measure(setting)),
    },
    Group {
        ids: &["G10"],
        seconds: (7, 120),
        measure: |setting, _| one(g10_bandwidth::bandwidth_ratio(setting)),
    },
    Group {
        ids: &["G11"],
        seconds: (4, 40),
        measure: |setting, _| one(g10_bandwidth::time_to_durable(setting)),
    },
    Group {
        ids: &["G12"],
        seconds: (2, 15),
        measure: |setting, _| one(g12_hop::measure(setting)),
    },
    Group {
        ids: &["G13"],
        seconds: (7, 60),
        measure: |setting, _| one(g13_growth::measure(setting)),
    },
    Group {
        ids: &["G14"],
        seconds: (8, 60),
        measure: |setting, _| one(g14_recovery::measure(setting)),
    },
    Group {
        ids: &["G15", "G16"],
        seconds: (43, 180),
        measure: memory,
    },
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
    let ratios = in_order(ratios);
    if let Some(path) = &common.json {
        write_json(path, &ratios)?;
    }
    let page = of_ratios(&ratios, &setting.into_kept());
    common.write_page(&page, out)
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

/// In the order of the table.
fn in_order(mut ratios: Vec<Ratio>) -> Vec<Ratio> {
    ratios.sort_by_key(|ratio| BOUNDS.iter().position(|bound| bound.id == ratio.id));
    ratios
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

fn latency(setting: &Setting, ids: &[&str]) -> Result<Vec<Ratio>, MeasureError> {
    let Some(mut job) = g07_latency::HalfLoad::start(setting)? else {
        let none = |id: &&str| Ratio::none(id, "no rate is sustained on this machine");
        return Ok(ids.iter().map(none).collect());
    };
    let mut ratios = Vec::new();
    for id in ids {
        let interval = if *id == "G7" { 1_000 } else { 100 };
        ratios.push(job.measure(setting, id, Duration::from_millis(interval))?);
    }
    job.stop(setting)?;
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
    fn every_ratio_is_measured_once() {
        let mut ids: Vec<&str> = GROUPS.iter().flat_map(|group| group.ids).copied().collect();
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
        let common = CommonArguments::in_folder(folder.path());
        let ratios = ["G14", "G2", "G10"].map(|id| Ratio::none(id, "not wanted"));
        let sorted = in_order(ratios.to_vec());
        write_json(common.json.as_ref().unwrap(), &sorted).unwrap();
        let read: Vec<Ratio> = serde_json::from_value(common.stored()).unwrap();
        let ids: Vec<_> = read.iter().map(|ratio| &ratio.id[..]).collect();
        assert_eq!(ids, ["G2", "G10", "G14"]);
        assert_eq!(read, sorted);
    }
}
