//! Pages that lie, as those of a mapped image may before they are verified, or of a file that
//! somebody made with the right checksums.
//!
//! The story: references lead round in circles. Whoever follows them comes to an end: by an error
//! where one can be returned, else by a panic that names the page, after which the job waits for
//! the verdict of the verification.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::page::{PageId, PageKind};
use crate::{
    KeyGroups, KeyWalk, MapTable, ScanCursor, StagingSize, StateError, Store, StoreConfig,
    ValueTable, hash_key,
};

const INDIRECT: u32 = 1 << 31;
/// Where a bucket says which page is behind it.
const NEXT_AT: usize = 12;

fn store() -> Store {
    let config = StoreConfig {
        key_groups: KeyGroups::new(1),
        budget_bytes: 16 << 20,
        staging: StagingSize {
            chunk_count: 2,
            chunk_bytes: 16 << 10,
        },
        ..StoreConfig::default()
    };
    Store::new(&config).expect("reserved")
}

type Values = ValueTable<u64, [u64; 100]>;

fn values(store: &mut Store, count: u64) -> Values {
    let table = Values::open(store, "values").expect("opens");
    for key in 0..count {
        table
            .put(store, hash_key(&key), &key, &[key; 100])
            .expect("fits");
    }
    store.verify().expect("sound");
    table
}

fn pages_of(store: &Store, kind: PageKind) -> Vec<PageId> {
    let mut pages: Vec<PageId> = (1..store.page_count()).map(PageId).collect();
    pages.retain(|id| store.arena().page(*id).is_kind(kind));
    pages
}

/// The message of the panic that `call` ends in.
fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(call)).err().expect("a panic");
    payload.downcast_ref::<String>().expect("a message").clone()
}

fn is_damage<T>(result: Result<T, StateError>) -> bool {
    matches!(result, Err(StateError::Damaged { .. }))
}

fn adopts(store: &Store) -> Result<(), StateError> {
    self::store().adopt(store)
}

#[test]
fn overflow_pages_in_a_circle_end() {
    let mut store = store();
    let table = values(&mut store, 20);
    for bucket in pages_of(&store, PageKind::Bucket) {
        store
            .arena_mut()
            .write(bucket, NEXT_AT, &bucket.0.to_le_bytes());
    }
    let absent = 1 << 40;
    let message = panic_of(|| table.get(&store, hash_key(&absent), &absent));
    assert!(message.contains("damaged"), "{message}");
    let message = panic_of(|| table.put(&mut store, hash_key(&absent), &absent, &[0; 100]));
    assert!(message.contains("damaged"), "{message}");
    let all = usize::MAX;
    let scan = || table.scan(&store, &mut ScanCursor::default(), all, |_, _| ());
    assert!(panic_of(scan).contains("damaged"));
    let walk = || table.walk_keys(&store, &mut KeyWalk::over(&store), all, |_| ());
    assert!(panic_of(walk).contains("damaged"));
    assert!(is_damage(store.verify()));
    assert!(is_damage(adopts(&store)));
    let _ = store.drop_table("values");
}

#[test]
fn directory_nodes_in_a_circle_end() {
    let mut store = store();
    let table = values(&mut store, 9000);
    let nodes = pages_of(&store, PageKind::Nodes);
    // Every reference in a node leads to the page's first node.
    for page in &nodes {
        for at in (64..4096).step_by(4) {
            let node = (INDIRECT | (page.0 << 6) | 1).to_le_bytes();
            store.arena_mut().write(*page, at, &node);
        }
    }
    assert!(!nodes.is_empty(), "too few records for nodes");
    let below = |key: &u64| {
        let found = catch_unwind(AssertUnwindSafe(|| table.get(&store, hash_key(key), key)));
        found.is_err()
    };
    assert!(
        (0..9000).any(|key| below(&key)),
        "nobody went through a node"
    );
    assert!(is_damage(store.verify()));
    assert!(is_damage(adopts(&store)));
    assert!(is_damage(store.drop_table("values")));
}

#[test]
fn branches_in_a_circle_end() {
    let mut store = store();
    let table = MapTable::<u64, u64, [u64; 60]>::open(&mut store, "map").expect("opens");
    for key in 0..400u64 {
        let hash = hash_key(&(key % 3));
        table
            .put(&mut store, hash, &(key % 3), &key, &[key; 60])
            .expect("fits");
    }
    store.verify().expect("sound");
    let (roots, at) = (PageId(1), 64);
    let top = PageId(store.arena().page(roots).u32_at(at));
    assert!(store.arena().page(top).is_kind(PageKind::Branch));
    for levels in [30u32, 33, u32::MAX] {
        // The root claims levels that its own page makes up: each child is the branch itself.
        store
            .arena_mut()
            .write(roots, at + 4, &levels.to_le_bytes());
        let get = || table.get(&store, hash_key(&1), &1, &1).map(|_| ());
        let ended = catch_unwind(AssertUnwindSafe(get));
        assert!(ended.is_err() || levels <= 32, "{levels} levels");
        assert!(is_damage(store.verify()));
        assert!(is_damage(adopts(&store)));
        assert!(is_damage(store.drop_table("map")));
    }
}

#[test]
fn leaves_that_many_branches_share_end() {
    let mut store = store();
    let table = MapTable::<u64, u64, [u64; 60]>::open(&mut store, "map").expect("opens");
    for key in 0..400u64 {
        table
            .put(&mut store, hash_key(&1), &1, &key, &[key; 60])
            .expect("fits");
    }
    let (roots, at) = (PageId(1), 64);
    let top = PageId(store.arena().page(roots).u32_at(at));
    // All children of the branch are the branch, level below level; there are more ways down than
    // anybody could walk.
    let page = store.arena().page(top);
    let references: Vec<usize> = (0..usize::from(page.u16_at(2)))
        .map(|entry| usize::from(page.u16_at(16 + 6 * entry)))
        .map(|record| record + 2 + usize::from(page.u16_at(record)))
        .collect();
    assert!(references.len() > 10);
    for place in references {
        assert!(store.arena().page(top).u32_at(place) < store.page_count());
        store.arena_mut().write(top, place, &top.0.to_le_bytes());
    }
    store.arena_mut().write(roots, at + 4, &20u32.to_le_bytes());
    let scan = || {
        let mut cursor = crate::OrderedCursor::default();
        table.scan(&store, &mut cursor, usize::MAX, |_, _, _| ())
    };
    let ended = catch_unwind(AssertUnwindSafe(scan));
    assert!(ended.is_err() || ended.is_ok_and(|scanned| scanned.is_err()));
    assert!(is_damage(store.verify()));
    assert!(is_damage(adopts(&store)));
    assert!(is_damage(store.drop_table("map")));
}

#[test]
fn a_table_of_garbage_is_not_dropped() {
    let mut store = store();
    let _ = values(&mut store, 500);
    let texts = ValueTable::<u64, String>::open(&mut store, "texts").expect("opens");
    for key in 0..500u64 {
        texts
            .put(&mut store, hash_key(&key), &key, &"t".repeat(200))
            .expect("fits");
    }
    let buckets = pages_of(&store, PageKind::Bucket);
    let mut refused = 0;
    for bucket in buckets {
        let before = *store.arena().page(bucket);
        let mut garbage = before;
        garbage.0[16..].fill(0x5a);
        store.arena_mut().replace(bucket, &garbage);
        for table in ["texts", "values"] {
            let is_of_it = is_damage(store.drop_table(table));
            refused += u32::from(is_of_it);
            if !is_of_it {
                // The other table's page; this one is gone.
                return;
            }
        }
        store.arena_mut().replace(bucket, &before);
    }
    assert!(refused > 0);
}
