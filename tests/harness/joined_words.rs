//! A job with every way in which streams join, branch and spread: the words of two texts, counted,
//! counted by length behind a rebalance, the counts counted by their parity, and the words of the
//! second text told to all shards for the words that they own.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{CsvFiles, Error, Flow, JobHandle, Out, TextFiles, Tuning};

use crate::small_job::small_job;

/// Settings of one run.
#[derive(Clone)]
pub struct JoinedWords {
    /// The two texts.
    pub inputs: [PathBuf; 2],
    /// How often the first text is read; the second is read once.
    pub rounds: u64,
    /// Shards.
    pub shards: usize,
    /// Sizes of rings and pools.
    pub tuning: Tuning,
}

impl JoinedWords {
    /// Starts the job, fresh or from what the storage holds.
    ///
    /// # Errors
    /// The job's.
    pub fn start(&self, storage: Arc<dyn Storage>) -> Result<JobHandle, Error> {
        let job = small_job("joined-words", self.shards, &storage, self.tuning).build()?;
        let run = self.clone();
        job.start(move |flow| run.declare(flow, &storage))
    }

    fn declare(&self, flow: &Flow, storage: &Arc<dyn Storage>) {
        let [first, second] = &self.inputs;
        let [words, more_words, known_words] = flow
            .source(TextFiles::new([first]).rounds(self.rounds))
            .union(flow.source(TextFiles::new([second])))
            .flat_map(words_of)
            .fan_out();
        let [counts, more_counts] = words
            .key_by(|word| word)
            .aggregate("count", 0u64, |count, _word| *count += 1)
            .emit_at_end()
            .fan_out();
        let lengths = more_words
            .rebalance()
            .filter(|word| word.len() > 2)
            .key_by_value(|word| word.len() as u64)
            .aggregate("lengths", 0u64, |count, _word| *count += 1)
            .emit_at_end()
            .map(|(length, count)| (format!("length {length}"), *count));
        let parities = more_counts
            .key_by_value(|(_word, count)| count % 2)
            .aggregate("parities", 0u64, |sum, (_word, count)| *sum += count)
            .emit_at_end()
            .map(|(parity, sum)| (format!("parity {parity}"), *sum));
        let told = flow
            .source(TextFiles::new([second]).rounds(3))
            .flat_map(words_of)
            .broadcast();
        let told_counts = known_words
            .key_by(|word| word)
            .connect(told)
            .process(
                |states| {
                    (
                        states.timers("at end"),
                        states.broadcast::<str, u64>("told"),
                    )
                },
                |(at_end, _told), _word, cx, _out| Ok(at_end.set(cx, u64::MAX / 2)?),
                |(_at_end, told), word, cx, _out| {
                    let count = told.get(cx, word)?.unwrap_or(0);
                    Ok(told.put(cx, word, &(count + 1))?)
                },
            )
            .on_timer(|(_at_end, told), _time_ms, cx, out| {
                if let Some(count) = told.get(cx, cx.key())? {
                    out.push_owned((format!("told {}", cx.key()), count));
                }
                Ok(())
            })
            .fire_timers_at_end();
        counts
            .map(|(word, count)| (word.to_owned(), *count))
            .union(lengths)
            .union(parities)
            .union(told_counts)
            .sink(CsvFiles::new("out").storage(Arc::clone(storage)));
    }

    /// The rows that a run must commit, by plain maps.
    #[must_use]
    pub fn reference_rows(&self, texts: [&str; 2]) -> BTreeMap<(String, u64), u64> {
        let mut words: HashMap<&str, u64> = HashMap::new();
        for (text, rounds) in texts.into_iter().zip([self.rounds, 1]) {
            for word in text.split_whitespace() {
                *words.entry(word).or_default() += rounds;
            }
        }
        let mut rows: HashMap<String, u64> = HashMap::new();
        for word in texts[1].split_whitespace() {
            *rows.entry(format!("told {word}")).or_default() += 3;
        }
        for (word, count) in words {
            if word.len() > 2 {
                *rows.entry(format!("length {}", word.len())).or_default() += count;
            }
            *rows.entry(format!("parity {}", count % 2)).or_default() += count;
            rows.insert(word.to_owned(), count);
        }
        rows.into_iter().map(|row| (row, 1)).collect()
    }
}

fn words_of(line: &str, out: &mut Out<str>) {
    for word in line.split_whitespace() {
        out.push(word);
    }
}
