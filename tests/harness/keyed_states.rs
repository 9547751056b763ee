//! A job whose only operator keeps one state of each kind for every word.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{
    AggregatingState, CsvFiles, Error, Flow, JobHandle, ListState, MapState, Out, Process,
    ProcessContext, ProcessResult, ReducingState, States, TextFiles, Tuning, ValueState,
};

use crate::small_job::small_job;

/// Records after which a word's run count starts anew.
const RUN_RECORDS: u64 = 7;

/// Settings of one run.
#[derive(Clone)]
pub struct KeyedStates {
    /// Text to read.
    pub input: PathBuf,
    /// How often the text is read.
    pub rounds: u64,
    /// Shards.
    pub shards: usize,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
}

impl KeyedStates {
    /// Starts the job, fresh or from what the storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self, storage: Arc<dyn Storage>) -> Result<JobHandle, Error> {
        let job = small_job("keyed-states", self.shards, &storage, self.tuning).build()?;
        let run = self.clone();
        job.start(move |flow| run.declare(flow, &storage))
    }

    fn declare(&self, flow: &Flow, storage: &Arc<dyn Storage>) {
        flow.source(TextFiles::new([&self.input]).rounds(self.rounds))
            .flat_map(|line, out| {
                for word in line.split_whitespace() {
                    out.push(word);
                }
            })
            .key_by(|word| word)
            .process_with(WordStates::open)
            .sink(CsvFiles::new("out").storage(Arc::clone(storage)));
    }

    /// The rows that a run must commit, by plain maps.
    #[must_use]
    pub fn reference_rows(&self, text: &str) -> BTreeMap<(String, u64), u64> {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for word in text.split_whitespace() {
            *counts.entry(word).or_default() += self.rounds;
        }
        let mut rows = BTreeMap::new();
        for (word, total) in counts {
            for count in 1..=total {
                let run = (count - 1) % RUN_RECORDS + 1;
                let mut row = |what: &str, value| {
                    *rows.entry((format!("{word} {what}"), value)).or_insert(0) += 1;
                };
                row("run", run);
                if count.is_power_of_two() {
                    row("count", count);
                    row("last run", run);
                    row("mean", count.div_ceil(2));
                    row("runs begun", count.div_ceil(RUN_RECORDS));
                    row("longest run", count.min(RUN_RECORDS));
                    row("sum of the run", (count - run + 1..=count).sum());
                }
            }
        }
        rows
    }
}

/// Counts each word in all and in runs of [`RUN_RECORDS`], keeps the highest count, the mean of all
/// counts, a text that grows and shrinks, how often a run had each length, and the counts of the
/// run.
struct WordStates {
    run: ValueState<str, u64>,
    text: ValueState<str, String>,
    highest: ReducingState<str, u64>,
    mean: AggregatingState<str, (u64, u64), u64, u64>,
    lengths: MapState<str, u64, u64>,
    counts: ListState<str, u64>,
}

impl WordStates {
    fn open(states: &mut States<'_, str>) -> Self {
        Self {
            run: states.value("run"),
            text: states.value("text"),
            highest: states.reducing("highest", |highest, count| {
                *highest = (*highest).max(*count)
            }),
            mean: states.aggregating(
                "mean",
                (0, 0),
                |(sum, count), added| {
                    *sum += added;
                    *count += 1;
                },
                |(sum, count)| sum / count,
            ),
            lengths: states.map("lengths"),
            counts: states.list("counts"),
        }
    }
}

impl Process<str, str> for WordStates {
    type Out = (String, u64);

    fn record(
        &mut self,
        word: &str,
        cx: &mut ProcessContext<'_, str>,
        out: &mut Out<(String, u64)>,
    ) -> ProcessResult {
        assert_eq!(word, cx.key());
        let run = self.run.update(cx, &0, |run| {
            *run += 1;
            *run
        })?;
        self.text
            .update(cx, &String::new(), |text| text.push('x'))?;
        let count = self.highest.get(cx)?.unwrap_or(0) + 1;
        self.highest.add(cx, &count)?;
        self.mean.add(cx, &count)?;
        let mean = self.mean.get(cx)?.ok_or("nothing was added")?;
        self.lengths.update(cx, &run, &0, |times| *times += 1)?;
        self.counts.push(cx, &count)?;

        let mut row = |what: &str, value: u64| out.push_owned((format!("{word} {what}"), value));
        row("run", run);
        if count.is_power_of_two() {
            row("count", count);
            let text = self.text.view(cx)?.ok_or("no text")?;
            row("last run", text.len() as u64);
            row("mean", mean);
            row("runs begun", self.lengths.get(cx, &1)?.unwrap_or(0));
            row("longest run", self.lengths.last(cx)?.unwrap_or(0));
            row("sum of the run", self.counts.get(cx)?.iter().sum());
        }
        if run == RUN_RECORDS {
            self.run.remove(cx)?;
            self.text.put(cx, &String::new())?;
            self.counts.clear(cx)?;
        }
        Ok(())
    }
}
