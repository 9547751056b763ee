//! What only real files can show: leftovers of an earlier process, foreign files, locks between
//! handles, and that nothing stays mapped.

use std::fs;
use std::os::unix::fs::MetadataExt;

use frazil_io::IoError;
use frazil_io::storage::{FileStorage, Storage, WriteMode};

const MIB: u64 = 1 << 20;
const WRITE_MODES: [WriteMode; 3] = [WriteMode::Mapped, WriteMode::Direct, WriteMode::Plain];

#[test]
fn two_handles_on_one_directory_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let first = FileStorage::open(directory.path()).unwrap();
    let second = FileStorage::open(directory.path()).unwrap();
    let lock = first.lock().unwrap();
    match second.lock() {
        Err(IoError::Locked { path, holder }) => {
            assert_eq!(path, directory.path());
            assert_eq!(holder, std::process::id().to_string());
        }
        _ => panic!("two locks on one directory"),
    }
    drop(lock);
    second.lock().unwrap();
}

#[test]
fn a_holder_that_wrote_no_id_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path()).unwrap();
    let _lock = storage.lock().unwrap();
    fs::write(directory.path().join("LOCK"), "").unwrap();
    match storage.lock() {
        Err(IoError::Locked { holder, .. }) => assert_eq!(holder, "unknown"),
        _ => panic!("two locks on one directory"),
    }
}

#[test]
fn a_file_in_the_place_of_the_root_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "in the way").unwrap();
    assert!(matches!(
        FileStorage::open(&path),
        Err(IoError::File { .. })
    ));
}

#[test]
fn what_lies_deeper_than_one_folder_is_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path()).unwrap();
    storage.publish("folder/file", b"1").unwrap();
    fs::create_dir(directory.path().join("folder/deeper")).unwrap();
    fs::write(directory.path().join("folder/deeper/file"), "").unwrap();
    assert_eq!(storage.list().unwrap(), ["folder/file"]);
    assert!(matches!(
        storage.open("folder/deeper"),
        Err(IoError::Missing { .. })
    ));
}

#[test]
fn a_failed_creation_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    for write_mode in WRITE_MODES {
        let storage = FileStorage::open(directory.path())
            .unwrap()
            .with_write_mode(write_mode);
        // No file system holds an exbibyte-sized file that is really allocated.
        assert!(storage.create("huge", 1 << 60).is_err());
        assert_eq!(storage.list().unwrap(), [""; 0]);
    }
}

#[test]
fn a_file_in_the_place_of_a_folder_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path()).unwrap();
    storage.publish("manifest", b"old").unwrap();
    assert!(matches!(
        storage.create("manifest/a", 1),
        Err(IoError::File { .. })
    ));
    assert_eq!(storage.list().unwrap(), ["manifest"]);
}

#[test]
fn nothing_stays_mapped_after_a_sync_or_a_drop() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path())
        .unwrap()
        .with_write_mode(WriteMode::Mapped);
    let is_mapped = |name: &str| {
        let path = directory.path().canonicalize().unwrap().join(name);
        fs::read_to_string("/proc/self/maps")
            .unwrap()
            .contains(path.to_str().unwrap())
    };
    let mut synced = storage.create("synced", MIB).unwrap();
    synced.append(b"an open window").unwrap();
    assert!(is_mapped("synced"), "the test looks for the right path");
    synced.sync().unwrap();
    assert!(!is_mapped("synced"));

    let mut full = storage.create("full", 4 * MIB).unwrap();
    full.append(&vec![1; 4 << 20]).unwrap();
    assert!(!is_mapped("full"));

    let mut dropped = storage.create("dropped", MIB).unwrap();
    dropped.append(b"an open window").unwrap();
    drop(dropped);
    assert!(!is_mapped("dropped"));
}

#[test]
fn sync_gives_back_the_reserved_disk() {
    let directory = tempfile::tempdir().unwrap();
    for write_mode in WRITE_MODES {
        let name = &format!("{write_mode:?}");
        let storage = FileStorage::open(directory.path())
            .unwrap()
            .with_write_mode(write_mode);
        let mut segment = storage.create(name, 32 * MIB).unwrap();
        segment.append(b"short").unwrap();
        segment.sync().unwrap();
        let allocated_bytes = fs::metadata(directory.path().join(name)).unwrap().blocks() * 512;
        assert!(
            allocated_bytes <= MIB,
            "{name} still holds {allocated_bytes} bytes"
        );
    }
}

#[test]
fn a_segment_outgrows_its_reservation() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path()).unwrap();
    let mut segment = storage.create("a", 1).unwrap();
    let piece = vec![7; 256 << 10];
    for _ in 0..100 {
        segment.append(&piece).unwrap();
    }
    segment.sync().unwrap();
    let bytes = fs::read(directory.path().join("a")).unwrap();
    assert_eq!(bytes.len(), 25 << 20);
    assert!(bytes.iter().all(|byte| *byte == 7));
}

#[test]
fn threads_sync_each_others_names() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let storage = &storage;
            scope.spawn(move || {
                for index in 0..10 {
                    storage
                        .publish(&format!("folder-{thread}/{index}"), b"x")
                        .unwrap();
                    storage.sync_directory().unwrap();
                }
            });
        }
    });
    assert_eq!(storage.list().unwrap().len(), 40);
}
