//! Trees with damaged pages: whatever byte is wrong, `verify` says so and does not panic, or the
//! byte belongs to the content of one entry, which is for checksums to guard.

use super::MapTable;
use crate::page::{PAGE_BYTES, PageId, PageKind};
use crate::{KeyGroups, StagingSize, StateError, Store, StoreConfig, hash_key};

/// One tree of two levels.
fn store() -> Store {
    let config = StoreConfig {
        key_groups: KeyGroups::new(1),
        budget_bytes: 4 << 20,
        staging: StagingSize {
            chunk_count: 2,
            chunk_bytes: 16 << 10,
        },
        ..StoreConfig::default()
    };
    let mut store = Store::new(&config).expect("reserved");
    let table = MapTable::<u64, String, u64>::open(&mut store, "map").expect("first");
    for number in 0..130u64 {
        let (key, map_key) = (number % 3, format!("{}{number}", "m".repeat(50)));
        table
            .put(&mut store, hash_key(&key), &key, &map_key, &number)
            .expect("fits");
    }
    for number in (0..130).step_by(5) {
        let (key, map_key) = (number % 3, format!("{}{number}", "m".repeat(50)));
        let removed = table.remove(&mut store, hash_key(&key), &key, &map_key);
        assert!(removed.expect("sound"));
    }
    store.verify().expect("sound");
    store
}

fn keys(store: &Store) -> Vec<Vec<u8>> {
    let records = store.dump().expect("verified");
    records.into_iter().map(|record| record.key).collect()
}

#[test]
fn a_damaged_byte_is_found_or_is_one_entry_s_content() {
    let mut store = store();
    let expected = keys(&store);
    let mut pages: Vec<PageId> = (1..store.page_count()).map(PageId).collect();
    pages.retain(|id| !store.arena().page(*id).is_kind(PageKind::Free));
    assert!(pages.len() >= 4, "roots, a branch and leaves");
    let (mut found, mut harmless) = (0, 0);
    for id in pages {
        for offset in (0..512).chain((512..PAGE_BYTES).step_by(11)) {
            let before = store.arena().page(id).u8_at(offset);
            for wrong in [before ^ 1, before ^ 0x80, u8::MAX] {
                if wrong == before {
                    continue;
                }
                store.arena_mut().write(id, offset, &[wrong]);
                match store.verify() {
                    Err(StateError::Damaged { .. }) => found += 1,
                    Ok(()) => {
                        let keys = keys(&store);
                        let pairs = keys.iter().zip(&expected);
                        let differing = pairs.filter(|(key, expected)| key != expected).count();
                        assert_eq!(keys.len(), expected.len());
                        assert!(differing <= 1, "page={} offset={offset}", id.0);
                        harmless += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            store.arena_mut().write(id, offset, &[before]);
        }
    }
    store.verify().expect("whole again");
    assert!(found > 3000, "found={found} harmless={harmless}");
}

#[test]
fn references_that_lead_astray_are_damage() {
    let mut store = store();
    let (roots, at) = (PageId(1), 64);
    let root = store.arena().page(roots).u32_at(at);
    assert!(store.arena().page(PageId(root)).is_kind(PageKind::Branch));
    for (offset, value) in [
        (at, u32::MAX),
        (at, 1),
        (at, 0),
        (at + 4, 0),
        (at + 4, 2),
        (at + 4, u32::MAX),
    ] {
        let before = store.arena().page(roots).u32_at(offset);
        store.arena_mut().write(roots, offset, &value.to_le_bytes());
        let error = store.verify().expect_err("astray");
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        store
            .arena_mut()
            .write(roots, offset, &before.to_le_bytes());
    }
    store.verify().expect("whole again");
}
