//! A sync fails: the checkpoint is dropped and never synced again on the same file, which
//! `MortalStorage` watches. The job goes on, and a crash right afterwards changes nothing either.

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil::Error;
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_tests::{
    MortalStorage, WordCount, assert_nothing_early, committed_rows, input_file, reference_rows,
    text,
};

/// Operations whose sync fails, one a run: the first checkpoints.
const OPERATIONS: u64 = 90;

struct Case {
    run: WordCount,
    reference: BTreeMap<(String, u64), u64>,
}

impl Case {
    fn ends_equal(&self, disk: &MemoryStorage, durable: Option<u64>, case: &str) {
        assert_nothing_early(disk, &self.reference);
        let handle = self.run.on(Arc::new(disk.clone())).start();
        let handle = handle.unwrap_or_else(|error| panic!("{case}: {error}"));
        let restored = handle.recovery().map(|recovery| recovery.checkpoint);
        assert!(restored >= durable, "{case}: {restored:?} < {durable:?}");
        let skipped = handle
            .recovery()
            .map_or(0, |recovery| recovery.skipped.len());
        assert_eq!(skipped, 0, "{case}: {:?}", handle.recovery());
        let ended = handle.wait();
        ended.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(
            committed_rows(disk) == self.reference,
            "{case}: rows differ"
        );
    }

    /// Runs with one failing sync; gives how many checkpoints were dropped.
    fn fail_sync_at(&self, operation: u64) -> usize {
        let disk = MemoryStorage::new();
        let plan = FaultPlan::none().fail_sync_at(operation);
        let storage = MortalStorage::new(&disk, plan);
        let case = format!("shards={} fail_sync_at={operation}", self.run.shards);
        let (mut durable, mut dropped, mut was_started) = (None, 0, false);
        let outcome = self.run.on(Arc::new(storage)).run_in_steps(|asked| {
            was_started = true;
            match asked {
                Ok(report) => durable = Some(report.checkpoint),
                Err(Error::CheckpointDropped { reason, .. }) => {
                    assert!(reason.contains("failed to sync"), "{case}: {reason}");
                    dropped += 1;
                    let killed = disk.after_process_crash();
                    self.ends_equal(&killed, durable, &format!("{case} killed"));
                    let cut = disk.after_power_loss(operation);
                    self.ends_equal(&cut, durable, &format!("{case} power loss"));
                }
                Err(error) => panic!("{case}: {error}"),
            }
        });
        match outcome {
            Ok(()) => {}
            Err(error) if !was_started => {
                let message = error.to_string();
                assert!(message.contains("failed to sync"), "{case}: {message}");
                self.ends_equal(&disk, None, &case);
            }
            Err(error) => panic!("{case}: {error}"),
        }
        assert!(
            committed_rows(&disk) == self.reference,
            "{case}: rows differ"
        );
        dropped
    }
}

#[test]
fn a_failed_sync_drops_one_checkpoint_and_nothing_else() {
    let text = text(10_000, 900);
    let (_folder, input) = input_file(&text);
    for shards in [1, 2] {
        let mut run = WordCount::new(&input, Arc::new(MemoryStorage::new()));
        run.shards = shards;
        let reference = reference_rows(&text, run.rounds);
        let case = Case { run, reference };
        let dropped: Vec<usize> = (0..OPERATIONS)
            .map(|operation| case.fail_sync_at(operation))
            .collect();
        assert!(dropped.iter().sum::<usize>() >= 5, "{dropped:?}");
        assert!(dropped.iter().all(|count| *count <= 1), "{dropped:?}");
    }
}
