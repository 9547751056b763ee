//! A job with two exchanges: count words, then count and sum these counts by their leading digit.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{CsvFiles, Error, Flow, JobHandle, TextFiles, Tuning};

use crate::small_job::small_job;

/// Settings of one run.
#[derive(Clone)]
pub struct TwoExchanges {
    /// Text to count.
    pub input: PathBuf,
    /// How often the text is read.
    pub rounds: u64,
    /// Shards.
    pub shards: usize,
    /// Where checkpoints and rows go.
    pub storage: Arc<dyn Storage>,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
}

impl TwoExchanges {
    /// Starts the job, fresh or from what the storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self) -> Result<JobHandle, Error> {
        let job = small_job("two-exchanges", self.shards, &self.storage, self.tuning).build()?;
        let run = self.clone();
        job.start(move |flow| run.declare(flow))
    }

    fn declare(&self, flow: &Flow) {
        flow.source(TextFiles::new([&self.input]).rounds(self.rounds))
            .flat_map(|line, out| {
                for word in line.split_whitespace() {
                    out.push(word);
                }
            })
            .key_by(|word| word)
            .aggregate("count", 0u64, |count, _word| *count += 1)
            .key_by_value(|(_word, count)| leading_digit(*count))
            .aggregate("sum", (0u64, 0u64), |(count, sum), (_word, value)| {
                *count += 1;
                *sum += *value;
            })
            .emit_at_end()
            .flat_map(|(digit, (count, sum)), out| {
                out.push(&(format!("count {digit}"), *count));
                out.push(&(format!("sum {digit}"), *sum));
            })
            .sink(CsvFiles::new("out").storage(Arc::clone(&self.storage)));
    }

    /// The rows that a run must commit, by plain maps.
    #[must_use]
    pub fn reference_rows(&self, text: &str) -> BTreeMap<(String, u64), u64> {
        let mut words: HashMap<&str, u64> = HashMap::new();
        for word in text.split_whitespace() {
            *words.entry(word).or_default() += self.rounds;
        }
        let mut digits: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for value in words.into_values().flat_map(|count| 1..=count) {
            let (count, sum) = digits.entry(leading_digit(value)).or_default();
            *count += 1;
            *sum += value;
        }
        let rows = digits.into_iter().flat_map(|(digit, (count, sum))| {
            let count = ((format!("count {digit}"), count), 1);
            [count, ((format!("sum {digit}"), sum), 1)]
        });
        rows.collect()
    }
}

fn leading_digit(mut number: u64) -> u64 {
    while number >= 10 {
        number /= 10;
    }
    number
}
