//! Stores of one shard layout taken over by stores of another.
//!
//! The story: whatever the numbers of shards are, every record is found where its key now belongs,
//! once; the new stores are sound and go on; and their first snapshot needs nothing older.

use proptest::prelude::*;

use crate::format::{FrameAddress, FrameExpectation, read_frame};
use crate::test_cases::cases;
use crate::{
    CaptureStatus, DumpRecord, ExpiringListTable, ExpiringMapTable, ExpiringTable, Expiry,
    ExpiryPolicy, KeyGroups, ListTable, MapTable, Restore, StagingSize, Store, StoreConfig,
    TimerTable, ValueTable, hash_key,
};

const GROUPS: u32 = 64;

fn config(shard: usize, shard_count: usize) -> StoreConfig {
    StoreConfig {
        key_groups: KeyGroups::new(GROUPS),
        shard,
        shard_count,
        budget_bytes: 64 << 20,
        staging: StagingSize {
            chunk_count: 2,
            chunk_bytes: 16 << 10,
        },
        ..StoreConfig::default()
    }
}

fn stores(shard_count: usize) -> Vec<Store> {
    (0..shard_count)
        .map(|shard| Store::new(&config(shard, shard_count)).expect("reserved"))
        .collect()
}

/// Tables of every organisation; `numbers` become records of all of them.
fn fill(stores: &mut [Store], numbers: &[u32]) {
    let (groups, shard_count) = (KeyGroups::new(GROUPS), stores.len());
    let mut tables: Vec<Tables> = stores.iter_mut().map(Tables::open).collect();
    for number in numbers {
        let word = "w".repeat((number % 37) as usize) + &number.to_string();
        let shard = groups.shard_of(hash_key(number), shard_count);
        tables[shard].put_number(&mut stores[shard], *number, &word);
        let shard = groups.shard_of(hash_key(&word), shard_count);
        let count = u64::from(*number);
        let put = tables[shard]
            .words
            .put(&mut stores[shard], hash_key(&word), &word, &count);
        put.expect("fits");
    }
    for (tables, store) in tables.iter().zip(stores) {
        tables.check_timers(store);
    }
}

struct Tables {
    fixed: ValueTable<u32, [u64; 7]>,
    words: ValueTable<String, u64>,
    texts: ValueTable<u32, String>,
    maps: MapTable<u32, str, String>,
    lists: ListTable<u32, String>,
    timers: TimerTable<u32>,
    expiring: ExpiringTable<u32, String>,
    expiring_lists: ExpiringListTable<u32, u64>,
    expiring_maps: ExpiringMapTable<u32, str, u64>,
}

/// Long enough that nothing expires.
const EXPIRY: Expiry = Expiry {
    after_ms: 1000,
    policy: ExpiryPolicy::OnWrite,
};

impl Tables {
    fn open(store: &mut Store) -> Self {
        Self {
            fixed: ValueTable::open(store, "fixed").expect("opens"),
            words: ValueTable::open(store, "words").expect("opens"),
            texts: ValueTable::open(store, "texts").expect("opens"),
            maps: MapTable::open(store, "maps").expect("opens"),
            lists: ListTable::open(store, "lists").expect("opens"),
            timers: TimerTable::open(store, "timers").expect("opens"),
            expiring: ExpiringTable::open(store, "expiring", EXPIRY).expect("opens"),
            expiring_lists: ExpiringListTable::open(store, "elements", EXPIRY).expect("opens"),
            expiring_maps: ExpiringMapTable::open(store, "entries", EXPIRY).expect("opens"),
        }
    }

    fn put_number(&mut self, store: &mut Store, number: u32, word: &str) {
        let (hash, key) = (hash_key(&number), &number);
        // Some are too long for a page.
        let factor = if number.is_multiple_of(29) { 20 } else { 1 };
        let text = "t".repeat((number % 997) as usize * factor);
        let value = [u64::from(number); 7];
        self.fixed.put(store, hash, key, &value).expect("fits");
        self.texts.put(store, hash, key, &text).expect("fits");
        for map_key in [word, "a", "b"] {
            let put = self.maps.put(store, hash, key, map_key, &text);
            put.expect("fits");
        }
        let long = u64::from(number);
        let puts = [
            self.lists.append(store, hash, key, &text),
            self.expiring.put(store, hash, key, &text),
            self.expiring_lists.append(store, hash, key, &long),
            self.expiring_maps.put(store, hash, key, word, &long),
        ];
        puts.into_iter().for_each(|put| put.expect("fits"));
        let at = u64::from(number.reverse_bits());
        let registered = self.timers.register(store, hash, at, key, &0);
        registered.expect("fits");
    }

    /// What is known without reading a page agrees with the pages, and nobody's time got lost.
    fn check_timers(&self, store: &mut Store) {
        let queues = ["expiring", "elements", "entries"].map(ExpiringTable::<u32, u64>::queue_name);
        let timers = store.dump().expect("sound");
        let timers = timers
            .iter()
            .filter(|record| queues.contains(&record.table));
        let held_count = self.expiring.held_count(store)
            + self.expiring_lists.held_count(store)
            + self.expiring_maps.held_count(store);
        assert_eq!(timers.count() as u64, held_count);
        let reopened = TimerTable::<u32>::open(store, "timers").expect("opens");
        assert_eq!(self.timers.earliest(), reopened.earliest());
        assert_eq!(self.timers.earliest().is_none(), reopened.is_empty(store));
    }
}

fn dump(stores: &[Store]) -> Vec<DumpRecord> {
    let mut records = Vec::new();
    for store in stores {
        store.verify().expect("sound");
        records.extend(store.dump().expect("sound"));
    }
    records.sort_unstable();
    records
}

fn adopted(sources: &[Store], shard_count: usize) -> Vec<Store> {
    let mut targets = stores(shard_count);
    for source in sources {
        for target in &mut targets {
            target.adopt(source).expect("fits");
        }
    }
    targets
}

/// The store that its next snapshot alone restores.
fn from_snapshot(store: &mut Store, config: &StoreConfig) -> Store {
    let mut restore = Restore::new(config, store.page_count()).expect("fits");
    store.freeze();
    loop {
        let status = store.capture(1 << 20);
        while let Some(mut chunk) = store.take_chunk() {
            let (file_id, epoch, frame_index) = (1, 1, 0);
            let shard = u16::try_from(config.shard).expect("few");
            let bytes = chunk.seal(FrameAddress {
                file_id,
                epoch,
                frame_index,
                shard,
            });
            let expected = FrameExpectation {
                file: "snapshot",
                file_id,
                epoch,
                frame_index,
                offset_in_file: 0,
            };
            let (frame, _) = read_frame(bytes, &expected).expect("own frames are whole");
            for delta in frame.pages() {
                restore.apply(&delta).expect("inside the arena");
            }
            store.give_chunk(chunk);
        }
        if status == CaptureStatus::Done {
            break;
        }
    }
    store.forget_snapshot();
    restore.finish().expect("own superblock")
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn any_shard_count_takes_over_from_any_other(
        numbers in prop::collection::vec(any::<u32>(), 0..600),
        more in prop::collection::vec(any::<u32>(), 0..200),
        from in 1..=GROUPS as usize,
        to in 1..=GROUPS as usize,
    ) {
        let mut sources = stores(from);
        fill(&mut sources, &numbers);
        let mut targets = adopted(&sources, to);
        prop_assert!(dump(&targets) == dump(&sources), "{from} -> {to}: records differ");
        fill(&mut targets, &more);
        fill(&mut sources, &more);
        prop_assert!(dump(&targets) == dump(&sources), "{from} -> {to}: records differ later");
        let restored: Vec<Store> = targets
            .iter_mut()
            .enumerate()
            .map(|(shard, store)| from_snapshot(store, &config(shard, to)))
            .collect();
        prop_assert!(dump(&restored) == dump(&sources), "{from} -> {to}: snapshot is not whole");
    }
}

#[test]
fn directory_nodes_and_overflow_chains_are_taken_over() {
    let groups = KeyGroups::new(GROUPS);
    let in_group_zero = |key: &u64| groups.group_of(hash_key(key)) == 0;
    let mut source = stores(1);
    let deep = ValueTable::<u64, [u64; 110]>::open(&mut source[0], "deep").expect("opens");
    for key in (0..).filter(in_group_zero).take(4000) {
        let store = &mut source[0];
        deep.put(store, hash_key(&key), &key, &[key; 110])
            .expect("fits");
    }
    let targets = adopted(&source, 3);
    assert!(dump(&targets) == dump(&source), "records differ");
    let back = adopted(&targets, 1);
    assert!(
        dump(&back) == dump(&source),
        "records differ on the way back"
    );
}

#[test]
fn a_target_that_is_too_small_says_so() {
    let mut sources = stores(4);
    fill(&mut sources, &(0..6_000).collect::<Vec<_>>());
    let small = StoreConfig {
        budget_bytes: StoreConfig::budget_for_pages(256, config(0, 1).staging),
        ..config(0, 1)
    };
    let mut target = Store::new(&small).expect("reserved");
    let adopted = sources.iter().try_for_each(|source| target.adopt(source));
    let error = adopted.expect_err("more than 1 MiB").to_string();
    assert!(error.contains("budget"), "{error}");
}

#[test]
fn a_restored_store_can_be_made_whole_again() {
    let mut source = stores(1).remove(0);
    fill(
        std::slice::from_mut(&mut source),
        &(0..3000).collect::<Vec<_>>(),
    );
    assert!(source.drop_table("texts").expect("sound"));
    let mut restored = from_snapshot(&mut source, &config(0, 1));
    restored.dirty_everything();
    let again = from_snapshot(&mut restored, &config(0, 1));
    assert!(dump(&[again]) == dump(&[source]), "records differ");
}
