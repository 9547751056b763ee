//! Starts from an older checkpoint than the newest, and from none although there are some: what was
//! left behind never counts again, a crash at any moment keeps the choice or leaves all as it was,
//! and output is exactly once.

use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{Ended, Error, JobHandle, StartFrom};
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_tests::{
    Gate, MortalStorage, WordCount, committed_rows, input_file, manifests, reference_rows, text,
};

/// A word count that was stopped after some checkpoints.
struct Stopped {
    _folder: tempfile::TempDir,
    disk: MemoryStorage,
    text: String,
    run: WordCount,
    made: Vec<u64>,
}

impl Stopped {
    fn new() -> Self {
        let text = text(12_000, 400);
        let (folder, input) = input_file(&text);
        let disk = MemoryStorage::new();
        let mut run = WordCount::new(&input, Arc::new(disk.clone()));
        run.keep = 10;
        run.gate = Gate::closed();
        let handle = run.start().expect("starts");
        let mut made = Vec::new();
        for _ in 0..4 {
            run.gate.allow(300);
            made.push(handle.checkpoint().expect("durable").checkpoint);
        }
        handle.stop();
        let last = handle
            .end()
            .expect("stops")
            .checkpoint
            .expect("the last one");
        made.push(last.checkpoint);
        run.gate = Gate::open();
        Self {
            _folder: folder,
            disk,
            text,
            run,
            made,
        }
    }

    fn start(&self, from: StartFrom) -> Result<JobHandle, Error> {
        let run = WordCount {
            start_from: from,
            ..self.run.clone()
        };
        run.start()
    }

    fn assert_equal_to_the_reference(&self, output: &MemoryStorage) {
        let expected = reference_rows(&self.text, self.run.rounds);
        assert!(committed_rows(output) == expected, "rows differ");
    }
}

fn restored(handle: &JobHandle) -> Option<u64> {
    handle.recovery().map(|recovery| recovery.checkpoint)
}

#[test]
fn a_job_goes_on_from_the_checkpoint_that_was_chosen_and_leaves_newer_ones_behind() {
    let stopped = Stopped::new();
    let (chosen, newer) = (stopped.made[1], &stopped.made[2..]);
    let handle = stopped
        .start(StartFrom::Checkpoint(chosen))
        .expect("starts");
    assert_eq!(restored(&handle), Some(chosen));
    assert_eq!(handle.recovery().expect("restored").left_behind, newer);
    handle.wait().expect("ends well");
    stopped.assert_equal_to_the_reference(&stopped.disk);
    let again = stopped.start(StartFrom::Newest).expect("starts");
    assert!(
        restored(&again) > newer.last().copied(),
        "an abandoned one counted"
    );
    again.wait().expect("has ended");
    stopped.assert_equal_to_the_reference(&stopped.disk);
    let kept = manifests(&stopped.disk)
        .into_iter()
        .map(|manifest| manifest.checkpoint);
    assert!(
        kept.into_iter().all(|n| !newer.contains(&n)),
        "an abandoned one is kept"
    );
}

#[test]
fn a_choice_outlives_a_crash_before_the_first_new_checkpoint() {
    let stopped = Stopped::new();
    let chosen = stopped.made[1];
    let closed = WordCount {
        start_from: StartFrom::Checkpoint(chosen),
        gate: Gate::closed(),
        ..stopped.run.clone()
    };
    let handle = closed.start().expect("starts");
    assert_eq!(handle.cancel().expect("cancels").how, Ended::Canceled);
    let handle = stopped.start(StartFrom::Newest).expect("starts");
    assert_eq!(restored(&handle), Some(chosen));
    handle.wait().expect("ends well");
    stopped.assert_equal_to_the_reference(&stopped.disk);
}

#[test]
fn a_crash_at_any_moment_of_such_a_start_keeps_the_choice_or_leaves_all_as_it_was() {
    let stopped = Stopped::new();
    let (chosen, newest) = (stopped.made[1], stopped.made[4]);
    let mut seen = [false; 2];
    for operation in (0..).step_by(3) {
        let disk = stopped.disk.after_process_crash();
        let plan = FaultPlan::none().crash_at(operation).with_seed(operation);
        let mortal = MortalStorage::new(&disk, plan);
        let run = WordCount {
            start_from: StartFrom::Checkpoint(chosen),
            gate: Gate::closed(),
            ..stopped.run.on(Arc::new(mortal))
        };
        let started = run.start();
        let is_whole = started.is_ok();
        if let Ok(handle) = started {
            let _ = handle.cancel();
        }
        let disk = disk.after_power_loss(operation);
        let handle = stopped
            .run
            .on(Arc::new(disk.clone()))
            .start()
            .expect("starts");
        let restored = restored(&handle);
        assert!(
            [Some(chosen), Some(newest)].contains(&restored),
            "{restored:?}"
        );
        seen[usize::from(restored == Some(chosen))] = true;
        handle.wait().expect("ends well");
        stopped.assert_equal_to_the_reference(&disk);
        if is_whole {
            break;
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn fresh_begins_with_the_input_once_sinks_have_an_empty_folder() {
    let stopped = Stopped::new();
    let refused = stopped.start(StartFrom::Fresh).map(|_| ());
    let refused = refused
        .expect_err("there is output of another run")
        .to_string();
    assert!(refused.contains("part-"), "{refused}");
    let newest = stopped
        .start(StartFrom::Newest)
        .expect("nothing has changed");
    assert_eq!(restored(&newest), Some(stopped.made[4]));
    newest.cancel().expect("cancels");
    let output = MemoryStorage::new();
    let mut fresh = stopped.run.clone();
    fresh.output = Arc::new(output.clone()) as Arc<dyn Storage>;
    fresh.start_from = StartFrom::Fresh;
    fresh.gate = Gate::closed();
    let canceled = fresh.start().expect("starts");
    assert_eq!(restored(&canceled), None);
    canceled.cancel().expect("cancels");
    assert_eq!(manifests(&stopped.disk).len(), stopped.made.len(), "wiped");
    fresh.start_from = StartFrom::Newest;
    fresh.gate = Gate::open();
    let handle = fresh.start().expect("starts");
    assert_eq!(restored(&handle), None, "the choice was forgotten");
    handle.wait().expect("ends well");
    stopped.assert_equal_to_the_reference(&output);
    let again = fresh.start().expect("starts");
    assert!(restored(&again) > Some(stopped.made[4]));
    again.wait().expect("has ended");
    let mut kept = manifests(&stopped.disk).into_iter();
    assert!(kept.all(|manifest| manifest.checkpoint > stopped.made[4]));
}

#[test]
fn a_named_checkpoint_must_be_there_and_whole() {
    let stopped = Stopped::new();
    let missing = stopped.start(StartFrom::Checkpoint(99)).map(|_| ());
    assert!(
        matches!(missing, Err(Error::UnknownCheckpoint { .. })),
        "{missing:?}"
    );
    let chosen = stopped.made[1];
    stopped
        .disk
        .remove(&format!("manifest-{chosen:010}"))
        .expect("removed");
    stopped
        .disk
        .publish(&format!("manifest-{chosen:010}"), b"no manifest")
        .expect("published");
    let damaged = stopped.start(StartFrom::Checkpoint(chosen)).map(|_| ());
    assert!(matches!(damaged, Err(Error::Format(_))), "{damaged:?}");
    let handle = stopped.start(StartFrom::Newest).expect("starts");
    assert_eq!(restored(&handle), Some(stopped.made[4]));
    handle.wait().expect("ends well");
    stopped.assert_equal_to_the_reference(&stopped.disk);
}
