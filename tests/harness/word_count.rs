//! The job under test: every word's count whenever it reaches a power of two, and all counts at the
//! end.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::gated::{Gate, GatedText};
use frazil::storage::Storage;
use frazil::{
    CheckpointReport, Checkpoints, Cores, CsvFiles, DriverChoice, Error, Flow, Job, JobHandle,
    RestartStrategy, RestoreMode, StagingSize, StartFrom, TextFiles, Tuning,
};

/// Checkpoints of [`WordCount::run_in_steps`] before the last.
const STEPS: u64 = 6;
/// Lines between two of them.
const STEP_LINES: u64 = 400;

/// Settings of one run.
#[derive(Clone)]
pub struct WordCount {
    /// Text to count.
    pub input: PathBuf,
    /// How often the text is read.
    pub rounds: u64,
    /// How much of it may be read.
    pub gate: Gate,
    /// Shards.
    pub shards: usize,
    /// Key groups.
    pub key_groups: u32,
    /// Where checkpoints go.
    pub checkpoints: Arc<dyn Storage>,
    /// Which of its own checkpoints to start from.
    pub start_from: StartFrom,
    /// A savepoint to start from.
    pub restore_from: Option<Arc<dyn Storage>>,
    /// Where rows go.
    pub output: Arc<dyn Storage>,
    /// Time between checkpoints; `None` = only when asked.
    pub interval: Option<Duration>,
    /// Checkpoints to keep.
    pub keep: usize,
    /// Most bytes a second for checkpoints.
    pub max_write_bytes_per_second: Option<u64>,
    /// How the job comes back.
    pub restore: RestoreMode,
    /// What drives the shards.
    pub driver: DriverChoice,
    /// What happens after a failure: by default the run ends, so that a test sees it.
    pub restart: RestartStrategy,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
}

impl WordCount {
    /// Counts `input` three times over on one shard driven by a plain thread, with checkpoints and
    /// rows in `storage`, and checkpoints only when asked.
    #[must_use]
    pub fn new(input: impl Into<PathBuf>, storage: Arc<dyn Storage>) -> Self {
        Self {
            input: input.into(),
            rounds: 3,
            gate: Gate::open(),
            shards: 1,
            key_groups: 128,
            checkpoints: Arc::clone(&storage),
            start_from: StartFrom::Newest,
            restore_from: None,
            output: storage,
            interval: None,
            keep: 3,
            max_write_bytes_per_second: None,
            restore: RestoreMode::Eager,
            driver: DriverChoice::Thread,
            restart: RestartStrategy::None,
            tuning: Tuning {
                staging: StagingSize {
                    chunk_count: 8,
                    chunk_bytes: 64 << 10,
                },
                row_buffers: 4,
                ..Tuning::default()
            },
        }
    }

    /// The same job on another disk.
    #[must_use]
    pub fn on(&self, storage: Arc<dyn Storage>) -> Self {
        Self {
            checkpoints: Arc::clone(&storage),
            output: storage,
            ..self.clone()
        }
    }

    /// Starts the job and has a checkpoint made after each of some steps into its input, shown to
    /// `each`; then lets it run to its end, where it makes the last one itself.
    ///
    /// # Errors
    /// The job's, of its start or its end.
    pub fn run_in_steps(
        &self,
        mut each: impl FnMut(&Result<CheckpointReport, Error>),
    ) -> Result<(), Error> {
        let run = Self {
            gate: Gate::closed(),
            ..self.clone()
        };
        let handle = run.start()?;
        for _ in 0..STEPS {
            run.gate.allow(STEP_LINES);
            each(&handle.checkpoint());
        }
        run.gate.allow(u64::MAX);
        handle.wait().map(|_| ())
    }

    /// Starts the job, fresh or from what the checkpoint storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self) -> Result<JobHandle, Error> {
        let checkpoints = match self.interval {
            Some(interval) => Checkpoints::every(interval),
            None => Checkpoints::manual(),
        };
        let checkpoints = match self.max_write_bytes_per_second {
            Some(bytes) => checkpoints.max_write_bytes_per_second(bytes),
            None => checkpoints,
        };
        let job = Job::builder("word-count")
            .cores(Cores::count(self.shards))
            .key_groups(self.key_groups)
            .checkpoints(
                checkpoints
                    .keep(self.keep)
                    .restore(self.restore)
                    .storage(Arc::clone(&self.checkpoints)),
            )
            .driver(self.driver)
            .restart(self.restart)
            .start_from(self.start_from)
            .state_bytes_per_shard(256 << 20)
            .tuning(self.tuning);
        let job = match &self.restore_from {
            Some(savepoint) => job.restore_from_storage(Arc::clone(savepoint)),
            None => job,
        };
        let job = job.build()?;
        let run = self.clone();
        job.start(move |flow| run.declare(flow))
    }

    fn declare(&self, flow: &Flow) {
        let lines = TextFiles::new([&self.input]).rounds(self.rounds);
        let gate = self.gate.clone();
        flow.source(GatedText { lines, gate })
            .flat_map(|line, out| {
                for word in line.split_whitespace() {
                    out.push(word);
                }
            })
            .key_by(|word| word)
            .aggregate("count", 0u64, |count, _word| *count += 1)
            .emit_when(|_word, count| count.is_power_of_two())
            .emit_at_end()
            .sink(CsvFiles::new("out").storage(Arc::clone(&self.output)));
    }
}

/// A file with `text` in a folder of its own, which goes with what is returned.
///
/// # Panics
/// If the temporary folder cannot be written to.
#[must_use]
pub fn input_file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("input.txt");
    std::fs::write(&path, text).expect("input can be written");
    (directory, path)
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
