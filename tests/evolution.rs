//! A flow may change between two runs: streams and tables come and go, and what stays keeps its
//! state. What would lose state is refused until the user says that it may.

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Cores, Count, CsvFiles, DriverChoice, Error, Flow, Iter, Job, JobHandle, Part,
    Preflight, TextFiles, Verdict,
};
use frazil_io::storage::MemoryStorage;
use frazil_state::format::{decode, encode};
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

    /// Of what `start` would do.
    fn check(&self, declare: impl Fn(&Flow)) -> Preflight {
        let storage: Arc<dyn Storage> = Arc::new(self.checkpoints.clone());
        let job = Job::builder("versions")
            .cores(Cores::count(2))
            .checkpoints(Checkpoints::manual().storage(storage))
            .build();
        let checked = job.expect("valid settings").check(declare);
        checked.expect("the manifest is whole")
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

    /// A sum over all lines, by operators that all have ids.
    fn named(
        &self,
        id: &'static str,
        count: fn(&str) -> u64,
        row: &'static str,
        output: &MemoryStorage,
    ) -> impl Fn(&Flow) + Send + Sync + 'static {
        let input = self.input.1.clone();
        let output: Arc<dyn Storage> = Arc::new(output.clone());
        move |flow| {
            flow.source(TextFiles::new([&input]))
                .id(&format!("{id} in"))
                .key_by_value(|_line| 0u64)
                .aggregate(id, 0u64, move |sum, line| *sum += count(line))
                .id(id)
                .emit_at_end()
                .map(move |(_zero, sum)| (row.to_owned(), *sum))
                .sink_with_id(
                    &format!("{id} out"),
                    CsvFiles::new(id).storage(Arc::clone(&output)),
                );
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

fn word_count(line: &str) -> u64 {
    line.split_whitespace().count() as u64
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
fn a_stream_that_is_gone_is_refused_until_its_loss_is_allowed() {
    let versions = Versions::new();
    let (lines, words) = (versions.lines("lines"), versions.words());
    versions.run(false, move |flow| {
        lines(flow);
        words(flow);
    });
    let started = versions.start(false, versions.lines("lines"));
    let error = started.map(|_| ()).expect_err("refused");
    let Error::Preflight { preflight, .. } = error else {
        panic!("{error:?}");
    };
    let refused: Vec<_> = preflight.refusals().map(|line| line.part).collect();
    assert_eq!(refused, [Part::Source, Part::Sink, Part::Table]);

    let before = committed_rows(&versions.lines);
    let handle = versions
        .start(true, versions.lines("lines"))
        .expect("starts");
    assert!(handle.recovery().is_some(), "the other stream goes on");
    handle.wait().expect("ends well");
    assert_eq!(committed_rows(&versions.lines), before);
}

#[test]
fn streams_are_found_again_whatever_their_order() {
    let versions = Versions::new();
    let lines = || versions.named("lines", |_line| 1, LINES, &versions.lines);
    let words = || versions.named("words", word_count, WORDS, &versions.words);
    let (first, second) = (lines(), words());
    versions.run(false, move |flow| {
        first(flow);
        second(flow);
    });
    let (first, second) = (words(), lines());
    let swapped = move |flow: &Flow| {
        first(flow);
        second(flow);
    };
    let handle = versions.start(false, swapped).expect("starts");
    assert!(handle.recovery().expect("restored").finished);
    handle.wait().expect("ends well");
    assert_eq!(committed_rows(&versions.lines), one_row(LINES, 800));
    assert_eq!(committed_rows(&versions.words), one_row(WORDS, 4_000));
}

#[test]
fn an_operator_may_get_an_id_but_not_lose_it() {
    let versions = Versions::new();
    let unnamed = || versions.lines("lines");
    let named = || versions.named("lines", |_line| 1, LINES, &versions.lines);
    versions.run(false, unnamed());
    assert!(versions.check(named()).starts());
    versions.run(false, named());
    let error = versions.start(false, unnamed()).map(|_| ());
    let error = error.expect_err("refused");
    assert!(matches!(error, Error::Preflight { .. }), "{error:?}");
    let message = error.to_string();
    let dropped = "dropped       source    lines in (if it only moved give it the id";
    assert!(message.contains(dropped), "{message}");
}

#[test]
fn a_check_tells_what_becomes_of_each_part() {
    let versions = Versions::new();
    let named = || versions.named("lines", |_line| 1, LINES, &versions.lines);
    let before = versions.check(named());
    assert!(before.starts() && before.checkpoint.is_none());
    assert!(before.lines.iter().all(|line| line.verdict == Verdict::New));
    versions.run(false, named());

    let input = versions.input.1.clone();
    let output: Arc<dyn Storage> = Arc::new(versions.words.clone());
    let preflight = versions.check(|flow| {
        flow.source(TextFiles::new([&input]))
            .id("lines in")
            .filter(|line| !line.is_empty())
            .key_by_value(|_line| 0u64)
            .aggregate("lines", 0u32, |count, _line| *count += 1)
            .id("lines")
            .map(|(_zero, count)| (LINES.to_owned(), u64::from(*count)))
            .sink_with_id("other", CsvFiles::new("out").storage(Arc::clone(&output)));
    });
    assert!(!preflight.starts());
    let found: Vec<_> = preflight
        .lines
        .iter()
        .map(|line| (line.part, line.verdict, line.id.as_str()))
        .collect();
    let (operator, table) = (Part::Operator, Part::Table);
    assert_eq!(
        found,
        [
            (Part::Source, Verdict::Kept, "lines in"),
            (operator, Verdict::New, "source > filter"),
            (operator, Verdict::New, "source > filter > key_by_value"),
            (operator, Verdict::Kept, "lines"),
            (
                operator,
                Verdict::New,
                "source > filter > key_by_value > aggregate > map"
            ),
            (Part::Sink, Verdict::New, "other"),
            (operator, Verdict::Dropped, "source > key_by_value"),
            (
                operator,
                Verdict::Dropped,
                "source > key_by_value > aggregate > emit_at_end"
            ),
            (
                operator,
                Verdict::Dropped,
                "source > key_by_value > aggregate > emit_at_end > map"
            ),
            (Part::Sink, Verdict::Dropped, "lines out"),
            (table, Verdict::Incompatible, "lines"),
        ],
        "{preflight}"
    );
}

#[test]
fn a_stream_that_joins_a_finished_one_is_read() {
    let versions = Versions::new();
    versions.run(
        false,
        versions.named("lines", |_line| 1, LINES, &versions.lines),
    );
    let (input, output) = (versions.input.1.clone(), versions.lines.clone());
    versions.run(false, move |flow| {
        let old = flow.source(TextFiles::new([&input])).id("lines in");
        let new = flow.source(TextFiles::new([&input]).rounds(2)).id("more");
        old.union(new)
            .key_by_value(|_line| 0u64)
            .aggregate("lines", 0u64, |sum, _line| *sum += 1)
            .id("lines")
            .emit_at_end()
            .map(|(_zero, sum)| (LINES.to_owned(), *sum))
            .sink_with_id(
                "lines out",
                CsvFiles::new("lines").storage(Arc::new(output.clone())),
            );
    });
    let both = [((LINES.to_owned(), 800), 1), ((LINES.to_owned(), 2_400), 1)];
    assert_eq!(committed_rows(&versions.lines), BTreeMap::from(both));
}

/// Rewrites the manifests as they were before operators were listed in them.
fn forget_operators(storage: &dyn Storage) {
    let names = storage.list().expect("lists").into_iter();
    for name in names.filter(|name| name.starts_with("manifest-")) {
        let file = storage.open(&name).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.length_bytes()).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("reads");
        let mut manifest = decode(&name, &bytes).expect("whole");
        manifest.operators.clear();
        storage
            .publish(&name, &encode(&manifest))
            .expect("publishes");
    }
}

#[test]
fn checkpoint_without_a_list_of_operators_belongs_to_a_flow_that_begins_alike() {
    let versions = Versions::new();
    versions.run(false, versions.lines("lines"));
    forget_operators(&versions.checkpoints);
    let (first, second) = (versions.words(), versions.lines("lines"));
    let started = versions.start(false, move |flow| {
        flow.source(Iter::new(|_split, _splits| 0..1u64))
            .sink(Count::new());
        first(flow);
        second(flow);
    });
    let error = started.map(|_| ()).expect_err("refused");
    assert!(matches!(error, Error::OtherFlow { .. }), "{error:?}");

    let (first, second) = (versions.lines("lines"), versions.words());
    let both = move |flow: &Flow| {
        first(flow);
        second(flow);
    };
    let preflight = versions.check(&both);
    assert!(preflight.starts(), "{preflight}");
    versions.run(false, both);
    assert_eq!(committed_rows(&versions.lines), one_row(LINES, 800));
    assert_eq!(committed_rows(&versions.words), one_row(WORDS, 8_000));
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
