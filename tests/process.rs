//! The `process` operator: states of each kind under checkpoints, stops, kills and power losses
//! give what plain maps give; errors of states and of the user's own code end the job by name.

use std::sync::Arc;
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Cores, Count, DriverChoice, Error, Flow, FlowError, Iter, Job, LogicalClock,
    StagingSize, Tuning,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::{
    KeyedStates, Step, TimedWords, WalkedWords, check_walks, committed_rows, input_file,
    run_through, text,
};
use proptest::prelude::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Stop),
        2 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerLoss),
    ];
    prop::collection::vec(step, 0..8)
}

fn tuning(chunk_count: usize) -> Tuning {
    Tuning {
        ring_messages: 2,
        staging: StagingSize {
            chunk_count,
            chunk_bytes: 8 << 10,
        },
        row_buffers: 2,
        ..Tuning::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn states_give_the_plain_result_whatever_happens(
        steps in steps(),
        shards in 1..4_usize,
        chunk_count in 1..5_usize,
    ) {
        let text = text(4_000, 300);
        let (_folder, input) = input_file(&text);
        let run = KeyedStates { input, rounds: 6, shards, tuning: tuning(chunk_count) };
        let disk = run_through(|storage| run.start(storage), &steps);
        prop_assert_eq!(committed_rows(&disk), run.reference_rows(&text));
    }

    #[test]
    fn each_key_is_visited_once_by_a_walk_whatever_happens(
        steps in steps(),
        shards in 1..4_usize,
        chunk_count in 1..5_usize,
    ) {
        let (_folder, input) = input_file(&text(4_000, 300));
        let run = WalkedWords { input, rounds: 4, ticks: 40, shards, tuning: tuning(chunk_count) };
        let disk = run_through(|storage| run.start(storage), &steps);
        check_walks(committed_rows(&disk), 40);
    }

    #[test]
    fn each_timer_fires_once_whatever_happens(
        steps in steps(),
        shards in 1..4_usize,
        chunk_count in 1..5_usize,
    ) {
        let text = text(4_000, 300);
        let (_folder, input) = input_file(&text);
        let (clock, tuning) = (LogicalClock::default(), tuning(chunk_count));
        let run = TimedWords { input, rounds: 4, shards, tuning, clock };
        let start = |storage| {
            // The job was down for a while.
            run.clock.advance_ms(20);
            run.start(storage)
        };
        let disk = run_through(start, &steps);
        prop_assert_eq!(committed_rows(&disk), run.reference_rows(&text));
    }
}

/// Runs a flow over some numbers on one shard until it fails.
fn failure(declare: impl Fn(&Flow) + Send + Sync + 'static) -> Error {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let job = Job::builder("fails")
        .restart(frazil::RestartStrategy::None)
        .cores(Cores::count(1))
        .checkpoints(Checkpoints::every(Duration::from_millis(5)).storage(storage))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(64 << 20)
        .build()
        .expect("valid settings");
    let handle = job.start(declare).expect("starts");
    handle.wait().expect_err("the job fails")
}

fn numbers() -> Iter<impl Fn(usize, usize) -> std::iter::StepBy<std::ops::Range<u64>>> {
    Iter::new(|split, split_count| (split as u64..100).step_by(split_count))
}

#[test]
fn error_of_a_process_function_ends_the_job_and_names_the_operator() {
    let error = failure(|flow| {
        flow.source(numbers())
            .key_by(|number| number)
            .process(
                |_states| (),
                |(), number, _cx, out| {
                    let parsed: u8 = number.to_string().repeat(2).parse()?;
                    out.push_owned(u64::from(parsed));
                    Ok(())
                },
            )
            .sink(Count::new());
    });
    let Error::Flow(FlowError::Process { operator, source }) = &error else {
        panic!("{error}");
    };
    assert_eq!(*operator, 2);
    assert!(source.is::<std::num::ParseIntError>(), "{source}");
}

#[test]
fn failed_state_ends_the_job_and_is_named() {
    let error = failure(|flow| {
        flow.source(numbers())
            .key_by_value(|number| "k".repeat(1000 + usize::try_from(*number).expect("small")))
            .process(
                |states| states.value::<u64>("long keys"),
                |seen, number, cx, out| {
                    seen.put(cx, number)?;
                    out.push(number);
                    Ok(())
                },
            )
            .sink(Count::new());
    });
    assert!(
        matches!(&error, Error::Flow(FlowError::State { name, .. }) if name == "long keys"),
        "{error}"
    );
}
