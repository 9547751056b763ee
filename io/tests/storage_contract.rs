//! The storage contract, as facts that every implementation must show: real files in all write
//! modes, memory, and a faulty storage without faults.
#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::sync::Arc;

use frazil_io::IoError;
use frazil_io::storage::{
    FaultPlan, FaultyStorage, FileStorage, MemoryStorage, Storage, WriteMode,
};

const MIB: usize = 1 << 20;

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index % 251).to_le_bytes()[0])
        .collect()
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length_bytes()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn write_synced(storage: &dyn Storage, name: &str, bytes: &[u8]) {
    let mut segment = storage.create(name, bytes.len() as u64).unwrap();
    segment.append(bytes).unwrap();
    segment.sync().unwrap();
}

fn create_refuses_a_taken_name(storage: &dyn Storage) {
    write_synced(storage, "a", b"first");
    assert!(matches!(
        storage.create("a", 0),
        Err(IoError::Exists { .. })
    ));
    assert!(matches!(
        storage.create("a", 1 << 20),
        Err(IoError::Exists { .. })
    ));
    assert_eq!(read(storage, "a"), b"first");
}

fn appends_of_odd_lengths_read_back_across_windows(storage: &dyn Storage) {
    let bytes = pattern(9 * MIB + 4097);
    let mut segment = storage.create("segments/long", 5 * MIB as u64).unwrap();
    let mut length = 0;
    for piece in bytes.chunks(100_003) {
        segment.append(piece).unwrap();
        length += piece.len() as u64;
        assert_eq!(segment.length_bytes(), length);
    }
    segment.sync().unwrap();
    assert!(read(storage, "segments/long") == bytes, "the bytes differ");
}

fn one_append_may_span_many_windows(storage: &dyn Storage) {
    let bytes = pattern(21 * MIB + 1);
    write_synced(storage, "big", &bytes);
    assert!(read(storage, "big") == bytes, "the bytes differ");
}

fn sync_cuts_the_reservation_to_the_length(storage: &dyn Storage) {
    let mut segment = storage.create("a", 8 * MIB as u64).unwrap();
    segment.append(b"short").unwrap();
    segment.sync().unwrap();
    assert_eq!(storage.open("a").unwrap().length_bytes(), 5);
}

fn appending_goes_on_after_a_sync(storage: &dyn Storage) {
    for (name, expected_bytes) in [("unknown", 0), ("known", 10)] {
        let mut segment = storage.create(name, expected_bytes).unwrap();
        segment.append(b"one").unwrap();
        segment.sync().unwrap();
        segment.append(b"").unwrap();
        segment.append(b"two").unwrap();
        segment.sync().unwrap();
        segment.sync().unwrap();
        assert_eq!(segment.length_bytes(), 6);
        assert_eq!(read(storage, name), b"onetwo");
    }
}

fn an_empty_segment_is_an_empty_file(storage: &dyn Storage) {
    write_synced(storage, "unknown", b"");
    storage.create("known", 100).unwrap().sync().unwrap();
    assert_eq!(read(storage, "unknown"), b"");
    assert_eq!(read(storage, "known"), b"");
}

fn publish_replaces_the_whole_file(storage: &dyn Storage) {
    storage
        .publish("manifest", b"a long first content")
        .unwrap();
    storage.publish("manifest", b"second").unwrap();
    storage.publish("folder/manifest", b"").unwrap();
    assert_eq!(read(storage, "manifest"), b"second");
    assert_eq!(read(storage, "folder/manifest"), b"");
    assert_eq!(storage.list().unwrap(), ["folder/manifest", "manifest"]);
}

fn a_leftover_temporary_file_is_listed_and_replaced(storage: &dyn Storage) {
    drop(storage.create("folder/.tmp-manifest", 0).unwrap());
    assert_eq!(storage.list().unwrap(), ["folder/.tmp-manifest"]);
    storage.publish("folder/manifest", b"new").unwrap();
    assert_eq!(storage.list().unwrap(), ["folder/manifest"]);
    assert_eq!(read(storage, "folder/manifest"), b"new");
}

fn a_reader_keeps_the_file_that_it_opened(storage: &dyn Storage) {
    storage.publish("a", b"old").unwrap();
    let reader = storage.open("a").unwrap();
    storage.publish("a", b"newer").unwrap();
    storage.remove("a").unwrap();
    let mut bytes = [0; 3];
    reader.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
}

fn rename_replaces_its_target(storage: &dyn Storage) {
    write_synced(storage, "staged", b"new");
    write_synced(storage, "final", b"old");
    storage.rename("staged", "final").unwrap();
    storage.sync_directory().unwrap();
    assert_eq!(storage.list().unwrap(), ["final"]);
    assert_eq!(read(storage, "final"), b"new");
    storage.rename("final", "other/final").unwrap();
    assert_eq!(storage.list().unwrap(), ["other/final"]);
    storage.rename("other/final", "other/final").unwrap();
    assert_eq!(read(storage, "other/final"), b"new");
}

fn missing_files_are_named_and_removal_repeats(storage: &dyn Storage) {
    write_synced(storage, "a", b"1");
    storage.remove("a").unwrap();
    storage.remove("a").unwrap();
    storage.remove("nowhere/a").unwrap();
    assert!(matches!(
        storage.rename("a", "b"),
        Err(IoError::Missing { .. })
    ));
    assert!(matches!(
        storage.rename("a", "folder/b"),
        Err(IoError::Missing { .. })
    ));
    assert!(matches!(storage.open("a"), Err(IoError::Missing { .. })));
    assert_eq!(storage.list().unwrap(), [""; 0]);
}

fn the_lock_conflicts_until_it_is_dropped(storage: &dyn Storage) {
    let lock = storage.lock().unwrap();
    match storage.lock() {
        Err(IoError::Locked { holder, .. }) => {
            assert_eq!(holder, std::process::id().to_string());
        }
        _ => panic!("a second lock was granted"),
    }
    assert_eq!(
        storage.list().unwrap(),
        [""; 0],
        "the lock is no file of the storage"
    );
    drop(lock);
    drop(storage.lock().unwrap());
    storage.lock().unwrap();
}

fn names_that_leave_the_root_are_refused(storage: &dyn Storage) {
    let long = "n".repeat(251);
    let bad = [
        "", ".", "..", "/a", "a/", "a/../b", "../a", "a/b/c", "a//b", "a\0b", "LOCK", &long,
    ];
    let is_bad = |result: Result<(), IoError>| matches!(result, Err(IoError::BadName { .. }));
    storage.publish("good", b"1").unwrap();
    for name in bad {
        assert!(is_bad(storage.create(name, 0).map(drop)), "create {name:?}");
        assert!(is_bad(storage.open(name).map(drop)), "open {name:?}");
        assert!(is_bad(storage.publish(name, b"x")), "publish {name:?}");
        assert!(is_bad(storage.rename(name, "b")), "rename from {name:?}");
        assert!(is_bad(storage.rename("good", name)), "rename to {name:?}");
        assert!(is_bad(storage.remove(name)), "remove {name:?}");
    }
    storage.publish(&long[1..], b"as long as allowed").unwrap();
    assert_eq!(storage.list().unwrap(), ["good", &long[1..]]);
}

fn reads_behind_the_end_are_short(storage: &dyn Storage) {
    storage.publish("a", b"12345").unwrap();
    let file = storage.open("a").unwrap();
    let mut buffer = [0; 3];
    file.read_exact_at(&mut buffer, 2).unwrap();
    assert_eq!(&buffer, b"345");
    for (offset, expected_end) in [(3, 6), (u64::MAX, u64::MAX)] {
        match file.read_exact_at(&mut buffer, offset) {
            Err(IoError::Short {
                expected_bytes,
                found_bytes: 5,
                ..
            }) => {
                assert_eq!(expected_bytes, expected_end);
            }
            other => panic!("not short: {other:?}"),
        }
    }
}

fn a_private_map_shows_the_file_then_zeros_and_keeps_its_writes(storage: &dyn Storage) {
    let bytes = pattern(3 * 4096);
    write_synced(storage, "image", &bytes);
    let file = storage.open("image").unwrap();
    let mut map = file.map_private(2 * 4096, 64 << 10).unwrap().unwrap();
    assert_eq!(map.len(), 64 << 10);
    assert!(map[..8192] == bytes[..8192] && map[8192..].iter().all(|byte| *byte == 0));
    map[100] ^= 1;
    map[60_000] = 7;
    storage.remove("image").unwrap();
    // A page that nobody touched yet comes from the file that is gone from its folder.
    assert!(map[4096..8192] == bytes[4096..8192]);
    let mut read = vec![0; bytes.len()];
    file.read_exact_at(&mut read, 0).unwrap();
    assert!(read == bytes, "a write reached the file");
    let longer = file.map_private(4 * 4096, 64 << 10);
    assert!(matches!(longer, Err(IoError::Short { .. })));
}

fn list_is_sorted_over_all_folders(storage: &dyn Storage) {
    for name in ["b/2", "a", "b/1", "c", "b.x"] {
        storage.publish(name, b"").unwrap();
    }
    assert_eq!(storage.list().unwrap(), ["a", "b.x", "b/1", "b/2", "c"]);
}

fn with_files(write_mode: WriteMode, fact: fn(&dyn Storage)) {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(directory.path().join("new/root")).unwrap();
    fact(&storage.with_write_mode(write_mode));
}

fn with_mapped_files(fact: fn(&dyn Storage)) {
    with_files(WriteMode::Mapped, fact);
}

fn with_direct_files(fact: fn(&dyn Storage)) {
    with_files(WriteMode::Direct, fact);
}

fn with_plain_files(fact: fn(&dyn Storage)) {
    with_files(WriteMode::Plain, fact);
}

fn with_memory(fact: fn(&dyn Storage)) {
    fact(&MemoryStorage::new());
}

fn with_no_faults(fact: fn(&dyn Storage)) {
    fact(&FaultyStorage::new(
        Arc::new(MemoryStorage::new()),
        FaultPlan::none(),
    ));
}

macro_rules! contract {
    ($($fact:ident)*) => {
        contract!(@ mapped_files with_mapped_files $($fact)*);
        contract!(@ direct_files with_direct_files $($fact)*);
        contract!(@ plain_files with_plain_files $($fact)*);
        contract!(@ memory with_memory $($fact)*);
        contract!(@ no_faults with_no_faults $($fact)*);
    };
    (@ $implementation:ident $with:ident $($fact:ident)*) => {
        mod $implementation {
            $(#[test] fn $fact() { super::$with(super::$fact); })*
        }
    };
}

contract! {
    create_refuses_a_taken_name
    appends_of_odd_lengths_read_back_across_windows
    one_append_may_span_many_windows
    sync_cuts_the_reservation_to_the_length
    appending_goes_on_after_a_sync
    an_empty_segment_is_an_empty_file
    publish_replaces_the_whole_file
    a_leftover_temporary_file_is_listed_and_replaced
    a_reader_keeps_the_file_that_it_opened
    rename_replaces_its_target
    missing_files_are_named_and_removal_repeats
    the_lock_conflicts_until_it_is_dropped
    names_that_leave_the_root_are_refused
    reads_behind_the_end_are_short
    list_is_sorted_over_all_folders
    a_private_map_shows_the_file_then_zeros_and_keeps_its_writes
}
