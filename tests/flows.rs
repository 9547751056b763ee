//! Flows of other shapes: two exchanges under pressure with checkpoints, stops and crashes at
//! random moments; records pushed by the application; sinks that call, count and send.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use frazil::{
    ChannelSink, Checkpoints, Cores, Count, CsvFiles, DriverChoice, ForEach, Iter, Job, JobBuilder,
    StagingSize, Tuning, push,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::{
    JoinedWords, Step, TwoExchanges, committed_rows, input_file, run_through, text,
};
use proptest::prelude::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerLoss),
    ];
    prop::collection::vec(step, 0..8)
}

fn tuning(chunk_count: usize, ring_messages: usize) -> Tuning {
    Tuning {
        ring_messages,
        staging: StagingSize {
            chunk_count,
            chunk_bytes: 8 << 10,
        },
        row_buffers: 1,
        ..Tuning::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn two_exchanges_under_pressure_give_the_plain_result(
        steps in steps(),
        shards in 1..5_usize,
        chunk_count in 1..5_usize,
        ring_messages in 1..4_usize,
    ) {
        let text = text(6_000, 500);
        let (_folder, input) = input_file(&text);
        let run = TwoExchanges {
            input,
            rounds: 12,
            shards,
            storage: Arc::new(MemoryStorage::new()),
            tuning: tuning(chunk_count, ring_messages),
        };
        let reference = run.reference_rows(&text);
        let start = |storage| TwoExchanges { storage, ..run.clone() }.start();
        let disk = run_through(start, &steps);
        prop_assert_eq!(committed_rows(&disk), reference);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn joined_and_branched_streams_give_the_plain_result(
        steps in steps(),
        // Of the starts in turn.
        shards in prop::collection::vec(1..5_usize, 1..4),
        ring_messages in 1..4_usize,
    ) {
        let texts = [text(3_000, 400), text(9_000, 500)];
        let inputs = texts.each_ref().map(|text| input_file(text));
        let run = JoinedWords {
            inputs: inputs.each_ref().map(|(_folder, input)| input.clone()),
            rounds: 8,
            shards: 1,
            tuning: tuning(4, ring_messages),
        };
        let reference = run.reference_rows(texts.each_ref().map(String::as_str));
        let mut starts = shards.iter().cycle();
        let start = |storage| {
            let shards = *starts.next().expect("an endless cycle");
            JoinedWords { shards, ..run.clone() }.start(storage)
        };
        let disk = run_through(start, &steps);
        prop_assert_eq!(committed_rows(&disk), reference);
    }
}

#[test]
fn declined_checkpoints_are_followed_by_one_that_completes() {
    let text = text(20_000, 15_000);
    let (_folder, input) = input_file(&text);
    let disk = MemoryStorage::new();
    let run = TwoExchanges {
        input,
        rounds: 30,
        shards: 2,
        storage: Arc::new(disk.clone()),
        tuning: tuning(1, 2),
    };
    let statistics = run.start().expect("starts").wait().expect("ends well");
    let (failed, completed) = (
        statistics.checkpoints.failed_count,
        statistics.checkpoints.completed_count,
    );
    assert!(failed > 0, "nothing was declined: completed={completed}");
    assert!(completed > 1, "only the last completed: failed={failed}");
    assert!(committed_rows(&disk) == run.reference_rows(&text));
}

fn builder(shards: usize, disk: &MemoryStorage) -> JobBuilder {
    let checkpoints = Checkpoints::every(Duration::from_millis(2));
    Job::builder("small")
        .cores(Cores::count(shards))
        .checkpoints(checkpoints.storage(Arc::new(disk.clone())))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
}

#[test]
fn every_pushed_record_is_counted_once() {
    for shards in 1..=4 {
        let disk = MemoryStorage::new();
        let (pusher, source) = push::channel::<u64>(64);
        let output = Arc::new(disk.clone());
        let job = builder(shards, &disk).build().expect("valid settings");
        let handle = job.start(move |flow| {
            flow.source(source.clone())
                .key_by_value(|number| format!("key{}", number % 10))
                .aggregate("count", 0u64, |count, _number| *count += 1)
                .emit_at_end()
                .sink(CsvFiles::new("out").storage(output.clone()));
        });
        let handle = handle.expect("starts");
        let pushers: Vec<_> = (0..4)
            .map(|_| {
                let pusher = pusher.clone();
                std::thread::spawn(move || {
                    (0..5_000).for_each(|number| pusher.push(number).expect("the job runs"));
                })
            })
            .collect();
        drop(pusher);
        for pusher in pushers {
            pusher.join().expect("pushes all");
        }
        handle.wait().expect("ends well");
        let expected = (0..10).map(|key| ((format!("key{key}"), 2_000), 1));
        assert_eq!(committed_rows(&disk), expected.collect(), "shards={shards}");
    }
}

fn numbers() -> Iter<impl Fn(usize, usize) -> std::iter::StepBy<std::ops::Range<u64>>> {
    Iter::new(|split, split_count| (split as u64..50_000).step_by(split_count))
}

#[test]
fn functions_are_called_and_records_counted_once_without_a_crash() {
    let (sum, called, counted) = (Arc::new(AtomicU64::new(0)), Arc::default(), Count::new());
    let (shared, calls, counter) = (Arc::clone(&sum), Arc::clone(&called), counted.clone());
    let disk = MemoryStorage::new();
    let job = builder(3, &disk).build().expect("valid settings");
    let handle = job.start(move |flow| {
        let (sum, called) = (Arc::clone(&shared), Arc::clone(&calls));
        flow.source(numbers())
            .sink(ForEach::new(move |number: &u64| {
                sum.fetch_add(*number, Ordering::Relaxed);
            }));
        flow.source(numbers())
            .key_by_value(|number| number % 7)
            .aggregate("count", 0u64, |count, _number| *count += 1)
            .emit_at_end()
            .sink(ForEach::new(move |(key, count): (&u64, &u64)| {
                let mut called: std::sync::MutexGuard<'_, BTreeMap<u64, u64>> =
                    Mutex::lock(&called).expect("no panic");
                assert_eq!(called.insert(*key, *count), None, "key={key} twice");
            }));
        flow.source(numbers()).sink(counter.clone());
    });
    handle.expect("starts").wait().expect("ends well");
    assert_eq!(sum.load(Ordering::Relaxed), (0..50_000).sum::<u64>());
    assert_eq!(counted.get(), 50_000);
    let records_of = |key| (0..50_000_u64).filter(move |number| number % 7 == key);
    let expected = (0..7).map(|key| (key, records_of(key).count() as u64));
    assert_eq!(*called.lock().expect("no panic"), expected.collect());
}

#[test]
fn a_channel_gets_every_record_once_also_across_a_stop() {
    let disk = MemoryStorage::new();
    let (sink, received) = ChannelSink::<(u64, u64)>::new();
    let start = || {
        let sink = sink.clone();
        let job = builder(2, &disk).build().expect("valid settings");
        let handle = job.start(move |flow| {
            flow.source(numbers())
                .key_by_value(|number| number % 100)
                .aggregate("count", 0u64, |count, _number| *count += 1)
                .sink(sink.clone());
        });
        handle.expect("starts")
    };
    let first = start();
    first.checkpoint().expect("durable");
    first.stop();
    first.wait().expect("stops well");
    start().wait().expect("ends well");
    drop(sink);
    let mut updates: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (key, count) in received {
        updates.entry(key).or_default().push(count);
    }
    assert_eq!(updates.len(), 100);
    for (key, counts) in updates {
        assert!(counts.iter().copied().eq(1..=500), "key={key}: {counts:?}");
    }
}
