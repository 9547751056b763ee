//! The JSON result of a command, for people's scripts and for `compare`.

use crate::machine::Machine;
use crate::text::buckets::{Bucket, log_buckets};
use crate::text::percentiles::PERCENTILES;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Grows by one when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

const BUCKET_COUNT_MAX: u32 = 32;

/// What one command found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandResult {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command, as `demo`.
    pub command: String,
    /// Its arguments as they were given.
    pub arguments: Vec<String>,
    /// Where it ran.
    pub machine: Machine,
    /// The main job with its kill and its comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<DemoResult>,
    /// What checkpoints cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead: Option<OverheadResult>,
}

/// How the main job went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemoResult {
    /// Input of one round, in bytes.
    pub input_bytes: u64,
    /// How often the input was read.
    pub rounds: u64,
    /// Distinct identifiers.
    pub key_count: u64,
    /// Committed rows.
    pub row_count: u64,
    /// Whether the committed rows are exactly those of the reference.
    pub is_equal: bool,
    /// The kill that the job survived.
    pub kill: Option<KillResult>,
}

/// A kill and the recovery from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KillResult {
    /// What the moment was drawn from; the same seed draws it again.
    pub seed: u64,
    /// The checkpoint that the job recovered from.
    pub checkpoint_number: u64,
    /// From the start of the new process to its first record, in milliseconds.
    pub recovery_ms: f64,
    /// Input that was read again, in bytes.
    pub replayed_bytes: u64,
}

/// The same work with checkpoints off and on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverheadResult {
    /// Every measured pair, in the order measured.
    pub pairs: Vec<Pair>,
    /// Throughput with checkpoints over throughput without.
    pub ratio: Spread,
    /// Histograms by name: `freeze_ns`, `capture_ns`, `checkpoint_bytes` and so on.
    pub histograms: BTreeMap<String, HistogramResult>,
}

/// Two interleaved runs, in records per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Checkpoints off.
    pub off: f64,
    /// Checkpoints on.
    pub on: f64,
}

/// A median and how far the runs lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle value; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The least value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

/// A histogram small enough to keep; all values in the unit that its name ends with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistogramResult {
    /// Samples.
    pub count: u64,
    /// The least sample.
    pub min: u64,
    /// The largest sample.
    pub max: u64,
    /// Percentiles by name; `null` where the samples are too few.
    pub percentiles: BTreeMap<String, Option<u64>>,
    /// The samples in buckets that grow by a fixed factor.
    pub buckets: Vec<Bucket>,
}

/// A result could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the result to {path}: {source}; free some space or use `--json FILE`")]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl CommandResult {
    /// Starts a result of `command` with nothing measured yet.
    #[must_use]
    pub fn new(command: &str, arguments: Vec<String>, machine: Machine) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            command: command.to_owned(),
            arguments,
            machine,
            demo: None,
            overhead: None,
        }
    }

    /// Writes the result to `path` so that a reader finds the old file or the new one, never a
    /// part.
    ///
    /// # Errors
    ///
    /// [`WriteError`] naming the file.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        write_json(path, self)
    }
}

/// Writes `result` to `path` so that a reader finds the old file or the new one, never a part.
///
/// # Errors
///
/// [`WriteError`] naming the file.
pub fn write_json(path: &Path, result: &impl Serialize) -> Result<(), WriteError> {
    let mut text = serde_json::to_vec_pretty(result).expect("every field has a JSON form");
    text.push(b'\n');
    write_text(path, &text)
}

/// The same for a text of any kind.
pub(crate) fn write_text(path: &Path, text: &[u8]) -> Result<(), WriteError> {
    replace(path, text).map_err(|source| WriteError {
        path: path.to_path_buf(),
        source,
    })
}

impl OverheadResult {
    /// Sums up `pairs`; `None` if there is none.
    #[must_use]
    pub fn new(pairs: Vec<Pair>, histograms: BTreeMap<String, HistogramResult>) -> Option<Self> {
        let ratio = Spread::of(pairs.iter().map(|pair| pair.on / pair.off).collect())?;
        Some(Self {
            pairs,
            ratio,
            histograms,
        })
    }
}

impl Spread {
    /// The spread of `values`; `None` if there is none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[middle]);
        Some(Self { median, min, max })
    }
}

impl From<&Histogram<u64>> for HistogramResult {
    fn from(histogram: &Histogram<u64>) -> Self {
        let percentiles = PERCENTILES
            .map(|percentile| (percentile.name.to_owned(), percentile.of(histogram)))
            .into();
        Self {
            count: histogram.len(),
            min: histogram.min(),
            max: histogram.max(),
            percentiles,
            buckets: log_buckets(histogram, BUCKET_COUNT_MAX),
        }
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut temporary_name = OsString::from(path);
    temporary_name.push(".new");
    let mut file = File::create(&temporary_name)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary_name, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> CommandResult {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record_n(800, 150).unwrap();
        let histograms = [("freeze_ns".to_owned(), HistogramResult::from(&histogram))].into();
        let pairs = vec![Pair { off: 10.0, on: 9.0 }, Pair { off: 10.0, on: 8.0 }];
        let machine = Machine::read(Path::new("."));
        let mut result = CommandResult::new("demo", vec!["--quick".into()], machine);
        result.overhead = OverheadResult::new(pairs, histograms);
        result
    }

    #[test]
    fn written_result_reads_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/result.json");
        let result = example();
        result.write(&path).unwrap();
        result.write(&path).unwrap();
        let read: CommandResult = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, result);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn histograms_keep_percentiles_and_buckets() {
        let result = example();
        let histogram = &result.overhead.unwrap().histograms["freeze_ns"];
        assert_eq!(histogram.percentiles["p99"], Some(800));
        assert_eq!(histogram.percentiles["p99.9"], None);
        assert_eq!(
            histogram.buckets,
            [Bucket {
                from: 800,
                to: 800,
                count: 150
            }]
        );
    }

    #[test]
    fn spread_has_the_median() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[]), None);
        let odd = spread(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    #[test]
    fn names_a_file_that_cannot_be_written() {
        let error = example()
            .write(Path::new("/proc/no/result.json"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/proc/no/result.json"), "{error}");
    }
}
