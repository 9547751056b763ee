//! What a job tells of its checkpoints: each phase of each shard lies where the protocol puts it,
//! and a dropped checkpoint says why and how far it came.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use frazil::{
    CheckpointEvent, CheckpointOutcome, CheckpointTrace, Checkpoints, Cores, Count, DriverChoice,
    Ended, Error, Iter, Job, JobHandle, PhaseTime, RestartStrategy,
};
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_tests::{Gate, MortalStorage, WordCount, input_file, text};

const WORDS: usize = 20_000;

fn word_count(input: &std::path::Path) -> WordCount {
    let mut run = WordCount::new(input, Arc::new(MemoryStorage::new()));
    run.shards = 2;
    run
}

fn assert_in_order(trace: &CheckpointTrace, begun: Instant) {
    let [sync, publish, commit] =
        [trace.sync, trace.publish, trace.commit].map(|phase| phase.expect("the phase is over"));
    assert!(begun <= trace.requested);
    assert_eq!(sync.end, publish.start);
    assert_eq!(publish.end, commit.start);
    assert_eq!(trace.shards.len(), 2);
    let is_over = |phase: Option<PhaseTime>| phase.expect("every shard reported");
    for shard in &trace.shards {
        let [align, freeze, capture] = [shard.align, shard.freeze, shard.capture].map(is_over);
        assert!(trace.requested <= align.start);
        assert_eq!((align.end, align.end), (freeze.start, capture.start));
        assert!(capture.end <= sync.start);
        if let Some(write) = shard.write {
            assert!(align.end <= write.start && write.end <= sync.start);
        }
        for phase in [align, freeze, capture] {
            assert!(phase.start <= phase.end && phase.duration() <= begun.elapsed());
        }
    }
    let frames: u64 = trace.shards.iter().map(|shard| shard.bytes).sum();
    assert!(frames < trace.bytes, "the manifest has bytes too");
}

#[test]
fn history_has_every_phase_of_every_shard_on_one_clock() {
    let (_folder, input) = input_file(&text(WORDS, 2_000));
    let begun = Instant::now();
    let run = WordCount {
        gate: Gate::closed(),
        ..word_count(&input)
    };
    let handle = run.start().expect("starts");
    let mut made = Vec::new();
    for _ in 0..3 {
        run.gate.allow(1_000);
        made.push(handle.checkpoint().expect("durable"));
    }
    let history = handle.checkpoint_history();
    assert_eq!(history.len(), made.len());
    for (trace, report) in history.iter().zip(&made) {
        assert_eq!(trace.checkpoint, report.checkpoint);
        assert_eq!(trace.outcome, CheckpointOutcome::Committed);
        assert_eq!(trace.bytes, report.bytes);
        let publish = trace.publish.expect("durable");
        assert_eq!(publish.end, report.durable_at);
        assert_in_order(trace, begun);
    }
    let requests = history
        .windows(2)
        .map(|two| (two[0].commit, two[1].requested));
    for (committed, requested) in requests {
        assert!(
            committed.expect("committed").end <= requested,
            "one at a time"
        );
    }
    run.gate.allow(u64::MAX);
    handle.wait().expect("ends well");
}

#[test]
fn history_says_why_a_checkpoint_was_dropped_and_how_far_it_came() {
    let (_folder, input) = input_file(&text(WORDS, 2_000));
    let full = FaultPlan::none().full_during(0..2);
    let storage = MortalStorage::new(&MemoryStorage::new(), full);
    let mut run = word_count(&input);
    run.gate = Gate::closed();
    run.checkpoints = Arc::new(storage);
    let handle = run.start().expect("starts");
    run.gate.allow(1_000);
    let Err(Error::CheckpointDropped { reason: given, .. }) = handle.checkpoint() else {
        panic!("the disk is full");
    };
    let history = handle.checkpoint_history();
    let [trace] = &history[..] else {
        panic!("one checkpoint was asked for: {history:?}");
    };
    let CheckpointOutcome::Dropped { reason } = &trace.outcome else {
        panic!("{trace:?}");
    };
    assert_eq!(*reason, given);
    assert!(trace.shards.iter().any(|shard| shard.align.is_some()));
    assert_eq!((trace.publish, trace.commit), (None, None));
    run.gate.allow(u64::MAX);
    handle.wait().expect("there is room again");
}

/// A job whose first shard stands at a record until a checkpoint is requested; then its code
/// `goes_on`, in front of the barrier. The other shard has its `witness` until it ends.
fn held<W: Witness>(
    witness: W,
    goes_on: impl Fn() + Send + Sync + 'static,
) -> (JobHandle, Receiver<CheckpointEvent>) {
    let (request, requested) = channel();
    let (tell, events) = channel();
    let listener = move |event: &CheckpointEvent| {
        if matches!(event, CheckpointEvent::Requested { .. }) {
            let _ = request.send(());
        }
        let _ = tell.send(event.clone());
    };
    let checkpoints = Checkpoints::manual().storage(Arc::new(MemoryStorage::new()));
    let job = Job::builder("held")
        .cores(Cores::count(2))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(64 << 20)
        .checkpoints(checkpoints.listener(listener))
        .restart(RestartStrategy::None)
        .build()
        .expect("valid settings");
    let code = Arc::new((Mutex::new(requested), goes_on));
    let handle = job.start(move |flow| {
        let (code, mut witness) = (Arc::clone(&code), witness.clone());
        flow.source(Iter::new(|split, _| [split as u64].into_iter()).splits(2))
            .inspect(move |split| {
                if *split == 1 {
                    witness.sees();
                } else {
                    let _ = code.0.lock().expect("one shard").recv();
                    (code.1)();
                }
            })
            .sink(Count::new());
    });
    (handle.expect("starts"), events)
}

/// What a shard's code has.
trait Witness: Clone + Send + Sync + 'static {
    fn sees(&mut self);
}

impl Witness for () {
    fn sees(&mut self) {}
}

/// Says that the shard which has seen a record has ended.
#[derive(Clone)]
struct TellsEnd {
    has_seen: bool,
    sees: Sender<()>,
    ends: Sender<()>,
}

impl Witness for TellsEnd {
    fn sees(&mut self) {
        self.has_seen = true;
        let _ = self.sees.send(());
    }
}

impl Drop for TellsEnd {
    fn drop(&mut self) {
        if self.has_seen {
            let _ = self.ends.send(());
        }
    }
}

/// The one checkpoint of a job that has ended, and what was told of it.
fn aborted(handle: &JobHandle, events: &Receiver<CheckpointEvent>) -> String {
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    let history = handle.checkpoint_history();
    let [trace] = &history[..] else {
        panic!("one checkpoint was asked for: {history:?}");
    };
    let CheckpointOutcome::Aborted { reason } = &trace.outcome else {
        panic!("{trace:?}");
    };
    let told = events.try_iter().filter_map(|event| match event {
        CheckpointEvent::Aborted { checkpoint, reason } => Some((checkpoint, reason)),
        _ => None,
    });
    let expected = [(trace.checkpoint, reason.clone())];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    reason.clone()
}

#[test]
fn a_checkpoint_in_flight_when_the_job_fails_ends_with_the_reason() {
    let (handle, events) = held((), || panic!("planted"));
    let asked = handle.checkpoint().map(|report| report.checkpoint);
    assert!(matches!(asked, Err(Error::Ended)), "{asked:?}");
    let reason = aborted(&handle, &events);
    assert!(reason.contains("planted"), "{reason}");
    let failed = handle.wait().map(|_| ()).expect_err("panicked");
    assert_eq!(failed.to_string(), reason);
}

#[test]
fn a_checkpoint_in_flight_when_the_job_is_canceled_ends_with_the_reason() {
    let (sees, seen) = channel();
    let (ends, other_ends) = channel();
    let witness = TellsEnd {
        has_seen: false,
        sees,
        ends,
    };
    // The shard stands in front of the barrier until the other one has ended.
    let other_ends = Mutex::new(other_ends);
    let (handle, events) = held(witness, move || {
        let _ = other_ends.lock().expect("one shard").recv();
    });
    seen.recv().expect("the other shard runs");
    std::thread::scope(|scope| {
        scope.spawn(|| handle.checkpoint().expect_err("the job is canceled"));
        events.recv().expect("requested");
        handle.stopper().cancel();
    });
    assert_eq!(aborted(&handle, &events), "the job was canceled");
    assert_eq!(handle.end().expect("canceled").how, Ended::Canceled);
}
