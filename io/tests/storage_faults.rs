//! Planned faults over the simulated disk: what a crash, a full disk or a failed sync may leave.
#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::sync::Arc;

use frazil_io::IoError;
use frazil_io::storage::{
    FaultPlan, FaultyStorage, FileStorage, MemoryStorage, Storage, WriteMode,
};

fn faulty(disk: &MemoryStorage, plan: FaultPlan) -> FaultyStorage {
    FaultyStorage::new(Arc::new(disk.clone()), plan)
}

fn read(storage: &dyn Storage, name: &str) -> Option<Vec<u8>> {
    let file = storage.open(name).ok()?;
    let mut bytes = vec![0; usize::try_from(file.length_bytes()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

/// A checkpoint in small: a segment, synced, then a manifest that names it.
fn checkpoint(storage: &dyn Storage, number: u8) -> Result<(), IoError> {
    let mut segment = storage.create(&format!("segments/{number}"), 2000)?;
    segment.append(&[number; 700])?;
    segment.append(&[number; 801])?;
    segment.sync()?;
    storage.publish("manifest", &[number; 600])?;
    storage.remove(&format!("segments/{}", number - 1))?;
    storage.sync_directory()
}

/// The manifest is whole, as is the segment it names; it is the new one if the caller was told so.
fn assert_whole(storage: &dyn Storage, was_published: bool) {
    let manifest = read(storage, "manifest").expect("a durable manifest never vanishes");
    let number = manifest[0];
    assert!(
        number == 2 || (number == 1 && !was_published),
        "found manifest {number}"
    );
    assert_eq!(manifest, [number; 600], "old and new are mixed");
    let segment = read(storage, &format!("segments/{number}"));
    assert_eq!(
        segment.as_deref(),
        Some([number; 1501].as_slice()),
        "manifest {number}"
    );
}

#[test]
fn a_crash_at_any_operation_leaves_a_whole_checkpoint() {
    let base = MemoryStorage::new();
    base.create("segments/0", 0).unwrap();
    checkpoint(&base, 1).unwrap();
    let counted = faulty(&base.after_power_loss(0), FaultPlan::none());
    checkpoint(&counted, 2).unwrap();
    assert_eq!(counted.operations(), 12);

    for operation in 0..counted.operations() {
        for seed in 0..40 {
            let disk = base.after_power_loss(0);
            let storage = faulty(&disk, FaultPlan::none().crash_at(operation).with_seed(seed));
            checkpoint(&storage, 2).unwrap_err();
            assert!(storage.list().is_err(), "a crashed process reads nothing");
            // Ten steps end with the directory sync of the publish.
            let was_published = operation >= 10;
            assert_whole(
                &disk.after_process_crash().after_power_loss(seed),
                was_published,
            );
            assert_whole(&disk.after_power_loss(seed), was_published);
            assert_whole(&disk.after_process_crash(), was_published);
        }
    }
}

#[test]
fn a_crash_takes_every_later_call() {
    let disk = MemoryStorage::new();
    let storage = faulty(&disk, FaultPlan::none().crash_at(1));
    let mut segment = storage.create("a", 0).unwrap();
    for _ in 0..2 {
        let error = segment.append(b"torn").unwrap_err();
        assert!(!error.is_full(), "{error}");
        assert_eq!(segment.length_bytes(), 0);
    }
    assert!(
        storage
            .remove("a")
            .unwrap_err()
            .to_string()
            .contains("crashed")
    );
    assert!(storage.open("a").is_err() && storage.lock().is_err() && storage.list().is_err());
    assert!(
        disk.list().unwrap().contains(&"a".to_owned()),
        "the process never removed it"
    );
}

#[test]
fn a_torn_append_leaves_a_prefix_that_depends_on_the_seed() {
    let lengths: Vec<usize> = (0..50)
        .map(|seed| {
            let disk = MemoryStorage::new();
            let storage = faulty(&disk, FaultPlan::none().crash_at(1).with_seed(seed));
            storage
                .create("a", 0)
                .unwrap()
                .append(b"0123456789")
                .unwrap_err();
            let bytes = read(&disk, "a").unwrap();
            assert!(b"0123456789".starts_with(&bytes));
            bytes.len()
        })
        .collect();
    assert!(
        lengths.contains(&0) && lengths.contains(&10) && lengths.contains(&5),
        "{lengths:?}"
    );
}

#[test]
fn a_full_disk_refuses_growth_and_then_recovers() {
    let disk = MemoryStorage::new();
    let storage = faulty(&disk, FaultPlan::none().full_during(2..6));
    let mut segment = storage.create("a", 0).unwrap();
    segment.append(b"one").unwrap();
    assert!(segment.append(b"two").unwrap_err().is_full());
    assert!(storage.create("b", 10).err().unwrap().is_full());
    assert!(storage.publish("manifest", b"x").unwrap_err().is_full());
    assert_eq!(segment.length_bytes(), 3);
    assert_eq!(
        storage.operations(),
        6,
        "a refused publish is a creation and a removal"
    );
    segment.append(b"two").unwrap();
    segment.sync().unwrap();
    assert_eq!(storage.list().unwrap(), ["a"]);
    assert_eq!(read(&disk, "a").unwrap(), b"onetwo");
}

/// Real files under the same plans: what a killed process, a full disk and a failed sync leave.
fn for_each_write_mode(fact: fn(&dyn Fn() -> FileStorage)) {
    for write_mode in [WriteMode::Mapped, WriteMode::Direct, WriteMode::Plain] {
        let directory = tempfile::tempdir().unwrap();
        fact(&|| {
            FileStorage::open(directory.path())
                .unwrap()
                .with_write_mode(write_mode)
        });
    }
}

#[test]
fn a_killed_process_leaves_a_whole_checkpoint_in_real_files() {
    for_each_write_mode(|open| {
        for operation in 0..12 {
            for name in open().list().unwrap() {
                open().remove(&name).unwrap();
            }
            open().create("segments/0", 0).unwrap();
            checkpoint(&open(), 1).unwrap();
            let plan = FaultPlan::none().crash_at(operation).with_seed(operation);
            checkpoint(&FaultyStorage::new(Arc::new(open()), plan), 2).unwrap_err();
            assert_whole(&open(), operation >= 10);
        }
    });
}

#[test]
fn full_disks_and_failed_syncs_leave_real_files_as_the_contract_says() {
    for_each_write_mode(|open| {
        let full = FaultPlan::none().full_during(2..3).fail_sync_at(6);
        let storage = FaultyStorage::new(Arc::new(open()), full);
        let mut segment = storage.create("a", 5000).unwrap();
        segment.append(&[1; 5000]).unwrap();
        assert!(segment.append(b"two").unwrap_err().is_full());
        segment.append(b"two").unwrap();
        segment.sync().unwrap();
        segment.append(b"three").unwrap();
        assert!(matches!(segment.sync(), Err(IoError::File { .. })));
        assert!(matches!(
            segment.append(b"x"),
            Err(IoError::Poisoned { .. })
        ));
        drop(segment);
        // The failed sync never reached the file: what the one before made durable is there.
        let bytes = read(&open(), "a").unwrap();
        assert!(bytes.starts_with(&[[1; 5000].as_slice(), b"two"].concat()));
    });
}

#[test]
fn a_failed_sync_poisons_its_segment_only() {
    let disk = MemoryStorage::new();
    let storage = faulty(&disk, FaultPlan::none().fail_sync_at(2));
    let mut segment = storage.create("a", 0).unwrap();
    segment.append(b"lost").unwrap();
    assert!(matches!(segment.sync(), Err(IoError::File { .. })));
    assert!(matches!(segment.sync(), Err(IoError::Poisoned { .. })));
    assert!(matches!(
        segment.append(b"more"),
        Err(IoError::Poisoned { .. })
    ));
    storage.publish("manifest", b"whole").unwrap();
    let torn_count = (0..50)
        .map(|seed| disk.after_power_loss(seed))
        .filter(|survivor| read(survivor, "a").unwrap() != b"lost")
        .count();
    assert!(torn_count > 0, "a failed sync protects nothing");
}

#[test]
fn a_failed_sync_decides_a_publish_by_its_step() {
    let failing_at = |operation| {
        let disk = MemoryStorage::new();
        disk.publish("manifest", b"old").unwrap();
        let storage = faulty(&disk, FaultPlan::none().fail_sync_at(operation));
        (storage.publish("manifest", b"new").err(), disk)
    };
    for step in [2, 3] {
        let (error, disk) = failing_at(step);
        assert!(matches!(error, Some(IoError::File { .. })), "{error:?}");
        assert_eq!(
            disk.list().unwrap(),
            ["manifest"],
            "the temporary file is removed"
        );
        for seed in 0..20 {
            assert_eq!(
                read(&disk.after_power_loss(seed), "manifest").unwrap(),
                b"old"
            );
        }
    }
    let (error, disk) = failing_at(5);
    assert!(
        error.as_ref().is_some_and(IoError::is_undecided),
        "{error:?}"
    );
    let found: Vec<_> = (0..20)
        .map(|seed| read(&disk.after_power_loss(seed), "manifest").unwrap())
        .collect();
    assert!(
        found.contains(&b"old".to_vec()) && found.contains(&b"new".to_vec()),
        "{found:?}"
    );
}

#[test]
fn clones_share_one_plan_and_one_count() {
    let storage = faulty(&MemoryStorage::new(), FaultPlan::none().crash_at(1));
    storage.clone().sync_directory().unwrap();
    assert!(storage.sync_directory().is_err());
    assert_eq!(storage.clone().operations(), 2);
}
