//! A flow may change between two runs: streams and tables come and go, and what stays keeps its
//! state. What would lose state is refused until the user says that it may.

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{Checkpoints, Cores, CsvFiles, DriverChoice, Error, Flow, Job, JobHandle, TextFiles};
use frazil_io::storage::MemoryStorage;
use frazil_tests::{committed_rows, input_file, text};

const LINES: &str = "lines of the first stream";
const WORDS: &str = "words of the second stream";

/// A job over one input whose flow differs from run to run.
struct Versions {
    input: (tempfile::TempDir, std::path::PathBuf),
    checkpoints: MemoryStorage,
    lines: MemoryStorage,
    words: MemoryStorage,
}

impl Versions {
    fn new() -> Self {
        Self {
            input: input_file(&text(4_000, 50)),
            checkpoints: MemoryStorage::new(),
            lines: MemoryStorage::new(),
            words: MemoryStorage::new(),
        }
    }

    fn start(
        &self,
        may_drop: bool,
        declare: impl Fn(&Flow) + Send + Sync + 'static,
    ) -> Result<JobHandle, Error> {
        let storage: Arc<dyn Storage> = Arc::new(self.checkpoints.clone());
        let builder = Job::builder("versions")
            .cores(Cores::count(2))
            .checkpoints(Checkpoints::manual().storage(storage))
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(64 << 20);
        let builder = if may_drop {
            builder.allow_dropped_state()
        } else {
            builder
        };
        builder.build()?.start(declare)
    }

    /// Runs until everything is read and committed.
    fn run(&self, may_drop: bool, declare: impl Fn(&Flow) + Send + Sync + 'static) {
        let handle = self.start(may_drop, declare).expect("starts");
        handle.wait().expect("ends well");
    }

    /// The number of records of the first stream whose count is kept in `table`.
    fn lines(&self, table: &'static str) -> impl Fn(&Flow) + Send + Sync + 'static {
        let input = self.input.1.clone();
        let output: Arc<dyn Storage> = Arc::new(self.lines.clone());
        move |flow| {
            flow.source(TextFiles::new([&input]))
                .key_by_value(|_line| 0u64)
                .aggregate(table, 0u64, |count, _line| *count += 1)
                .emit_at_end()
                .map(|(_zero, count)| (LINES.to_owned(), *count))
                .sink(CsvFiles::new("lines").storage(Arc::clone(&output)));
        }
    }

    fn words(&self) -> impl Fn(&Flow) + Send + Sync + 'static {
        let input = self.input.1.clone();
        let output: Arc<dyn Storage> = Arc::new(self.words.clone());
        move |flow| {
            flow.source(TextFiles::new([&input]).rounds(2))
                .key_by_value(|_line| 0u64)
                .aggregate("words", 0u64, |count, line| {
                    *count += line.split_whitespace().count() as u64;
                })
                .emit_at_end()
                .map(|(_zero, count)| (WORDS.to_owned(), *count))
                .sink(CsvFiles::new("words").storage(Arc::clone(&output)));
        }
    }
}

fn one_row(name: &str, count: u64) -> BTreeMap<(String, u64), u64> {
    BTreeMap::from([((name.to_owned(), count), 1)])
}

#[test]
fn a_new_stream_with_a_new_table_starts_afresh_beside_what_was_restored() {
    let versions = Versions::new();
    versions.run(false, versions.lines("lines"));
    let before = committed_rows(&versions.lines);
    assert_eq!(before, one_row(LINES, 800));
    let (lines, words) = (versions.lines("lines"), versions.words());
    let handle = versions
        .start(false, move |flow| {
            lines(flow);
            words(flow);
        })
        .expect("starts");
    let recovery = handle.recovery().expect("restored");
    assert!(!recovery.finished, "the new stream is not finished");
    handle.wait().expect("ends well");
    assert_eq!(committed_rows(&versions.lines), before);
    assert_eq!(committed_rows(&versions.words), one_row(WORDS, 8_000));
}

#[test]
fn a_stream_that_is_gone_is_another_flow() {
    let versions = Versions::new();
    let (lines, words) = (versions.lines("lines"), versions.words());
    versions.run(false, move |flow| {
        lines(flow);
        words(flow);
    });
    let started = versions.start(true, versions.lines("lines"));
    let error = started.map(|_| ()).expect_err("refused");
    assert!(matches!(error, Error::OtherFlow { .. }), "{error:?}");
}

#[test]
fn a_table_that_the_flow_no_longer_has_is_refused_until_its_loss_is_allowed() {
    let versions = Versions::new();
    versions.run(false, versions.lines("lines"));
    let started = versions.start(false, versions.lines("renamed"));
    let error = started.map(|_| ()).expect_err("refused");
    let Error::DroppedState { tables, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(tables, &["lines"]);
    let message = error.to_string();
    assert!(
        message.contains("JobBuilder::allow_dropped_state"),
        "{message}"
    );

    let handle = versions.start(true, versions.lines("renamed"));
    handle.expect("starts").wait().expect("ends well");
    // The loss is durable: nothing is left to be allowed, and nothing comes back.
    versions.run(false, versions.lines("renamed"));
    let started = versions.start(false, versions.lines("lines"));
    let error = started.map(|_| ()).expect_err("refused");
    assert!(
        matches!(&error, Error::DroppedState { tables, .. } if tables == &["renamed"]),
        "{error:?}"
    );
}
