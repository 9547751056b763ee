//! A job that sets a timer for each word it reads, on a clock that goes on with the input.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{CsvFiles, Error, Flow, JobHandle, LogicalClock, TextFiles, Tuning};

use crate::small_job::small_job;

/// Time between two timers of one word.
const STEP_MS: u64 = 3;

/// Settings of one run. The clock is that of the world: it goes on over a restart.
#[derive(Clone)]
pub struct TimedWords {
    /// Text to read.
    pub input: PathBuf,
    /// How often the text is read.
    pub rounds: u64,
    /// Shards.
    pub shards: usize,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
    /// The job's time.
    pub clock: LogicalClock,
}

impl TimedWords {
    /// Starts the job, fresh or from what the storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self, storage: Arc<dyn Storage>) -> Result<JobHandle, Error> {
        let job = small_job("timed-words", self.shards, &storage, self.tuning)
            .clock(self.clock.clone())
            .build()?;
        let run = self.clone();
        job.start(move |flow| run.declare(flow, &storage))
    }

    fn declare(&self, flow: &Flow, storage: &Arc<dyn Storage>) {
        let clock = self.clock.clone();
        flow.source(TextFiles::new([&self.input]).rounds(self.rounds))
            .inspect(move |line| clock.advance_ms(u64::from(line.ends_with('7'))))
            .flat_map(|line, out| {
                for word in line.split_whitespace() {
                    out.push(word);
                }
            })
            .key_by(|word| word)
            .process(
                |states| (states.value::<u64>("count"), states.timers("timers")),
                |(count, timers), _word, cx, _out| {
                    let count = count.update(cx, &0, |count| {
                        *count += 1;
                        *count
                    })?;
                    timers.set(cx, count * STEP_MS)?;
                    Ok(())
                },
            )
            .on_timer(|_states, time_ms, cx, out| {
                out.push_pair(cx.key(), &time_ms);
                Ok(())
            })
            .fire_timers_at_end()
            .sink(CsvFiles::new("out").storage(Arc::clone(storage)));
    }

    /// The rows that a run must commit: each timer once.
    #[must_use]
    pub fn reference_rows(&self, text: &str) -> BTreeMap<(String, u64), u64> {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for word in text.split_whitespace() {
            *counts.entry(word).or_default() += self.rounds;
        }
        let timers = counts.into_iter().flat_map(|(word, total)| {
            (1..=total).map(move |count| ((word.to_owned(), count * STEP_MS), 1))
        });
        timers.collect()
    }
}
