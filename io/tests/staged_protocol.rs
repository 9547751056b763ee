//! Whatever happens to the storage, the committed rows are those of the restored checkpoint, and at
//! the end those of a run in which nothing happened.

use std::sync::Arc;

use frazil_io::staged::{StagedError, StagedFiles, StagedNames};
use frazil_io::storage::{FaultPlan, FaultyStorage, MemoryStorage, Storage};

const HEADER: &[u8] = b"word,count\n";
const LAST_GENERATION: u64 = 6;

/// A durable checkpoint: its generation and its list.
type Checkpoint = (u64, Vec<u8>);

fn output(storage: Arc<dyn Storage>) -> StagedFiles {
    let names = StagedNames::new("part-", "csv");
    StagedFiles::new(storage, names, Some(HEADER.to_vec()))
}

/// The rows of generations up to `generation`, in three pieces each; generation 5 has none.
fn rows_up_to(generation: u64) -> String {
    let rows = (1..=generation).filter(|generation| *generation != 5);
    rows.flat_map(|generation| (0..3).map(move |piece| format!("{generation},{piece}\n")))
        .collect()
}

/// Repeats what may succeed the second time, as a checkpoint writer does.
fn insist<T>(mut work: impl FnMut() -> Result<T, StagedError>) -> Result<T, StagedError> {
    work().or_else(|_| work()).or_else(|_| work())
}

/// Runs a job from its last checkpoint to its end. Checkpoint 2 is aborted before its pre-commit
/// and 4 after it; any other is dropped when its pre-commit fails, except the last.
fn run_job(
    storage: Arc<dyn Storage>,
    checkpoints: &mut Vec<Checkpoint>,
) -> Result<(), StagedError> {
    let mut output = output(storage);
    let restored = checkpoints.last().cloned();
    let from = restored.as_ref().map_or(0, |(generation, _)| *generation);
    insist(|| {
        output.recover(
            restored
                .as_ref()
                .map(|(number, list)| (*number, list.as_slice())),
        )
    })?;
    for generation in from + 1..=LAST_GENERATION {
        for piece in (0..3).filter(|_| generation != 5) {
            insist(|| output.stage(generation, format!("{generation},{piece}\n").as_bytes()))?;
        }
        if generation == 2 {
            continue;
        }
        let list = if generation == LAST_GENERATION {
            insist(|| output.pre_commit(generation))?
        } else {
            let Ok(list) = output.pre_commit(generation) else {
                continue;
            };
            list
        };
        if generation == 4 {
            continue;
        }
        checkpoints.push((generation, list));
        insist(|| output.commit(generation))?;
    }
    Ok(())
}

fn content(storage: &dyn Storage, name: &str) -> String {
    let file = storage.open(name).expect("the file is listed");
    let length = usize::try_from(file.length_bytes()).expect("small files");
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0).expect("a whole file");
    String::from_utf8(bytes).expect("rows are text")
}

fn committed_names(storage: &dyn Storage) -> Vec<String> {
    let mut names = storage.list().expect("a storage that works");
    names.retain(|name| name.starts_with("part-"));
    names
}

fn committed_rows(storage: &dyn Storage) -> String {
    let header = str::from_utf8(HEADER).expect("text");
    let rows = committed_names(storage).into_iter().map(|name| {
        let content = content(storage, &name);
        content.strip_prefix(header).expect("a header").to_owned()
    });
    rows.collect()
}

/// Restores from `checkpoints` and checks what is committed then, and at the end of the job.
fn recovers(disk: &MemoryStorage, mut checkpoints: Vec<Checkpoint>, story: &str) {
    let restored = checkpoints.last().cloned();
    let restored = restored
        .as_ref()
        .map(|(number, list)| (*number, list.as_slice()));
    output(Arc::new(disk.clone()))
        .recover(restored)
        .expect(story);
    let generation = restored.map_or(0, |(generation, _)| generation);
    assert_eq!(committed_rows(disk), rows_up_to(generation), "{story}");
    // What recovery did has to survive as well.
    let disk = disk.after_power_loss(generation);
    assert_eq!(committed_rows(&disk), rows_up_to(generation), "{story}");
    run_job(Arc::new(disk.clone()), &mut checkpoints).expect(story);
    assert_eq!(
        committed_rows(&disk),
        rows_up_to(LAST_GENERATION),
        "{story}"
    );
    assert_eq!(disk.list().expect(story), committed_names(&disk), "{story}");
}

/// Operations of a job in which nothing happens.
fn operation_count() -> u64 {
    let faulty = FaultyStorage::new(Arc::new(MemoryStorage::new()), FaultPlan::none());
    run_job(Arc::new(faulty.clone()), &mut Vec::new()).expect("nothing fails");
    faulty.operations()
}

#[test]
fn a_crash_at_any_operation_leaves_the_rows_of_the_last_checkpoint() {
    for operation in 0..operation_count() {
        for seed in 0..8 {
            let disk = MemoryStorage::new();
            let plan = FaultPlan::none().crash_at(operation).with_seed(seed);
            let mut checkpoints = Vec::new();
            let faulty = Arc::new(FaultyStorage::new(Arc::new(disk.clone()), plan));
            let crashed = run_job(faulty, &mut checkpoints);
            assert!(crashed.is_err(), "operation {operation} did not crash");
            let story = format!("crash at operation {operation}, seed {seed}");
            recovers(&disk.after_power_loss(seed), checkpoints.clone(), &story);
            recovers(&disk.after_process_crash(), checkpoints, &story);
        }
    }
}

#[test]
fn a_crash_while_recovering_changes_nothing_about_the_outcome() {
    let disk = MemoryStorage::new();
    let mut checkpoints = Vec::new();
    run_job(Arc::new(disk.clone()), &mut checkpoints).unwrap();
    let mut behind = output(Arc::new(disk.clone()));
    behind.stage(7, b"never,listed\n").unwrap();
    checkpoints.truncate(1);
    let (generation, list) = checkpoints[0].clone();
    for operation in 0..20 {
        for seed in 0..8 {
            let crashing = disk.after_power_loss(seed);
            let plan = FaultPlan::none().crash_at(operation).with_seed(seed);
            let faulty = FaultyStorage::new(Arc::new(crashing.clone()), plan);
            let _ = output(Arc::new(faulty)).recover(Some((generation, &list)));
            let story = format!("crash at operation {operation} of recovery, seed {seed}");
            let restarted = crashing.after_power_loss(seed);
            let mut recovering = output(Arc::new(restarted.clone()));
            recovering.recover(Some((generation, &list))).expect(&story);
            assert_eq!(
                committed_rows(&restarted),
                rows_up_to(generation),
                "{story}"
            );
            let retracted = restarted.list().unwrap();
            let retracted = retracted
                .iter()
                .filter(|name| name.starts_with(".retracted/"));
            assert_eq!(retracted.count(), 4, "{story}");
        }
    }
}

#[test]
fn a_failed_sync_at_any_operation_loses_no_row() {
    for operation in 0..operation_count() {
        let disk = MemoryStorage::new();
        let plan = FaultPlan::none().fail_sync_at(operation);
        let faulty = FaultyStorage::new(Arc::new(disk.clone()), plan);
        let mut checkpoints = Vec::new();
        run_job(Arc::new(faulty), &mut checkpoints).unwrap();
        assert_eq!(
            disk.list().unwrap(),
            committed_names(&disk),
            "at {operation}"
        );
        let survived = disk.after_power_loss(operation);
        assert_eq!(
            committed_rows(&survived),
            rows_up_to(LAST_GENERATION),
            "at {operation}"
        );
        recovers(
            &survived,
            checkpoints,
            &format!("failed sync at {operation}"),
        );
    }
}

#[test]
fn a_full_disk_at_any_operation_loses_no_row() {
    for operation in 0..operation_count() {
        for length in 1..3 {
            let disk = MemoryStorage::new();
            let plan = FaultPlan::none().full_during(operation..operation + length);
            let faulty = FaultyStorage::new(Arc::new(disk.clone()), plan);
            run_job(Arc::new(faulty), &mut Vec::new()).unwrap();
            assert_eq!(
                committed_rows(&disk),
                rows_up_to(LAST_GENERATION),
                "at {operation}"
            );
        }
    }
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let plan = FaultPlan::none().full_during(0..1);
    let faulty = FaultyStorage::new(Arc::new(MemoryStorage::new()), plan);
    let error = output(Arc::new(faulty)).stage(1, b"1,0\n").unwrap_err();
    assert!(error.is_full() && !error.is_fatal());
}

#[test]
fn rows_that_a_failed_sync_took_away_end_the_job() {
    let disk = MemoryStorage::new();
    // Creation, header, rows, and then the sync.
    let plan = FaultPlan::none().fail_sync_at(3);
    let faulty = FaultyStorage::new(Arc::new(disk.clone()), plan);
    let mut output = output(Arc::new(faulty));
    output.stage(1, b"1,0\n").unwrap();
    let staged = disk.list().unwrap().remove(0);
    disk.flip_bit(&staged, 8);
    let error = output.pre_commit(1).unwrap_err();
    assert!(matches!(error, StagedError::Lost { .. }), "{error}");
    assert!(error.is_fatal());
}

#[test]
fn an_older_checkpoint_sets_later_files_aside_and_deletes_none() {
    let disk = MemoryStorage::new();
    let mut checkpoints = Vec::new();
    run_job(Arc::new(disk.clone()), &mut checkpoints).unwrap();
    let names = committed_names(&disk);
    let whole: Vec<String> = names.iter().map(|name| content(&disk, name)).collect();
    for _ in 0..2 {
        checkpoints.truncate(1);
        recovers_and_keeps(&disk, &mut checkpoints);
    }
    for (name, whole) in names.iter().zip(whole).skip(1) {
        for retracted in [format!(".retracted/{name}"), format!(".retracted/{name}.1")] {
            assert_eq!(content(&disk, &retracted), whole);
        }
    }
}

fn recovers_and_keeps(disk: &MemoryStorage, checkpoints: &mut Vec<Checkpoint>) {
    run_job(Arc::new(disk.clone()), checkpoints).expect("nothing fails");
    assert_eq!(committed_rows(disk), rows_up_to(LAST_GENERATION));
}

#[test]
fn a_fresh_start_takes_leftovers_away_and_refuses_output_of_another_run() {
    let disk = MemoryStorage::new();
    output(Arc::new(disk.clone())).stage(1, b"1,0\n").unwrap();
    disk.publish("notes.txt", b"not ours").unwrap();
    output(Arc::new(disk.clone())).recover(None).unwrap();
    assert_eq!(disk.list().unwrap(), ["notes.txt"]);
    run_job(Arc::new(disk.clone()), &mut Vec::new()).unwrap();
    let before = disk.list().unwrap();
    let error = output(Arc::new(disk.clone())).recover(None).unwrap_err();
    assert!(
        error.to_string().contains("choose an empty folder"),
        "{error}"
    );
    assert!(
        matches!(error, StagedError::OtherRun { file_count: 5, .. }),
        "{error}"
    );
    assert_eq!(disk.list().unwrap(), before);
}

#[test]
fn a_listed_file_that_is_damaged_or_gone_stops_recovery_before_it_changes_anything() {
    let disk = MemoryStorage::new();
    let mut output_files = output(Arc::new(disk.clone()));
    output_files.stage(1, b"1,0\n").unwrap();
    let list = output_files.pre_commit(1).unwrap();
    disk.publish("part-0000000009.csv", b"later").unwrap();
    let staged = disk.list().unwrap().remove(0);
    let recover = |disk: &MemoryStorage| {
        let before = disk.list().unwrap();
        let error = output(Arc::new(disk.clone()))
            .recover(Some((1, &list)))
            .unwrap_err();
        assert_eq!(disk.list().unwrap(), before);
        error
    };
    let flipped = disk.after_process_crash();
    flipped.flip_bit(&staged, 3);
    assert!(matches!(recover(&flipped), StagedError::Damaged { .. }));
    let cut = disk.after_process_crash();
    cut.truncate(&staged, 5);
    assert!(matches!(
        recover(&cut),
        StagedError::Damaged { found_bytes: 5, .. }
    ));
    let renamed = disk.after_process_crash();
    renamed.rename(&staged, "part-0000000001.csv").unwrap();
    renamed.flip_bit("part-0000000001.csv", 3);
    assert!(matches!(recover(&renamed), StagedError::Damaged { .. }));
    let gone = disk.after_process_crash();
    gone.remove(&staged).unwrap();
    assert!(matches!(recover(&gone), StagedError::Missing { .. }));
    disk.flip_bit(&staged, 0);
    let error = output(Arc::new(disk))
        .recover(Some((1, &list[1..])))
        .unwrap_err();
    assert!(matches!(error, StagedError::BadList { .. }));
}
