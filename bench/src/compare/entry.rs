//! What can be compared in a result file.

use crate::machine::Machine;
use crate::measure_error::MeasureError;
use crate::pairs::PairValue;
use crate::ratios::Ratio;
use crate::result::{OverheadResult, SCHEMA_VERSION, Spread};
use serde::de::Error;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A ratio with the pairs that it was measured by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: Option<f64>,
    /// Least and largest.
    pub(super) spread: Option<(f64, f64)>,
    /// Pair by pair; empty where it was not measured in pairs.
    pub(super) pairs: Vec<f64>,
    pub(super) is_higher_better: bool,
}

/// A result file.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) entries: Vec<Entry>,
    /// Where it was made; files of `ratios` do not say.
    pub(super) machine: Option<Machine>,
}

/// What `ratios`, `overhead` and `demo` store.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Ratios(Vec<Ratio>),
    Overhead {
        schema_version: u32,
        machine: Machine,
        latency_p999_pairs: Vec<PairValue>,
        cpu_ns_pairs: Vec<PairValue>,
    },
    Sweep {
        schema_version: u32,
        machine: Machine,
        loads: Vec<LoadPairs>,
    },
    Demo {
        schema_version: u32,
        machine: Machine,
        overhead: OverheadResult,
    },
}

/// One rate of `overhead --sweep`.
#[derive(Deserialize)]
struct LoadPairs {
    load: f64,
    latency_p999_pairs: Vec<PairValue>,
    cpu_ns_pairs: Vec<PairValue>,
}

impl Results {
    /// Reads a file that `ratios`, `overhead` or `demo` wrote.
    pub(super) fn read(path: &Path) -> Result<Self, MeasureError> {
        let text = fs::read(path).map_err(MeasureError::file("read", path))?;
        let unusable = |source| MeasureError::NoRatios {
            path: path.to_path_buf(),
            source,
        };
        let stored: Stored = serde_json::from_slice(&text).map_err(unusable)?;
        if let Some(found) = stored
            .schema_version()
            .filter(|found| *found != SCHEMA_VERSION)
        {
            let expected = format!("schema version {found}, expected {SCHEMA_VERSION}");
            return Err(unusable(serde_json::Error::custom(expected)));
        }
        Ok(stored.into())
    }
}

impl Stored {
    fn schema_version(&self) -> Option<u32> {
        match self {
            Self::Ratios(_) => None,
            Self::Overhead { schema_version, .. }
            | Self::Sweep { schema_version, .. }
            | Self::Demo { schema_version, .. } => Some(*schema_version),
        }
    }
}

impl From<Stored> for Results {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Ratios(ratios) => Self {
                entries: ratios.iter().map(Entry::of_ratio).collect(),
                machine: None,
            },
            Stored::Overhead {
                machine,
                latency_p999_pairs,
                cpu_ns_pairs,
                ..
            } => Self {
                entries: vec![
                    Entry::of_pairs("p99.9 on/off", false, ratios(&latency_p999_pairs)),
                    Entry::of_pairs("CPU on/off", false, ratios(&cpu_ns_pairs)),
                ],
                machine: Some(machine),
            },
            Stored::Sweep { machine, loads, .. } => Self {
                entries: loads.iter().flat_map(LoadPairs::entries).collect(),
                machine: Some(machine),
            },
            Stored::Demo {
                machine, overhead, ..
            } => {
                let pairs = overhead.pairs.iter().map(|pair| pair.on / pair.off);
                Self {
                    entries: vec![Entry::of_pairs("rate on/off", true, pairs.collect())],
                    machine: Some(machine),
                }
            }
        }
    }
}

impl LoadPairs {
    fn entries(&self) -> [Entry; 2] {
        let at = |what| format!("{what} at {:.0} %", self.load * 100.0);
        [
            Entry::of_pairs(&at("p99.9 on/off"), false, ratios(&self.latency_p999_pairs)),
            Entry::of_pairs(&at("CPU on/off"), false, ratios(&self.cpu_ns_pairs)),
        ]
    }
}

fn ratios(pairs: &[PairValue]) -> Vec<f64> {
    pairs.iter().map(|pair| pair.ratio).collect()
}

impl Entry {
    pub(super) fn of_ratio(ratio: &Ratio) -> Self {
        Self {
            name: ratio.id.clone(),
            value: ratio.value,
            spread: ratio.min.zip(ratio.max),
            pairs: ratios(&ratio.pairs),
            // The goal lies on the better side of the floor.
            is_higher_better: ratio.goal > ratio.floor,
        }
    }

    fn of_pairs(name: &str, is_higher_better: bool, pairs: Vec<f64>) -> Self {
        let spread = Spread::of(pairs.clone());
        Self {
            name: name.to_owned(),
            value: spread.map(|spread| spread.median),
            spread: spread.map(|spread| (spread.min, spread.max)),
            pairs,
            is_higher_better,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &serde_json::Value) -> Result<Results, MeasureError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), value.to_string()).unwrap();
        Results::read(file.path())
    }

    #[test]
    fn files_of_all_commands_with_pairs_are_understood() {
        let ratio = Ratio::of_value("G1", 0.8, "", String::new());
        let results = read(&serde_json::to_value([ratio]).unwrap()).unwrap();
        assert!(results.entries[0].is_higher_better && results.machine.is_none());
        let machine = serde_json::to_value(Machine::read(Path::new("."))).unwrap();
        let pair = json!({ "a": 3.0, "b": 2.0, "ratio": 1.5 });
        let overhead = json!({
            "schema_version": SCHEMA_VERSION,
            "machine": machine,
            "latency_p999_pairs": [pair],
            "cpu_ns_pairs": [pair],
        });
        let results = read(&overhead).unwrap();
        assert_eq!(results.entries.len(), 2);
        assert_eq!(results.entries[0].value, Some(1.5));
        let sweep = json!({
            "schema_version": SCHEMA_VERSION,
            "machine": machine,
            "loads": [{ "load": 0.7, "latency_p999_pairs": [pair], "cpu_ns_pairs": [pair] }],
        });
        let results = read(&sweep).unwrap();
        assert_eq!(results.entries[1].name, "CPU on/off at 70 %");
        let spread = json!({ "median": 0.9, "min": 0.9, "max": 0.9 });
        let pairs = json!([{ "off": 10.0, "on": 9.0 }]);
        let demo = json!({
            "schema_version": SCHEMA_VERSION,
            "machine": machine,
            "overhead": { "pairs": pairs, "ratio": spread, "histograms": {} },
        });
        assert_eq!(read(&demo).unwrap().entries[0].pairs, [0.9]);
    }

    #[test]
    fn other_files_and_other_versions_are_refused() {
        let error = read(&json!({})).unwrap_err();
        assert!(matches!(error, MeasureError::NoRatios { .. }));
        let newer = json!({
            "schema_version": SCHEMA_VERSION + 1,
            "machine": serde_json::to_value(Machine::read(Path::new("."))).unwrap(),
            "latency_p999_pairs": [],
            "cpu_ns_pairs": [],
        });
        let error = read(&newer).unwrap_err().to_string();
        assert!(error.contains("schema version"), "{error}");
    }
}
