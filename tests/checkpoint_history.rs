//! What a job tells of its checkpoints: each phase of each shard lies where the protocol puts it,
//! and a dropped checkpoint says why and how far it came.

use std::sync::Arc;
use std::time::Instant;

use frazil::{CheckpointOutcome, CheckpointTrace, Error, PhaseTime};
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
