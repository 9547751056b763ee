//! User code that does not come back: the shard that runs it is named, and what happens then is
//! what the watchdog's settings say. Nothing of it depends on how fast the machine is.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use frazil::{
    CheckpointEvent, CheckpointOutcome, Checkpoints, Cores, CsvFiles, DriverChoice, Error, Iter,
    Job, JobHandle, RestartStrategy, StuckAction, StuckShard, Watchdog,
};
use frazil_io::storage::{MemoryStorage, Storage};
use frazil_tests::committed_rows;

const RECORDS: u64 = 2_000;
const KEYS: u64 = 20;
/// Record of shard 1 at which its code stands.
const STANDS_AT: u64 = 1_001;
const BOUND: Duration = Duration::from_millis(20);

/// How the code stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    /// It goes round and round.
    Loops,
    /// It sleeps in system calls.
    Sleeps,
}

/// What the test and the code that stands share.
#[derive(Clone, Debug, Default)]
struct Code {
    stands: Arc<AtomicBool>,
    is_let_go: Arc<AtomicBool>,
}

impl Code {
    fn pass(&self, stand: Stand) {
        while !self.is_let_go.load(Ordering::Relaxed) {
            self.stands.store(true, Ordering::Relaxed);
            match stand {
                Stand::Loops => std::hint::spin_loop(),
                Stand::Sleeps => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn let_go(&self) {
        self.is_let_go.store(true, Ordering::Relaxed);
    }
}

/// A job whose second shard stands still until it is let go.
struct Run {
    disk: MemoryStorage,
    stand: Stand,
    code: Code,
    events: Receiver<CheckpointEvent>,
    handle: JobHandle,
}

impl Run {
    fn start(driver: DriverChoice, stand: Stand, action: StuckAction) -> Self {
        let disk = MemoryStorage::new();
        let code = Code::default();
        let (events, handle) = start(&disk, driver, stand, &code, action);
        Self {
            disk,
            stand,
            code,
            events,
            handle,
        }
    }

    /// Waits until a shard is found to be stuck.
    fn stuck(&self) -> StuckShard {
        let mut events = self.events.iter();
        let stuck = events.find_map(|event| match event {
            CheckpointEvent::ShardStuck(stuck) => Some(stuck),
            _ => None,
        });
        let stuck = stuck.expect("the job runs until then");
        assert_eq!(stuck.shard, 1);
        assert!(stuck.operator.contains("inspect"), "{}", stuck.operator);
        assert_eq!(stuck.is_waiting, self.stand == Stand::Sleeps);
        assert!(stuck.since.elapsed() >= BOUND);
        stuck
    }
}

fn start(
    disk: &MemoryStorage,
    driver: DriverChoice,
    stand: Stand,
    code: &Code,
    action: StuckAction,
) -> (Receiver<CheckpointEvent>, JobHandle) {
    let (tell, events) = channel();
    let listener = move |event: &CheckpointEvent| {
        let _ = tell.send(event.clone());
    };
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let checkpoints = Checkpoints::manual().storage(Arc::clone(&storage));
    let job = Job::builder("stands")
        .cores(Cores::count(2))
        .driver(driver)
        .state_bytes_per_shard(64 << 20)
        .checkpoints(checkpoints.listener(listener))
        .restart(RestartStrategy::FixedDelay {
            restarts: 9,
            delay: Duration::ZERO,
        })
        .watchdog(Watchdog::after(BOUND).then(action))
        .build()
        .expect("valid settings");
    let code = code.clone();
    let handle = job.start(move |flow| {
        let code = code.clone();
        let numbers = Iter::new(|split, splits| (split as u64..RECORDS).step_by(splits));
        flow.source(numbers)
            .inspect(move |number| {
                if *number == STANDS_AT {
                    code.pass(stand);
                }
            })
            .key_by_value(|number| format!("key{}", number % KEYS))
            .aggregate("count", 0u64, |count, _number| *count += 1)
            .emit_at_end()
            .sink(CsvFiles::new("out").storage(Arc::clone(&storage)));
    });
    (events, handle.expect("starts"))
}

fn assert_equal_to_the_reference(disk: &MemoryStorage) {
    let expected = (0..KEYS).map(|key| ((format!("key{key}"), RECORDS / KEYS), 1));
    assert!(committed_rows(disk) == expected.collect(), "rows differ");
}

#[test]
fn a_shard_that_stands_still_is_named_and_may_go_on() {
    for driver in [DriverChoice::Thread, DriverChoice::Auto] {
        for stand in [Stand::Sleeps, Stand::Loops] {
            let run = Run::start(driver, stand, StuckAction::Report);
            let stuck = run.stuck();
            assert_eq!(run.handle.stuck_shards(), [stuck]);
            run.code.let_go();
            let goes_on =
                |event: CheckpointEvent| matches!(event, CheckpointEvent::ShardGoesOn { shard: 1 });
            assert!(run.events.iter().any(goes_on), "{driver:?} {stand:?}");
            assert_eq!(run.handle.stuck_shards(), []);
            run.handle.wait().expect("ends well");
            assert_equal_to_the_reference(&run.disk);
        }
    }
}

/// What a job says of its end, and what its history says of the checkpoint that was asked for.
fn failed(run: Run) -> (Error, Option<CheckpointOutcome>) {
    while !run.handle.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(run.handle.restarts().count, 0, "a stuck thread stays stuck");
    let history = run.handle.checkpoint_history();
    let outcome = history.last().map(|trace| trace.outcome.clone());
    (run.handle.wait().expect_err("a shard is stuck"), outcome)
}

#[test]
fn a_job_that_is_to_end_leaves_the_thread_behind_and_a_later_start_goes_on() {
    for (driver, stand) in [
        (DriverChoice::Thread, Stand::Loops),
        (DriverChoice::Auto, Stand::Sleeps),
    ] {
        let run = Run::start(driver, stand, StuckAction::EndJob);
        let (disk, code) = (run.disk.clone(), run.code.clone());
        run.handle
            .checkpoint()
            .expect_err("the barrier cannot pass");
        let (error, outcome) = failed(run);
        let text = error.to_string();
        let Error::ShardStuck {
            shard: 1,
            operator,
            still,
            ..
        } = error
        else {
            panic!("{text}");
        };
        assert!(operator.contains("inspect") && still >= BOUND, "{text}");
        assert_eq!(outcome, Some(CheckpointOutcome::Aborted { reason: text }));
        // The thread still stands there, and holds nothing that the next start needs.
        code.let_go();
        let (_, handle) = start(&disk, driver, stand, &code, StuckAction::EndJob);
        handle.wait().expect("ends well");
        assert_equal_to_the_reference(&disk);
    }
}

#[test]
fn a_cancel_does_not_wait_for_a_shard_that_is_left_behind() {
    let run = Run::start(DriverChoice::Thread, Stand::Sleeps, StuckAction::EndJob);
    while !run.code.stands.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    let canceled = run.handle.cancel().map(|end| end.how);
    assert!(
        matches!(canceled, Err(Error::ShardStuck { shard: 1, .. })),
        "{canceled:?}"
    );
    run.code.let_go();
}

/// Tells a second process of this program which end it is to come to.
const ABORTS: &str = "FRAZIL_TEST_ABORTS";

#[test]
fn a_process_is_aborted_where_its_supervisor_is_to_start_it_again() {
    if std::env::var_os(ABORTS).is_some() {
        let run = Run::start(
            DriverChoice::Thread,
            Stand::Loops,
            StuckAction::AbortProcess,
        );
        let ended = run.handle.wait();
        panic!("the process goes on: {ended:?}");
    }
    let name = "a_process_is_aborted_where_its_supervisor_is_to_start_it_again";
    let program = std::env::current_exe().expect("this program");
    let mut second = Command::new(program);
    let output = second.args(["--exact", name]).env(ABORTS, "1").output();
    let status = output.expect("runs").status;
    assert_eq!(status.signal(), Some(6), "SIGABRT: {status}");
}
