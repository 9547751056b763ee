//! The simulated disk against a model so simple that it is plainly right.
//!
//! The model keeps, for every name, the values it had since names were last durable. After a power
//! loss each name must show one of them, and a content that was synced must be whole.
#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use frazil_io::storage::{MemoryStorage, Storage};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Write {
        name: usize,
        length: usize,
        is_synced: bool,
    },
    Publish {
        name: usize,
        length: usize,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Remove {
        name: usize,
    },
    SyncDirectory,
    ProcessCrash,
    PowerLoss {
        seed: u64,
    },
}

const NAMES: [&str; 5] = ["a", "b", "folder/a", "folder/b", "c"];

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let length = prop_oneof![0..20_usize, 500..2000_usize];
    prop_oneof![
        4 => (name.clone(), length.clone(), any::<bool>())
            .prop_map(|(name, length, is_synced)| Step::Write { name, length, is_synced }),
        2 => (name.clone(), length).prop_map(|(name, length)| Step::Publish { name, length }),
        3 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => name.prop_map(|name| Step::Remove { name }),
        1 => Just(Step::SyncDirectory),
        1 => Just(Step::ProcessCrash),
        2 => any::<u64>().prop_map(|seed| Step::PowerLoss { seed }),
    ]
}

/// What a file was given: its bytes carry a number of their own, so that mixing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    bytes: Vec<u8>,
    is_synced: bool,
}

#[derive(Default)]
struct Model {
    now: BTreeMap<&'static str, Value>,
    /// Every value, or absence, that a name had since names were last durable; the first is
    /// durable.
    possible: BTreeMap<&'static str, Vec<Option<Value>>>,
    /// Whole files that are certainly on the disk under one of their names. Torn ones are left out:
    /// two of them may have become equal, so their bytes no longer tell which file they are.
    kept: BTreeSet<Vec<u8>>,
    /// Every content that was ever synced whole; each starts with a number of its own.
    whole: BTreeSet<Vec<u8>>,
    written_count: u64,
}

impl Model {
    fn value(&mut self, length: usize, is_synced: bool) -> Value {
        self.written_count += 1;
        let mut bytes = self.written_count.to_le_bytes().to_vec();
        bytes.extend((0..length).map(|index| (index % 255).to_le_bytes()[0] + 1));
        if is_synced {
            self.whole.insert(bytes.clone());
        }
        Value { bytes, is_synced }
    }

    fn set(&mut self, name: &'static str, value: Option<Value>) {
        let old = match value.clone() {
            Some(value) => self.now.insert(name, value),
            None => self.now.remove(name),
        };
        self.possible
            .entry(name)
            .or_insert_with(|| vec![old])
            .push(value);
    }

    fn names_are_durable(&mut self) {
        self.possible.clear();
        let contents = self.now.values().map(|value| &value.bytes);
        self.kept = contents
            .filter(|bytes| self.whole.contains(*bytes))
            .cloned()
            .collect();
    }

    /// Replaced or removed: it may be gone from now on.
    fn release(&mut self, name: &str) {
        if let Some(value) = self.now.get(name) {
            self.kept.remove(&value.bytes);
        }
    }
}

fn read_all(storage: &MemoryStorage) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let file = storage.open(&name).unwrap();
        let mut bytes = vec![0; usize::try_from(file.length_bytes()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        (name, bytes)
    };
    storage.list().unwrap().into_iter().map(read).collect()
}

fn visible(storage: &MemoryStorage) -> BTreeMap<String, Vec<u8>> {
    let mut files = read_all(storage);
    // A publish leaves none, but a power loss may bring one back.
    files.retain(|name, _| !name.contains(".tmp-"));
    files
}

fn run(storage: &MemoryStorage, model: &mut Model, step: &Step) {
    match *step {
        Step::Write {
            name,
            length,
            is_synced,
        } => {
            let name = NAMES[name];
            let value = model.value(length, is_synced);
            if let Ok(mut segment) = storage.create(name, 0) {
                segment.append(&value.bytes[..3]).unwrap();
                segment.append(&value.bytes[3..]).unwrap();
                if is_synced {
                    segment.sync().unwrap();
                }
                model.set(name, Some(value));
            }
        }
        Step::Publish { name, length } => {
            let value = model.value(length, true);
            storage.publish(NAMES[name], &value.bytes).unwrap();
            model.set(NAMES[name], Some(value));
            model.names_are_durable();
        }
        Step::Rename { from, to } => {
            let is_there = storage.rename(NAMES[from], NAMES[to]).is_ok();
            assert_eq!(is_there, model.now.contains_key(NAMES[from]));
            if is_there && from != to {
                let value = model.now[NAMES[from]].clone();
                model.release(NAMES[to]);
                model.set(NAMES[from], None);
                model.set(NAMES[to], Some(value));
            }
        }
        Step::Remove { name } => {
            storage.remove(NAMES[name]).unwrap();
            model.release(NAMES[name]);
            if model.now.contains_key(NAMES[name]) {
                model.set(NAMES[name], None);
            }
        }
        Step::SyncDirectory => {
            storage.sync_directory().unwrap();
            model.names_are_durable();
        }
        Step::ProcessCrash | Step::PowerLoss { .. } => unreachable!("handled by the caller"),
    }
}

fn allows(value: &Option<Value>, found: Option<&Vec<u8>>) -> bool {
    match (value, found) {
        (None, None) => true,
        (Some(value), Some(bytes)) if value.is_synced => value.bytes == *bytes,
        // Torn: anything of at most the written length.
        (Some(value), Some(bytes)) => bytes.len() <= value.bytes.len(),
        _ => false,
    }
}

/// Checks what survived and takes it as the new durable truth.
fn check_power_loss(model: &mut Model, survivor: &MemoryStorage) {
    let found = visible(survivor);
    for name in NAMES {
        let current = vec![model.now.get(name).cloned()];
        let possible = model.possible.get(name).unwrap_or(&current);
        let is_allowed = possible.iter().any(|value| allows(value, found.get(name)));
        assert!(
            is_allowed,
            "{name} shows {:?}, possible {possible:?}",
            found.get(name)
        );
    }
    for bytes in &model.kept {
        let name_count = found.values().filter(|found| *found == bytes).count();
        assert_eq!(
            name_count, 1,
            "a durable file has exactly one name: {bytes:?}"
        );
    }
    let known = |name: &String| NAMES.into_iter().find(|known| known == name).unwrap();
    model.now = found
        .iter()
        .map(|(name, bytes)| {
            (
                known(name),
                Value {
                    bytes: bytes.clone(),
                    is_synced: true,
                },
            )
        })
        .collect();
    model.names_are_durable();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn durable_content_survives_and_names_are_old_or_new(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut storage = MemoryStorage::new();
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::ProcessCrash => storage = storage.after_process_crash(),
                Step::PowerLoss { seed } => {
                    let survivor = storage.after_power_loss(*seed);
                    check_power_loss(&mut model, &survivor);
                    storage = survivor;
                }
                step => run(&storage, &mut model, step),
            }
            let expected: BTreeMap<String, Vec<u8>> =
                model.now.iter().map(|(name, v)| ((*name).to_owned(), v.bytes.clone())).collect();
            prop_assert_eq!(visible(&storage), expected);
        }
    }
}

#[test]
fn unsynced_tails_are_kept_lost_and_torn_by_seed() {
    let storage = MemoryStorage::new();
    let mut segment = storage.create("a", 0).unwrap();
    segment.append(&[1; 700]).unwrap();
    segment.sync().unwrap();
    segment.append(&[2; 2000]).unwrap();
    storage.sync_directory().unwrap();
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..100 {
        let survivor = storage.after_power_loss(seed);
        let bytes = read_all(&survivor).remove("a").unwrap();
        assert_eq!(
            bytes,
            read_all(&storage.after_power_loss(seed))["a"],
            "seed decides"
        );
        assert_eq!(bytes[..700], [1; 700], "synced bytes are whole");
        match &bytes[700..] {
            [] => lost += 1,
            tail if tail == [2; 2000] => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(
        kept > 5 && lost > 5 && torn > 5,
        "kept {kept}, lost {lost}, torn {torn}"
    );
}

#[test]
fn a_file_of_known_size_shows_as_zeros_after_a_crash_until_it_is_synced() {
    let storage = MemoryStorage::new();
    let mut segment = storage.create("unsynced", 1000).unwrap();
    segment.append(b"written").unwrap();
    storage.create("synced", 1000).unwrap().sync().unwrap();
    let files = read_all(&storage.after_process_crash());
    assert_eq!(files["unsynced"].len(), 1000);
    assert!(files["unsynced"].iter().all(|byte| *byte == 0));
    assert_eq!(files["synced"], b"");
}

#[test]
fn a_crash_releases_the_lock_and_leaves_the_old_storage_alone() {
    let storage = MemoryStorage::new();
    let _lock = storage.lock().unwrap();
    storage.publish("a", b"1").unwrap();
    for restarted in [storage.after_power_loss(1), storage.after_process_crash()] {
        let _lock = restarted.lock().unwrap();
        restarted.publish("a", b"2").unwrap();
        restarted.publish("b", b"2").unwrap();
    }
    assert_eq!(storage.list().unwrap(), ["a"]);
    assert_eq!(read_all(&storage)["a"], b"1");
    assert!(storage.lock().is_err());
}

#[test]
fn corruption_changes_exactly_what_was_asked() {
    let storage = MemoryStorage::new();
    storage.publish("a", &[0, 0, 0]).unwrap();
    storage.flip_bit("a", 17);
    assert_eq!(read_all(&storage)["a"], [0, 0, 2]);
    storage.truncate("a", 2);
    assert_eq!(read_all(&storage.after_power_loss(3))["a"], [0, 0]);
}
