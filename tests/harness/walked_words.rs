//! A job that keeps a count for each word, and walks over all words whenever a tick comes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{CsvFiles, Error, Flow, Iter, JobHandle, TextFiles, Tuning};

use crate::small_job::small_job;

/// Records of the second source for each tick, so that it takes as long as the text.
const BEATS: u64 = 1_000;

/// Settings of one run.
#[derive(Clone)]
pub struct WalkedWords {
    /// Text to read.
    pub input: PathBuf,
    /// How often the text is read.
    pub rounds: u64,
    /// How many ticks come; they are numbered from 1 on.
    pub ticks: u64,
    /// Shards.
    pub shards: usize,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
}

impl WalkedWords {
    /// Starts the job, fresh or from what the storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self, storage: Arc<dyn Storage>) -> Result<JobHandle, Error> {
        let job = small_job("walked-words", self.shards, &storage, self.tuning).build()?;
        let run = self.clone();
        job.start(move |flow| run.declare(flow, &storage))
    }

    fn declare(&self, flow: &Flow, storage: &Arc<dyn Storage>) {
        // All in one split, so that they come in order.
        let beats = self.ticks * BEATS;
        let ticks = flow
            .source(Iter::new(move |split, _count| {
                1..=if split == 0 { beats } else { 0 }
            }))
            .filter(|beat| beat % BEATS == 0)
            .map(|beat| beat / BEATS)
            .broadcast();
        flow.source(TextFiles::new([&self.input]).rounds(self.rounds))
            .flat_map(|line, out| {
                for word in line.split_whitespace() {
                    out.push(word);
                }
            })
            .key_by(|word| word)
            .connect(ticks)
            .process(
                |states| (states.value::<u64>("count"), states.walks("walks")),
                |(count, _walks), _word, cx, _out| {
                    count.update(cx, &0, |count| *count += 1)?;
                    Ok(())
                },
                |(count, walks), tick, cx, _out| {
                    walks.start(cx, count, *tick);
                    Ok(())
                },
            )
            .on_visit(|_states, tick, cx, out| {
                out.push_pair(cx.key(), &tick);
                Ok(())
            })
            .sink(CsvFiles::new("out").storage(Arc::clone(storage)));
    }
}

/// Checks the rows of a whole run: each word was visited once by each walk from the first that
/// found it on. (On a machine that is slow to open the text that may be none.)
///
/// # Panics
/// If not.
pub fn check_walks(rows: BTreeMap<(String, u64), u64>, tick_count: u64) {
    let mut ticks_of = BTreeMap::<String, Vec<u64>>::new();
    for ((word, tick), times) in rows {
        assert_eq!(times, 1, "walk {tick} visited {word} so often");
        ticks_of.entry(word).or_default().push(tick);
    }
    for (word, ticks) in ticks_of {
        let expected: Vec<u64> = (ticks[0]..=tick_count).collect();
        assert_eq!(ticks, expected, "walks that visited {word}");
    }
}
