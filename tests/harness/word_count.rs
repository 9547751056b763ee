//! The job under test: every word's count whenever it reaches a power of two, and all counts at the end.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Cores, CsvFiles, DriverChoice, Error, Flow, Job, JobHandle, TextFiles, Tuning,
};

/// Settings of one run.
#[derive(Clone)]
pub struct WordCount {
    /// Text to count.
    pub input: PathBuf,
    /// How often the text is read.
    pub rounds: u64,
    /// Shards.
    pub shards: usize,
    /// Where checkpoints go.
    pub checkpoints: Arc<dyn Storage>,
    /// Where rows go.
    pub output: Arc<dyn Storage>,
    /// Time between checkpoints; `None` = only when asked.
    pub interval: Option<Duration>,
    /// What drives the shards.
    pub driver: DriverChoice,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
}

impl WordCount {
    /// Starts the job, fresh or from what the checkpoint storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self) -> Result<JobHandle, Error> {
        let checkpoints = match self.interval {
            Some(interval) => Checkpoints::every(interval),
            None => Checkpoints::manual(),
        };
        let job = Job::builder("word-count")
            .cores(Cores::count(self.shards))
            .checkpoints(checkpoints.storage(Arc::clone(&self.checkpoints)))
            .driver(self.driver)
            .state_bytes_per_shard(256 << 20)
            .tuning(self.tuning)
            .build()?;
        let (input, rounds) = (self.input.clone(), self.rounds);
        let output = Arc::clone(&self.output);
        job.start(move |flow| declare(flow, &input, rounds, &output))
    }
}

fn declare(flow: &Flow, input: &PathBuf, rounds: u64, output: &Arc<dyn Storage>) {
    flow.source(TextFiles::new([input]).rounds(rounds))
        .flat_map(|line, out| {
            for word in line.split_whitespace() {
                out.push(word);
            }
        })
        .key_by(|word| word)
        .aggregate("count", 0u64, |count, _word| *count += 1)
        .emit_when(|_word, count| count.is_power_of_two())
        .emit_at_end()
        .sink(CsvFiles::new("out").storage(Arc::clone(output)));
}

/// Some text: `words` words out of `distinct`, skewed, in lines of five.
#[must_use]
pub fn text(words: usize, distinct: u64) -> String {
    let mut text = String::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..words {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = (state % distinct).min((state >> 32) % distinct);
        text.push_str(&format!("word{word}"));
        text.push(if index % 5 == 4 { '\n' } else { ' ' });
    }
    text
}

/// The rows that a run over `text` read `rounds` times must commit, by a plain map.
#[must_use]
pub fn reference_rows(text: &str, rounds: u64) -> BTreeMap<(String, u64), u64> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += rounds;
    }
    let mut rows = BTreeMap::new();
    for (word, count) in counts {
        let powers = (0..64).map(|bit| 1u64 << bit);
        for row in powers.take_while(|power| *power <= count).chain([count]) {
            *rows.entry((word.to_owned(), row)).or_insert(0) += 1;
        }
    }
    rows
}
