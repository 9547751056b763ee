//! Values in page runs: limits, what a change costs, and damaged references.

use crate::page::PageId;
use crate::runs::Run;
use crate::{
    CaptureStatus, KeyGroups, LINE_BYTES, StagingSize, StateError, Store, StoreConfig, ValueTable,
    hash_key,
};

fn store() -> Store {
    let config = StoreConfig {
        key_groups: KeyGroups::new(1),
        budget_bytes: 64 << 20,
        ..StoreConfig::default()
    };
    Store::new(&config).expect("reserved")
}

/// Bytes of lines in the next delta.
fn delta_bytes(store: &mut Store) -> usize {
    store.freeze();
    while store.capture(1 << 20) != CaptureStatus::Done {}
    let mut bytes = 0;
    while let Some(chunk) = store.take_chunk() {
        bytes += chunk.body_bytes() - 16 * chunk.page_count() as usize;
        store.give_chunk(chunk);
    }
    store.forget_snapshot();
    bytes
}

#[test]
fn values_up_to_one_mebibyte_are_kept_and_longer_ones_named() {
    let mut store = store();
    let table = ValueTable::<str, Vec<u8>>::open(&mut store, "blobs").expect("opens");
    let hash = hash_key("k");
    let mut longest = 0;
    // The root of a vector's archive takes 8 bytes, and its alignment up to 7 more.
    for length in [0, 1, 1900, 2000, 4088, 4096, 70_000, (1 << 20) - 8] {
        table
            .put(&mut store, hash, "k", &vec![9; length])
            .expect("within the limit");
        let found = table.get(&store, hash, "k").expect("valid");
        assert_eq!(found.map(|value| value.len()), Some(length));
        store.verify().expect("sound");
        longest = length;
    }
    for length in [longest + 1, 3 << 20] {
        let refused = table.put(&mut store, hash, "k", &vec![1; length]);
        let text = refused.expect_err("too long").to_string();
        assert!(
            text.contains("table blobs") && text.contains("1048576"),
            "{text}"
        );
    }
    let texts = ValueTable::<str, Vec<String>>::open(&mut store, "texts").expect("opens");
    let long = vec!["x".to_owned(); 200_000];
    let refused = texts
        .put(&mut store, hash, "k", &long)
        .expect_err("too long");
    assert!(
        matches!(
            refused,
            StateError::ValueTooLong {
                found_bytes: 1_600_008,
                ..
            }
        ),
        "{refused}"
    );
    let fits = vec!["x".to_owned(); 131_000];
    texts
        .put(&mut store, hash, "k", &fits)
        .expect("1,048,008 bytes");
    assert_eq!(texts.get(&store, hash, "k").expect("valid"), Some(fits));
    assert_eq!(
        table
            .get(&store, hash, "k")
            .expect("valid")
            .map(|v| v.len()),
        Some(longest)
    );
    assert!(table.remove(&mut store, hash, "k").expect("sound"));
    assert_eq!(crate::runs::used_page_count(store.arena()), 256);
    assert!(texts.remove(&mut store, hash, "k").expect("sound"));
    assert_eq!(crate::runs::used_page_count(store.arena()), 0);
    store.verify().expect("sound");
}

#[test]
fn keys_up_to_one_kibibyte_are_kept_and_longer_ones_named() {
    let mut store = store();
    let table = ValueTable::<str, Vec<u8>>::open(&mut store, "blobs").expect("opens");
    let key = "k".repeat(1025);
    let refused = table.put(&mut store, hash_key(&*key), &key, &vec![1]);
    let text = refused.expect_err("long key").to_string();
    assert!(
        text.contains("key too long for table blobs: 1025 bytes, at most 1024"),
        "{text}"
    );
    for length in [10, 900, 5000] {
        let key = "k".repeat(1024);
        table
            .put(&mut store, hash_key(&*key), &key, &vec![3; length])
            .expect("fits");
        store.verify().expect("sound");
    }
}

#[test]
fn a_change_in_a_large_value_costs_the_lines_that_changed() {
    let mut store = store();
    let table = ValueTable::<u64, Vec<u64>>::open(&mut store, "vectors").expect("opens");
    let (key, hash) = (5u64, hash_key(&5u64));
    let value: Vec<u64> = (0..50_000).collect();
    table.put(&mut store, hash, &key, &value).expect("fits");
    delta_bytes(&mut store);
    table
        .update(&mut store, hash, &key, &Vec::new(), |value| {
            value[10] = 1;
            value[49_000] = 2;
        })
        .expect("same length");
    assert_eq!(delta_bytes(&mut store), 2 * LINE_BYTES);
    table
        .update(&mut store, hash, &key, &Vec::new(), |value| value.push(3))
        .expect("same class");
    // The last line of the elements, the vector's root behind it, and the length in the record.
    assert!(delta_bytes(&mut store) <= 3 * LINE_BYTES);
    let arrays = ValueTable::<u64, [u64; 700]>::open(&mut store, "arrays").expect("opens");
    arrays.put(&mut store, hash, &key, &[1; 700]).expect("fits");
    delta_bytes(&mut store);
    let stored = arrays.get(&store, hash, &key).expect("valid");
    assert_eq!(stored, Some([1; 700]));
}

/// The descriptor has two bytes for lengths: what is longer counts as of any length.
#[test]
fn arrays_longer_than_a_descriptor_can_say_are_kept() {
    let mut store = store();
    for name in ["arrays", "arrays"] {
        let arrays = ValueTable::<u64, [u64; 10_000]>::open(&mut store, name).expect("opens");
        let (key, hash) = (5u64, hash_key(&5u64));
        arrays
            .update(&mut store, hash, &key, &[1; 10_000], |array| {
                array[9_999] += 1;
            })
            .expect("fits");
        let stored = arrays.get(&store, hash, &key).expect("valid");
        assert!(stored.is_some_and(|array| array[9_999] >= 2 && array[0] == 1));
        store.verify().expect("sound");
    }
}

#[test]
fn a_value_that_does_not_fit_leaves_the_old_one() {
    let config = StoreConfig {
        key_groups: KeyGroups::new(1),
        budget_bytes: StoreConfig::budget_for_pages(256, StagingSize::default()),
        ..StoreConfig::default()
    };
    let mut store = Store::new(&config).expect("reserved");
    let table = ValueTable::<u64, Vec<u8>>::open(&mut store, "blobs").expect("opens");
    let mut model = std::collections::BTreeMap::new();
    for round in 0..60u64 {
        let (key, length) = (
            round % 7,
            3000 + usize::try_from(round).expect("few") * 4500,
        );
        let value = vec![u8::try_from(round).expect("few"); length];
        match table.put(&mut store, hash_key(&key), &key, &value) {
            Ok(()) => {
                model.insert(key, value);
            }
            Err(error) => assert!(
                error.to_string().contains("state budget exhausted"),
                "{error}"
            ),
        }
        store.verify().expect("sound");
        for (key, value) in &model {
            let found = table.get(&store, hash_key(key), key).expect("valid");
            assert_eq!(found.as_ref(), Some(value), "key={key} round={round}");
        }
    }
}

/// Every way in which a reference can be wrong is named by verify, and no access leaves the arena.
#[test]
fn damaged_run_references_are_named() {
    let (key, hash) = (1u64, hash_key(&1u64));
    for (page, length) in [
        (0, 9000),
        (3, u32::MAX),
        (u32::MAX, 9000),
        (40, 9000),
        (1, 0),
        (3, 9000),
    ] {
        let mut store = store();
        let table = ValueTable::<u64, Vec<u8>>::open(&mut store, "blobs").expect("opens");
        table
            .put(&mut store, hash, &key, &vec![1; 9000])
            .expect("fits");
        store.verify().expect("sound");
        let run = (0..store.page_count())
            .map(PageId)
            .find_map(|id| {
                let bytes = &store.arena().page(id).0;
                let reference = Run {
                    first: PageId(2),
                    length: 9008,
                }
                .to_bytes();
                let at = bytes.windows(8).position(|window| window == reference)?;
                Some((id, at))
            })
            .expect("the record holds a reference");
        let bad = Run {
            first: PageId(page),
            length,
        };
        store.arena_mut().write(run.0, run.1, &bad.to_bytes());
        let error = store.verify().expect_err("damaged");
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        let _ = table.get(&store, hash, &key);
        let _ = store.dump();
    }
}
